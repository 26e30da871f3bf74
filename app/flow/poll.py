"""A poll of one feed: its lease, what it brought, and when it is tried again. No feed waits for another."""

import hashlib
import json
import random
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import case, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import Batch, IncomingPost, Rejected
from app.db import announce
from app.errors import CarelineError, ConfigurationError, RateLimited, Unauthorized
from app.flow.change import keep_changes
from app.flow.hide import keep_hidings
from app.flow.ingest import Ingested, ingest
from app.flow.kept_template import keep_templates
from app.flow.outbox import keep_fates
from app.flow.wording import in_words
from app.jobs import Lane
from app.listening.clean import storable, storable_json
from app.models.account import Account
from app.models.feed import Feed, FeedBacklog, FeedStream, Health, Quarantine

LEASE = timedelta(seconds=120)  # a poll that takes longer is thought dead; its fence keeps it from writing
LONGEST_PAUSE = timedelta(minutes=30)
BENEATH = 10  # times the usual wait between polls while a stream brings posts, so that they only look what it missed
LONGEST_BENEATH = 900  # seconds that such a wait is at most, unless the usual one is longer
LONGEST_NAME = 500  # characters of an entry's id that fit into an index
OUR_TROUBLE = ("08", "25", "40", "53", "55", "57", "58")  # classes of SQLSTATE that are no fault of a post
POLLED = or_(Feed.health != Health.STOPPED, Feed.failures == 0)  # stopped, until a person acted: that forgets failures
JITTER = 0.1  # of every wait, so that feeds do not march in step


@dataclass(frozen=True, slots=True)
class Polled:
    """What one poll came to; `lost` when another worker had taken the feed over meanwhile."""

    ingested: Ingested
    quarantined: int
    lost: bool = False


async def take_feed(session: AsyncSession, feed_id: int) -> Feed | None:
    """Lease a feed that is due; None when it is not, or somebody has it. Commit before the call."""
    statement = (
        update(Feed)
        .where(
            Feed.id == feed_id,
            Feed.enabled,
            POLLED,
            Feed.next_poll_at <= func.now(),
            or_(Feed.leased_until.is_(None), Feed.leased_until <= func.now()),
        )
        .values(attempt=Feed.attempt + 1, leased_until=func.now() + LEASE)
        .returning(Feed)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return (await session.scalars(statement)).one_or_none()


async def keep_batch(session: AsyncSession, feed: Feed, batch: Batch) -> Polled:
    """Store what a poll brought, with the cursor, in the caller's one transaction; plan the next poll.

    Nothing is stored when the lease was lost: `lost` is True and the caller rolls back.
    """
    ingested, rejected = await store(session, feed, batch, quiet=feed.synced_at is None and not feed.import_backlog)
    wait = next_wait(feed, ingested)
    apart = beneath(wait) if await _streams(session, feed.id) else wait
    changes: dict[str, Any] = {
        "cursor": batch.cursor,
        "interval": wait,
        "next_poll_at": func.now() + timedelta(seconds=0 if batch.more else jittered(apart)),
        "health": Health.DEGRADED if batch.notice else Health.OK,
        "trouble": batch.notice,
        "failures": 0,
        "ok_at": func.now(),
    }
    if feed.synced_at is None:
        await _note_backlog(session, feed.id, batch)
    if not batch.more:
        changes["synced_at"] = func.coalesce(Feed.synced_at, func.now())
    if ingested.posts:
        changes["post_at"] = func.now()
    if feed.account_id is not None:
        await session.execute(update(Account).where(Account.id == feed.account_id, Account.needs_reconnect).values(
            needs_reconnect=False, trouble=""))  # fmt: skip
    return Polled(ingested, rejected, lost=not await _write(session, feed, changes))


async def keep_ahead(session: AsyncSession, feed: Feed, batch: Batch) -> Polled:
    """Store some posts of a long first sync before the rest and the cursor; renew the lease. What comes twice is known.

    `lost` as in `keep_batch`.
    """
    ingested, rejected = await store(session, feed, batch, quiet=not feed.import_backlog)
    if feed.synced_at is None:
        await _note_backlog(session, feed.id, replace(batch, more=True))
    renewed = update(Feed).where(Feed.id == feed.id, Feed.attempt == feed.attempt)
    still = await session.execute(renewed.values(leased_until=func.now() + LEASE).returning(Feed.id))
    return Polled(ingested, rejected, lost=still.first() is None)


async def _note_backlog(session: AsyncSession, feed_id: int, batch: Batch) -> None:
    """How far the first sync is, for the feeds' page."""
    told = {
        "left": batch.left if batch.more else 0,
        "reached": batch.posts[-1].posted_at if batch.posts else None,
        "ended_at": None if batch.more else func.now(),
    }
    row = insert(FeedBacklog).values(feed_id=feed_id, posts=len(batch.posts), **told)
    over = FeedBacklog.ended_at.is_not(None)  # of an earlier first sync: settings were changed since
    again = told | {
        "posts": case((over, 0), else_=FeedBacklog.posts) + len(batch.posts),
        "begun_at": case((over, func.now()), else_=FeedBacklog.begun_at),
        "reached": func.coalesce(row.excluded.reached, FeedBacklog.reached),
    }
    await session.execute(row.on_conflict_do_update(index_elements=[FeedBacklog.feed_id], set_=again))


async def store(session: AsyncSession, feed: Feed, batch: Batch, *, quiet: bool) -> tuple[Ingested, int]:
    """Store what a batch brought; also how many of its entries went to quarantine."""
    ingested, poison = await ingest_apart(session, feed, batch.posts, quiet)
    rejected = (*batch.rejected, *poison)
    await keep_changes(session, feed, batch.changes)
    await keep_hidings(session, feed, batch.hidings)
    await keep_fates(session, feed.channel, batch.fates)
    if feed.account_id is not None:
        await keep_templates(session, feed.account_id, batch.templates)
    await quarantine(session, feed.id, rejected)
    return ingested, len(rejected)


async def _streams(session: AsyncSession, feed_id: int) -> bool:
    stands = exists().where(
        FeedStream.feed_id == feed_id, FeedStream.live_at.is_not(None), FeedStream.leased_until > func.now()
    )
    return bool(await session.scalar(select(stands)))


def beneath(wait: int) -> int:
    """Seconds to the next poll in place of `wait` while a stream stands."""
    return max(wait, min(wait * BENEATH, LONGEST_BENEATH))


async def keep_failure(session: AsyncSession, feed: Feed, error: CarelineError) -> bool:
    """Note why a poll failed and when to try again; a permanent cause stops the feed until a person acts."""
    permanent = bool(getattr(error, "permanent", False)) or isinstance(error, ConfigurationError)
    if isinstance(error, Unauthorized) and feed.account_id is not None:
        broken = update(Account).where(Account.id == feed.account_id)
        await session.execute(broken.values(needs_reconnect=True, trouble=error.message))
    pause = error.retry_after if isinstance(error, RateLimited) else back_off(feed)
    changes = {
        "health": Health.STOPPED if permanent else Health.FAILING,
        "trouble": error.message,
        "failures": Feed.failures + 1,
        "next_poll_at": func.now() + timedelta(seconds=jittered(pause.total_seconds())),
    }
    return await _write(session, feed, changes)


async def postpone(session: AsyncSession, feed: Feed, wait: timedelta, reason: str) -> bool:
    """Give the lease back and poll later: the credential's budget is used up."""
    changes = {
        "next_poll_at": func.now() + timedelta(seconds=jittered(wait.total_seconds())),
        "health": Health.DEGRADED,
        "trouble": reason,
    }
    return await _write(session, feed, changes)


async def put_off(session: AsyncSession, feed: Feed, wait: timedelta, reason: str) -> None:
    """Poll no sooner than after `wait`, after a poll that was kept; `reason` (may be empty) stands in its health."""
    told: dict[str, Any] = {"health": Health.DEGRADED, "trouble": reason} if reason else {}
    later = func.greatest(Feed.next_poll_at, func.now() + timedelta(seconds=jittered(wait.total_seconds())))
    await _write(session, feed, {"next_poll_at": later, **told})


async def _write(session: AsyncSession, feed: Feed, changes: dict[str, Any]) -> bool:
    written = await session.execute(
        update(Feed)
        .where(Feed.id == feed.id, Feed.attempt == feed.attempt)
        .values(leased_until=None, **changes)
        .returning(Feed.id)
        .execution_options(synchronize_session=False)
    )
    announce(session, "feeds", [feed.id])
    return written.first() is not None


async def ingest_apart(
    session: AsyncSession, feed: Feed, posts: tuple[IncomingPost, ...], quiet: bool
) -> tuple[Ingested, list[Rejected]]:
    """Ingest all at once; if the database refuses the batch, one by one, so that a poison post stands alone."""
    try:
        async with session.begin_nested():
            return await ingest(session, feed, posts, quiet=quiet), []
    except DBAPIError as refusal:
        if not _is_posts_fault(refusal):
            raise
    total, poison = Ingested(), []
    for post in posts:
        try:
            async with session.begin_nested():
                total += await ingest(session, feed, (post,), quiet=quiet)
        except DBAPIError as refusal:
            if not _is_posts_fault(refusal):
                raise
            poison.append(Rejected(post.external_id, in_words(refusal), post.payload))
    return total, poison


def _is_posts_fault(refusal: DBAPIError) -> bool:
    """Whether the database refuses what was to be stored; not so when it is away, full, or broke a deadlock."""
    state = getattr(refusal.orig, "sqlstate", None)
    return isinstance(refusal, DataError) or (state is not None and not state.startswith(OUR_TROUBLE))


async def quarantine(session: AsyncSession, feed_id: int, rejected: tuple[Rejected, ...]) -> None:
    """Keep entries that could not be read or stored, with their payload, for a person to retry or drop."""
    for entry in rejected:
        reason, payload = storable(entry.reason), json.loads(storable_json(entry.payload))
        statement = insert(Quarantine).values(
            feed_id=feed_id, external_id=_indexable(entry.external_id), reason=reason, payload=payload
        )
        again = {
            "reason": reason,
            "payload": payload,
            "tries": Quarantine.tries + 1,
            "last_at": func.now(),
        }
        await session.execute(
            statement.on_conflict_do_update(index_elements=[Quarantine.feed_id, Quarantine.external_id], set_=again)
        )


def _indexable(name: str) -> str:
    whole = storable(name, len(name))
    return whole if len(whole) <= LONGEST_NAME else f"sha256:{hashlib.sha256(whole.encode()).hexdigest()}"


def next_wait(feed: Feed, ingested: Ingested) -> int:
    """Seconds to the next poll: halved when something new came, half as long again when not, within the feed's bounds."""
    wait = feed.interval // 2 if ingested.posts else feed.interval + max(feed.interval // 2, 1)
    return max(feed.min_interval, min(wait, feed.max_interval))


def back_off(feed: Feed) -> timedelta:
    """The wait after a failure: the feed's shortest interval, doubled with each failure in a row, at most 30 min."""
    return pause_after(feed.failures, feed.min_interval)


def pause_after(failures: int, shortest: int) -> timedelta:
    """The wait after so many failures in a row before this one; `shortest` in seconds."""
    return min(timedelta(seconds=shortest * 2 ** min(failures, 10)), LONGEST_PAUSE)


def jittered(seconds: float) -> float:
    """The same wait, up to a tenth longer or shorter."""
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - jitter guards nothing


def lane_of(feed: Feed) -> Lane:
    """Where its polls run: what a first sync brings is old, and waits for what comes in now."""
    return Lane.BACKLOG if feed.synced_at is None else Lane.FRESH


async def due_feeds(session: AsyncSession, lane: Lane, most: int = 200) -> list[int]:
    """Feeds of a lane whose next poll is due and that nobody has."""
    due = (
        select(Feed.id)
        .where(Feed.enabled, POLLED, Feed.next_poll_at <= func.now())
        .where(Feed.synced_at.is_(None) if lane is Lane.BACKLOG else Feed.synced_at.is_not(None))
        .where(or_(Feed.leased_until.is_(None), Feed.leased_until <= func.now()))
        .order_by(Feed.next_poll_at)
        .limit(most)
    )
    return list(await session.scalars(due))
