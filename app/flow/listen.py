"""A stream of one feed: who holds it, what it brings, and when it is opened again. Polls stay the net beneath.

Rows are locked in this order: what a batch stores, the feed, its stream.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Update, case, exists, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import Batch, Json
from app.db import announce
from app.errors import CarelineError, ConfigurationError, RateLimited
from app.flow.ingest import Ingested
from app.flow.poll import LONGEST_PAUSE, POLLED, Polled, jittered, pause_after, store
from app.models.feed import Feed, FeedStream, Health

LEASE = timedelta(seconds=30)  # not renewed for so long, its holder is thought dead and another one may take it

_FREE = or_(FeedStream.leased_until.is_(None), FeedStream.leased_until <= func.now())
_ABLE = (Feed.enabled, POLLED, Feed.synced_at.is_not(None))


@dataclass(frozen=True, slots=True)
class Held:
    """A stream that we hold: its feed as it was when we took it, and our epoch."""

    feed: Feed
    epoch: int
    failures: int  # in a row before


@dataclass(frozen=True, slots=True)
class Line:
    """A feed that can have a stream. `due`: nobody holds it, and it is time to open it."""

    epoch: int
    due: bool


async def lines(session: AsyncSession, channels: Sequence[str]) -> dict[int, Line]:
    """The feeds of these channels that are on, synced and not stopped, those first whose stream waits longest."""
    due = or_(FeedStream.feed_id.is_(None), _FREE & (FeedStream.next_at <= func.now()))
    found = (
        select(Feed.id, func.coalesce(FeedStream.epoch, 0), due)
        .join(FeedStream, FeedStream.feed_id == Feed.id, isouter=True)
        .where(*_ABLE, Feed.channel.in_(channels))
        .order_by(func.coalesce(FeedStream.next_at, Feed.created_at), Feed.id)
    )
    return {feed_id: Line(epoch, is_due) for feed_id, epoch, is_due in await session.execute(found)}


async def take_stream(session: AsyncSession, feed_id: int) -> Held | None:
    """Lease the stream of a feed; None when somebody has it, or it is not to be opened. Commit before the call."""
    feed = (await session.scalars(select(Feed).where(Feed.id == feed_id, *_ABLE))).one_or_none()
    if feed is None:
        return None
    row = insert(FeedStream).values(feed_id=feed_id, epoch=1, leased_until=func.now() + LEASE)
    again = {"epoch": FeedStream.epoch + 1, "leased_until": func.now() + LEASE, "live_at": None}
    statement = row.on_conflict_do_update(
        index_elements=["feed_id"], set_=again, where=_FREE & (FeedStream.next_at <= func.now())
    )
    taken = (await session.execute(statement.returning(FeedStream.epoch, FeedStream.failures))).one_or_none()
    return Held(feed, *taken) if taken else None


async def renew_streams(session: AsyncSession, held: Mapping[int, int]) -> set[int]:
    """Renew the leases of these feeds, given with our epochs; those that are still ours."""
    rows = select(FeedStream.feed_id, FeedStream.epoch).where(FeedStream.feed_id.in_(held))
    found = await session.execute(rows.order_by(FeedStream.feed_id).with_for_update())
    ours = {feed_id for feed_id, epoch in found if held[feed_id] == epoch}
    await session.execute(
        update(FeedStream).where(FeedStream.feed_id.in_(ours)).values(leased_until=func.now() + LEASE)
    )
    return ours


async def keep_streamed(session: AsyncSession, held: Held, batch: Batch, at: Json) -> Polled:
    """Store what a stream brought, in the caller's one transaction; the first batch says that it stands.

    `at` is the cursor that this stream last kept: where a poll has moved the feed's meanwhile, that one stays. Nothing
    is stored when the stream is no longer ours: `lost` is True and the caller rolls back.
    """
    feed = (await session.scalars(select(Feed).where(Feed.id == held.feed.id, *_ABLE))).one_or_none()
    if feed is None:
        return Polled(Ingested(), 0, lost=True)
    ingested, rejected = await store(session, feed, batch, quiet=False)
    changes = {
        "cursor": case((Feed.cursor == at, literal(batch.cursor, JSONB)), else_=Feed.cursor),
        "ok_at": func.now(),
        "post_at": func.now() if ingested.posts else Feed.post_at,
    }
    kept = update(Feed).where(Feed.id == feed.id, *_ABLE).values(changes).returning(Feed.id)
    there = (await session.execute(kept.execution_options(synchronize_session=False))).first() is not None
    stands = {"live_at": func.coalesce(FeedStream.live_at, func.now()), "failures": 0, "trouble": batch.notice}
    ours = (await session.execute(_ours(held).values(stands).returning(FeedStream.feed_id))).first() is not None
    announce(session, "feeds", [feed.id])
    return Polled(ingested, rejected, lost=not (there and ours))


async def let_go(
    session: AsyncSession, held: Held, pause: timedelta = timedelta(0), trouble: str = "", failures: int = 0
) -> None:
    """Give the stream back, to be opened again after `pause`. A poll looks soon what was missed meanwhile."""
    still = exists().where(FeedStream.feed_id == held.feed.id, FeedStream.epoch == held.epoch)
    soon = func.least(Feed.next_poll_at, func.now() + func.make_interval(0, 0, 0, 0, 0, 0, Feed.interval))
    await session.execute(
        update(Feed)
        .where(Feed.id == held.feed.id, Feed.health == Health.OK, still)
        .values(next_poll_at=soon)
        .execution_options(synchronize_session=False)
    )
    again = func.now() + timedelta(seconds=jittered(pause.total_seconds()))
    gone = {"leased_until": None, "live_at": None, "next_at": again, "failures": failures, "trouble": trouble}
    await session.execute(_ours(held).values(gone))
    announce(session, "feeds", [held.feed.id])


async def stream_ended(session: AsyncSession, held: Held, error: CarelineError | None, *, stood: bool) -> None:
    """Give back a stream that ended: by the other side (it stood), for want of one (it did not), or by an error."""
    if error is None:
        await let_go(session, held, pause_after(0, held.feed.min_interval) if stood else LONGEST_PAUSE)
        return
    failures = 0 if stood else held.failures
    pause = pause_after(failures, held.feed.min_interval)
    if isinstance(error, RateLimited):
        pause = error.retry_after
    elif getattr(error, "permanent", False) or isinstance(error, ConfigurationError):
        pause = LONGEST_PAUSE
    await let_go(session, held, pause, error.message, failures + 1)


def _ours(held: Held) -> Update:
    return (
        update(FeedStream)
        .where(FeedStream.feed_id == held.feed.id, FeedStream.epoch == held.epoch)
        .execution_options(synchronize_session=False)
    )
