"""Look: which posts to ask about again, on channels that do not tell of edits and deletions by themselves."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import KnownPost
from app.models.change import PostChange, PostLook
from app.models.feed import Feed
from app.models.item import OPEN_STATES, Item
from app.models.post import Post

EVERY = timedelta(minutes=5)  # a post is looked at so often, while its item is open
NEWEST = 500  # of a feed's posts that are looked at


async def to_look_at(session: AsyncSession, feed: Feed, most: int) -> Sequence[KnownPost]:
    """The posts of open items that were not looked at for longest, marked as looked at: a look that fails comes again."""
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
