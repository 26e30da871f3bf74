"""Times of items in queues that have open hours: seconds in which the queue was open, by `OpenHours.between`.

The database adds up wall time by itself; where a queue closes, its items' times are read and counted one by one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.queue import Queue
from app.routing.hours import OpenHours

_TIMES = text(
    """
    SELECT i.queue_id, i.opened_at, e.taken_at, i.answered_at, p.posted_at
    FROM item i
    JOIN LATERAL (
        SELECT min(at) FILTER (WHERE verb IN ('accept', 'claim', 'assign')) AS taken_at,
               bool_or(verb = 'open' AND changes->>'state' <> 'queued') AS silent
        FROM event WHERE item_id = i.id
    ) e ON NOT e.silent
    LEFT JOIN LATERAL (
        SELECT posted_at FROM post
        WHERE i.answered_at IS NOT NULL AND conversation_id = i.conversation_id AND received_at >= i.opened_at AND NOT own
        ORDER BY posted_at LIMIT 1
    ) p ON true
    WHERE i.queue_id = ANY(:queues) AND i.opened_at >= :since AND (e.taken_at IS NOT NULL OR i.answered_at IS NOT NULL)
    """
)
ALWAYS = OpenHours("UTC", {}, ())


@dataclass(slots=True)
class Times:
    """Seconds until the items of a queue were taken, together, and until each of those that were answered was."""

    wait: float = 0
    responses: list[float] = field(default_factory=list)

    @property
    def median(self) -> float | None:
        """The median response; None while nothing was answered."""
        return median(self.responses) if self.responses else None


async def hours_of(session: AsyncSession, queues: Iterable[int]) -> dict[int, OpenHours]:
    """The open hours of those of the queues that ever close."""
    listed = select(Queue.id, Queue.timezone, Queue.hours, Queue.holidays).where(Queue.id.in_(list(queues)))
    found = {row.id: OpenHours(row.timezone, row.hours, row.holidays) for row in await session.execute(listed)}
    return {queue_id: hours for queue_id, hours in found.items() if not hours.always}


async def times(session: AsyncSession, queues: Iterable[int], since: datetime) -> dict[int, Times]:
    """The times of the queues among these that ever close, for their items that arrived since a moment."""
    hours = await hours_of(session, queues)
    return await _counted(session, hours, since) if hours else {}


async def median_response(session: AsyncSession, queues: Iterable[int], since: datetime) -> timedelta | None:
    """The median response of all items together, each by the hours of its queue."""
    wanted = list(queues)
    each = await _counted(session, dict.fromkeys(wanted, ALWAYS) | await hours_of(session, wanted), since)
    seconds = [one for of_queue in each.values() for one in of_queue.responses]
    return timedelta(seconds=median(seconds)) if seconds else None


async def _counted(session: AsyncSession, hours: Mapping[int, OpenHours], since: datetime) -> dict[int, Times]:
    counted: dict[int, Times] = defaultdict(Times)
    for row in await session.execute(_TIMES, {"queues": list(hours), "since": since}):
        open_hours, sums = hours[row.queue_id], counted[row.queue_id]
        if row.taken_at is not None:
            sums.wait += open_hours.between(row.opened_at, row.taken_at)
        if row.answered_at is not None and row.posted_at is not None:
            sums.responses.append(open_hours.between(row.posted_at, row.answered_at))
    return dict(counted)
