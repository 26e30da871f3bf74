"""Context: the posts above those of a conversation, for reading only."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.context import ContextPost
from app.models.item import Item
from app.models.post import Post
from app.models.reply import Reply
from app.models.sight import sees
from app.queries.said import Said, Window, as_changed, labels_of, told_changes

MOST = 100  # of one conversation


def _above(conversation_id: int) -> Select[ContextPost]:
    """Without those that have come meanwhile, as posts or as replies of ours."""
    came = select(Post.id).where(
        Post.channel == ContextPost.channel,
        Post.external_id == ContextPost.external_id,
        Post.conversation_id == conversation_id,
    )
    ours = select(Reply.id).where(
        Reply.channel == ContextPost.channel,
        Reply.external_id == ContextPost.external_id,
        Reply.conversation_id == conversation_id,
    )
    return select(ContextPost).where(ContextPost.conversation_id == conversation_id, ~came.exists(), ~ours.exists())


async def above(session: AsyncSession, item: Item, window: Window) -> list[Said]:
    """The context of a part of the item's conversation, as it stands now."""
    found = await rows_above(session, item.conversation_id)
    changes = await told_changes(session, item.channel, [one.external_id for one in found])
    said = [as_changed(_original(one), changes.get(one.external_id, ())) for one in found]
    return [one for one in said if window.holds(one.at)]


async def rows_above(session: AsyncSession, conversation_id: int) -> Sequence[ContextPost]:
    """The context of a conversation as it came, oldest first, the newest MOST of it."""
    newest = _above(conversation_id).order_by(ContextPost.posted_at.desc(), ContextPost.id.desc()).limit(MOST)
    return (await session.scalars(newest)).all()[::-1]


async def context_media(
    session: AsyncSession, context_id: int, queues: Select[Any], reader_id: int
) -> Sequence[dict[str, Any]]:
    """What hangs on a context post as it stands, in a conversation that the reader may see; empty when they may not."""
    seen = select(Item.id).where(Item.conversation_id == ContextPost.conversation_id, sees(reader_id, queues))
    found = await session.scalar(select(ContextPost).where(ContextPost.id == context_id, seen.exists()))
    if found is None:
        return ()
    changes = await told_changes(session, found.channel, [found.external_id])
    return [dict(one) for one in as_changed(_original(found), changes.get(found.external_id, ())).media]


def _original(post: ContextPost) -> Said:
    return Said(
        kind="context",
        id=post.id,
        at=post.posted_at,
        who_id=None,
        who=post.author_name or post.author_handle,
        handle=post.author_handle,
        text=post.text,
        visibility=post.visibility,
        title=post.title,
        html=post.html,
        url=post.url,
        language=post.language,
        media=tuple(post.media),
        labels=labels_of(post.channel, post.ref),
    )
