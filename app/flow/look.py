"""Look: which posts to ask about again, on channels that do not tell of edits and deletions by themselves."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import KnownPost
from app.models.change import PostChange, PostLook
from app.models.context import ContextPost
from app.models.feed import Feed
from app.models.item import OPEN_STATES, Item
from app.models.post import Post

EVERY = timedelta(minutes=5)  # a post is looked at so often, while its item is open
CONTEXT_EVERY = timedelta(hours=1)
NEWEST = 500  # of a feed's posts that are looked at


async def to_look_at(session: AsyncSession, feed: Feed, most: int) -> Sequence[KnownPost]:
    """What of open items was not looked at for longest, marked as looked at: a look that fails comes again.

    Posts first; where these leave room, what stands above them.
    """
    posts = await _posts(session, feed, most)
    return [*posts, *await _context(session, feed, most - len(posts))] if len(posts) < most else posts


async def _posts(session: AsyncSession, feed: Feed, most: int) -> Sequence[KnownPost]:
    gone = select(PostChange.id).where(
        PostChange.channel == Post.channel, PostChange.external_id == Post.external_id, PostChange.deleted
    )
    newest = select(Post.id).where(Post.feed_id == feed.id).order_by(Post.id.desc()).limit(NEWEST)
    due = (
        select(Post.id, Post.external_id, Post.ref)
        .join(Item, (Item.conversation_id == Post.conversation_id) & Item.state.in_(OPEN_STATES))
        .outerjoin(PostLook, PostLook.post_id == Post.id)
        .where(Post.id.in_(newest), ~Post.own, ~Post.repost, ~gone.exists())
        .where(func.coalesce(PostLook.looked_at, Post.received_at) < func.now() - EVERY)
        .order_by(func.coalesce(PostLook.looked_at, Post.received_at))
        .limit(most)
    )
    found = (await session.execute(due)).all()
    if found:
        marked = insert(PostLook).values([{"post_id": row.id} for row in found])
        await session.execute(marked.on_conflict_do_update(index_elements=["post_id"], set_={"looked_at": func.now()}))
    return [KnownPost(row.external_id, row.ref) for row in found]


async def _context(session: AsyncSession, feed: Feed, most: int) -> Sequence[KnownPost]:
    gone = select(PostChange.id).where(
        PostChange.channel == ContextPost.channel, PostChange.external_id == ContextPost.external_id, PostChange.deleted
    )
    open_item = select(Item.id).where(Item.conversation_id == ContextPost.conversation_id, Item.state.in_(OPEN_STATES))
    newest = select(ContextPost.id).where(ContextPost.feed_id == feed.id).order_by(ContextPost.id.desc()).limit(NEWEST)
    due = (
        select(ContextPost.id)
        .where(ContextPost.id.in_(newest), ContextPost.looked_at < func.now() - CONTEXT_EVERY)
        .where(open_item.exists(), ~gone.exists())
        .order_by(ContextPost.looked_at)
        .limit(most)
    )
    looked = (
        update(ContextPost)
        .where(ContextPost.id.in_(due))
        .values(looked_at=func.now())
        .returning(ContextPost.external_id, ContextPost.ref)
        .execution_options(synchronize_session=False)
    )
    return [KnownPost(row.external_id, row.ref) for row in await session.execute(looked)]
