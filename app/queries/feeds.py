"""How feeds are, and what stands in their quarantine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.i18n import N_
from app.models.account import SOON
from app.models.feed import NEVER, Health, Quarantine
from app.queries.budgets import BUDGETS

PAGE = 50  # quarantined posts on a page
NOT_LIVE = N_("It is polled, as its stream does not stand: %(cause)s")
NO_CONTEXT = N_("For some posts the thread above them could not be fetched: %(cause)s")
OVERDUE = 120  # seconds a poll may be late before we think that nobody polls


class Condition(StrEnum):
    """How a feed is, for a person: its health, and what the health does not know."""

    OFF = "off"
    WAITING = "waiting"  # never fetched, and due
    LISTENING = "listening"  # pushed to; nothing came yet
    OK = "ok"
    STREAMS = "streams"  # a stream brings its posts as they come
    DEGRADED = "degraded"
    FAILING = "failing"
    STOPPED = "stopped"
    RECONNECT = "reconnect"  # the channel refuses our credentials
    ENDING = "ending"  # works, but its credentials end soon
    UNATTENDED = "unattended"  # long due, and no worker came


@dataclass(frozen=True, slots=True)
class Backlog:
    """How far a first sync is. `left` is None where the channel does not tell."""

    posts: int
    left: int | None
    reached: datetime | None

    @property
    def share(self) -> float:
        """What is done of it, from 0 to 1; 0 where that is not known."""
        return 0.0 if self.left is None else self.posts / max(self.posts + self.left, 1)


@dataclass(frozen=True, slots=True)
class Backlogs:
    """All first syncs that belong together: those under way, and those that ended since the oldest of them began."""

    feeds: int  # still under way
    done: int
    posts: int
    percent: int


@dataclass(frozen=True, slots=True)
class FeedLine:
    """One feed. `remaining` of `allowance` is the tightest budget of its credential."""

    id: int
    name: str
    channel: str
    account_id: int | None
    account: str | None
    enabled: bool
    condition: Condition
    trouble: str
    failures: int
    ok_at: datetime | None
    post_at: datetime | None
    next_poll_at: datetime | None  # None: pushed to
    interval: int
    remaining: int | None
    allowance: int | None
    resets_at: datetime | None
    quarantined: int
    ends_at: datetime | None = None  # when the account's credentials end
    backlog: Backlog | None = None  # while the first sync is under way

    @property
    def purse(self) -> str:
        """The key of its budgets."""
        return f"feed:{self.id}" if self.account_id is None else f"account:{self.account_id}"


_FEEDS = text(
    f"""
    SELECT f.*, a.name AS account, coalesce(a.needs_reconnect, false) AS reconnect,
           least(a.ends_at, CAST(a.ends_on + 1 AS timestamptz)) AS ends_at,
           b.remaining, b.allowance, b.resets_at, now() AS now,
           (SELECT count(*) FROM quarantine x WHERE x.feed_id = f.id AND x.resolved_at IS NULL) AS quarantined,
           g.posts AS brought, g."left", g.reached, f.synced_at IS NULL AND f.enabled AND g.posts IS NOT NULL AS behind,
           above.troubled, above.cause, coalesce(s.trouble, '') AS unstreamed,
           s.live_at IS NOT NULL AND s.leased_until > now() AS streams
    FROM feed f
    LEFT JOIN account a ON a.id = f.account_id
    LEFT JOIN feed_stream s ON s.feed_id = f.id
    LEFT JOIN feed_backlog g ON g.feed_id = f.id AND g.ended_at IS NULL
    LEFT JOIN LATERAL (
        SELECT remaining, allowance, ends AS resets_at FROM ({BUDGETS}) x
        WHERE x.key = coalesce('account:' || f.account_id, 'feed:' || f.id) AND remaining IS NOT NULL
        ORDER BY remaining::float / nullif(allowance, 0) LIMIT 1
    ) b ON true
    CROSS JOIN LATERAL (
        SELECT count(*) AS troubled, max(p.trouble) AS cause FROM parent_fetch p
        WHERE p.feed_id = f.id AND p.trouble <> ''
    ) AS above
    WHERE (CAST(:feed AS bigint) IS NULL OR f.id = :feed)
      AND (CAST(:account AS bigint) IS NULL OR f.account_id = :account)
    ORDER BY lower(f.name), f.id
    """  # noqa: S608 - the budgets' query is a constant
)


async def feeds(session: AsyncSession, feed_id: int | None = None) -> list[FeedLine]:
    """All feeds, or one."""
    rows = await session.execute(_FEEDS, {"feed": feed_id, "account": None})
    return [_feed(row) for row in rows]


async def feeds_of(session: AsyncSession, account_id: int) -> list[FeedLine]:
    """The feeds that read with an account."""
    rows = await session.execute(_FEEDS, {"feed": None, "account": account_id})
    return [_feed(row) for row in rows]


def _feed(row: Any) -> FeedLine:
    pushed = row.next_poll_at == NEVER
    return FeedLine(
        id=row.id,
        name=row.name,
        channel=row.channel,
        account_id=row.account_id,
        account=row.account,
        enabled=row.enabled,
        condition=condition(row, pushed=pushed),
        trouble=row.trouble or _lesser(row),
        failures=row.failures,
        ok_at=row.ok_at,
        post_at=row.post_at,
        next_poll_at=None if pushed else row.next_poll_at,
        interval=row.interval,
        remaining=row.remaining,
        allowance=row.allowance,
        resets_at=row.resets_at,
        quarantined=row.quarantined,
        ends_at=row.ends_at,
        backlog=Backlog(row.brought, row.left, row.reached) if row.behind else None,
    )


_ENDED = text(
    """
    SELECT count(*) AS feeds, coalesce(sum(posts), 0) AS posts FROM feed_backlog
    WHERE ended_at >= (SELECT min(begun_at) FROM feed_backlog WHERE feed_id = ANY(CAST(:under_way AS bigint[])))
    """
)


async def backlogs(session: AsyncSession, lines: Sequence[FeedLine]) -> Backlogs | None:
    """How far the first syncs of these feeds are in all; None when none is under way. One not begun counts as nothing."""
    new = [line for line in lines if line.condition is Condition.WAITING]
    begun = {line.id: line.backlog for line in lines if line.backlog is not None}
    if not begun:
        return None
    ended = (await session.execute(_ENDED, {"under_way": [*begun]})).one()
    under_way = len(begun) + len([line for line in new if line.id not in begun])
    share = (ended.feeds + sum(one.share for one in begun.values())) / (ended.feeds + under_way)
    posts = int(ended.posts) + sum(one.posts for one in begun.values())
    return Backlogs(under_way, ended.feeds, posts, int(100 * share))


def condition(row: Any, *, pushed: bool) -> Condition:
    """What a feed's row amounts to."""
    late = not pushed and (row.now - row.next_poll_at).total_seconds()
    if not row.enabled:
        return Condition.OFF
    if row.reconnect:
        return Condition.RECONNECT
    if row.health == Health.STOPPED:
        return Condition.STOPPED
    if late and late > OVERDUE and (row.leased_until is None or row.leased_until < row.now):
        return Condition.UNATTENDED
    return _health(row, pushed)


def _health(row: Any, pushed: bool) -> Condition:
    if row.health == Health.NEW:
        return Condition.LISTENING if pushed else Condition.WAITING
    if row.health != Health.OK:
        return Condition(row.health)
    if row.ends_at is not None and row.ends_at - row.now <= SOON:
        return Condition.ENDING
    if row.troubled or row.unstreamed:
        return Condition.DEGRADED
    return Condition.STREAMS if row.streams else Condition.OK


def _lesser(row: Any) -> str:
    """What is wrong where polls are well: with the stream above them, or with threads."""
    if row.unstreamed:
        return str(row.unstreamed) if row.streams else NOT_LIVE % {"cause": row.unstreamed}
    return NO_CONTEXT % {"cause": row.cause} if row.troubled else ""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A post that could not be read or stored."""

    id: int
    external_id: str
    reason: str
    payload: Mapping[str, Any]
    tries: int
    first_at: datetime
    last_at: datetime


async def quarantined(session: AsyncSession, feed_id: int) -> list[Quarantined]:
    """The newest posts in quarantine of a feed, at most PAGE."""
    q = Quarantine
    rows = await session.execute(
        select(q.id, q.external_id, q.reason, q.payload, q.tries, q.first_at, q.last_at)
        .where(q.feed_id == feed_id, q.resolved_at.is_(None))
        .order_by(q.last_at.desc(), q.id.desc())
        .limit(PAGE)
    )
    return [Quarantined(*row) for row in rows]
