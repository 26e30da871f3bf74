"""Left out: what the rules of the house kept away is noted, so that an admin sees what they do; it goes after a month."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import IncomingPost
from app.flow.house import Facts, House, sift
from app.listening.clean import storable, storable_parts
from app.models.feed import Feed, LeftOut

KEPT = timedelta(days=30)
MOST_DROPPED = 10_000  # in one go


async def keep_house(
    session: AsyncSession, feed: Feed, posts: list[IncomingPost], known: Sequence[str]
) -> list[IncomingPost]:
    """The posts that the feed's rules let in; the others are noted, once each. `known`: posts and replies that we hold."""
    if not feed.house:
        return posts
    stay, out = sift(House.model_validate(feed.house), posts, known)
    rows = [
        {
            "feed_id": feed.id,
            "external_id": storable(one.post.external_id, 500),
            "why": one.verdict.why,
            "detail": storable(one.verdict.detail, 200),
            "posted_at": one.post.posted_at,
            "facts": storable_parts(Facts.of(one.post).kept()),
        }
        for one in out
    ]
    if rows:
        await session.execute(insert(LeftOut).values(rows).on_conflict_do_nothing())
    if stay:
        again = LeftOut.external_id.in_([post.external_id for post in stay])
        await session.execute(delete(LeftOut).where(LeftOut.feed_id == feed.id, again))
    return stay


async def drop_old(session: AsyncSession) -> None:
    """Forget what was left out long ago, some at a time."""
    old = select(LeftOut.id).where(LeftOut.at < func.now() - KEPT).order_by(LeftOut.at).limit(MOST_DROPPED)
    await session.execute(delete(LeftOut).where(LeftOut.id.in_(old)).execution_options(synchronize_session=False))
