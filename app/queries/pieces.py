"""Pieces of conversations that are asked for by themselves: what can still be taken back, media, pictures."""

from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.change import PostChange
from app.models.item import Item
from app.models.post import Author, Post, PostFile
from app.models.queue import Queue
from app.models.reply import Reply, ReplyState
from app.models.sight import sees
from app.queries.said import Said


async def held_replies(session: AsyncSession, agent_id: int) -> list[Said]:
    """What an agent has sent and can still take back, the newest first: the one that the key takes back."""
    sent_at = Reply.due_at - func.make_interval(0, 0, 0, 0, 0, 0, Queue.undo_seconds)
    held = (
        select(Reply, Author.name, Author.handle)
        .join(Item, Item.id == Reply.item_id)
        .join(Queue, Queue.id == Item.queue_id)
        .join(Post, Post.id == Reply.post_id)
        .join(Author, Author.id == Post.author_id)
        .where(Reply.agent_id == agent_id, Reply.state == ReplyState.HELD, Reply.due_at > func.now())
        .order_by(sent_at.desc(), Reply.id.desc())
    )
    return [
        Said(
            kind="reply",
            id=reply.id,
            at=reply.created_at,
            who_id=None,
            who=name or handle,
            handle=handle,
            text=reply.text,
            visibility=reply.visibility,
            state=reply.state,
            due_at=reply.due_at,
            mine=True,
        )
        for reply, name, handle in await session.execute(held)
    ]


async def media_of(session: AsyncSession, post_id: int, queues: Select[Any], reader_id: int) -> list[dict[str, Any]]:
    """The media of a post as it stands, in a conversation that the reader may see; empty when they may not."""
    seen = select(Item.id).where(Item.conversation_id == Post.conversation_id, sees(reader_id, queues))
    newest = (
        select(PostChange.media)
        .where(PostChange.channel == Post.channel, PostChange.external_id == Post.external_id)
        .where(~PostChange.deleted, PostChange.media.is_not(None))
        .order_by(PostChange.changed_at.desc(), PostChange.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    found = select(func.coalesce(newest, Post.media)).where(Post.id == post_id, seen.exists())
    return await session.scalar(found) or []


async def file_of(session: AsyncSession, post_id: int, position: int) -> tuple[str, bytes] | None:
    """The name and the bytes of what came with a post. Ask `media_of` first whether the reader may see it."""
    asked = select(PostFile.name, PostFile.content).where(PostFile.post_id == post_id, PostFile.position == position)
    row = (await session.execute(asked)).one_or_none()
    return (row[0], row[1]) if row else None


async def avatar_of(session: AsyncSession, author_id: int, queues: Select[Any], reader_id: int) -> str | None:
    """The remote address of an author's picture, when the reader may see something by them."""
    seen = (
        select(Post.id)
        .join(Item, Item.conversation_id == Post.conversation_id)
        .where(Post.author_id == author_id, sees(reader_id, queues))
    )
    return await session.scalar(select(Author.avatar_url).where(Author.id == author_id, seen.exists()))
