"""How fast an allowance may be used: spread over its period, each feed its share, a tenth kept back. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from app.connectors.base import Period

RESERVE = 0.1  # of an allowance is kept for replies; polls stop there
AHEAD = 1 / 30  # of an allowance may be used before its time: a day's worth of a month
PACIFIC = ZoneInfo("America/Los_Angeles")


@dataclass(frozen=True, slots=True)
class Counted:
    """An allowance that Careline counts, as one feed sees it."""

    limit: int
    spent: int  # by all
    own: int  # by this feed
    feeds: int  # that draw from it
    cost: int  # of a poll at the least
    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a poll waits, and how much it may use then."""

    wait: timedelta
    room: int


def span(period: Period, now: datetime) -> tuple[datetime, datetime]:
    """From when until when an allowance is counted that is full again after each `period`."""
    if period is Period.MONTH:
        begins = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return begins, (begins + timedelta(days=32)).replace(day=1)
    local = now.astimezone(PACIFIC).replace(hour=0, minute=0, second=0, microsecond=0)
    return local.astimezone(UTC), (local + timedelta(days=1)).astimezone(UTC)


def counted(one: Counted, now: datetime) -> Pace:
    """The pace of a counted allowance.

    What all may have used by now grows evenly over the period, and so does each feed's share. A feed is slowed once
    both its share and the whole are ahead of that: a cheap feed never waits for a greedy one, and what one leaves
    unused another may take.
    """
    pool = one.limit * (1 - RESERVE)
    length = one.ends - one.begins
    ahead = max(pool * AHEAD, one.cost)
    due = pool * max(now - one.begins, timedelta(0)) / length
    if pool - one.spent < one.cost:
        return Pace(max(one.ends - now, timedelta(0)), 0)
    whole = due + ahead - one.spent
    share = due / one.feeds + max(ahead / one.feeds, one.cost) - one.own
    if max(whole, share) >= one.cost:
        return Pace(timedelta(0), int(min(pool - one.spent, max(whole, share))))
    each = pool / length.total_seconds()
    seconds = min((one.cost - whole) / each, (one.cost - share) / each * one.feeds)
    return Pace(timedelta(seconds=seconds), one.cost)


def told(remaining: int, limit: int | None, left: timedelta, feeds: int) -> Pace:
    """The pace of an allowance whose rest the channel tells: it is spread over what is left of its window."""
    free = remaining - RESERVE * (limit or 0)
    if free <= 0:
        return Pace(left, 0)
    return Pace(left / free * feeds, int(free) or 1)
