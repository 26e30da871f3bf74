"""What the events of the past tell: how items were handled, refused and parked, and when agents were in."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

MOST_TIMES = 5_000  # newest handling times of each queue that are looked at
PAUSE = timedelta(hours=1)  # an agent who did nothing for longer was not in
TAIL = timedelta(minutes=10)  # and was in for so long after the last thing they did

# Time in an agent's hands: from each event that made the item active to the next that changed its state.
_TIMES = text(
    """
    WITH ended AS (
        SELECT id, queue_id FROM (
            SELECT id, queue_id, row_number() OVER (PARTITION BY queue_id ORDER BY opened_at DESC, id DESC) AS place
            FROM item WHERE opened_at >= :since AND opened_at < :until AND state = 'closed'
        ) i WHERE place <= :most
    ), moves AS (
        SELECT e.item_id, e.changes->>'state' AS state,
               lead(e.at) OVER (PARTITION BY e.item_id ORDER BY e.id) - e.at AS took
        FROM ended JOIN event e ON e.item_id = ended.id
        WHERE e.changes ? 'state'
    )
    SELECT ended.queue_id, extract(epoch FROM sum(m.took))::float AS seconds
    FROM moves m JOIN ended ON ended.id = m.item_id
    WHERE m.state = 'active'
    GROUP BY ended.queue_id, m.item_id
    HAVING sum(m.took) > interval '0'
    ORDER BY 1, 2
    """
).bindparams(bindparam("most", MOST_TIMES))

# What became of each offer, and how long each parking took.
_HABITS = text(
    """
    WITH ended AS (
        SELECT id, queue_id FROM (
            SELECT id, queue_id, row_number() OVER (PARTITION BY queue_id ORDER BY opened_at DESC, id DESC) AS place
            FROM item WHERE opened_at >= :since AND opened_at < :until AND state = 'closed'
        ) i WHERE place <= :most
    ), moves AS (
        SELECT e.item_id, e.verb, lead(e.verb) OVER one AS next, lead(e.at) OVER one - e.at AS took
        FROM ended JOIN event e ON e.item_id = ended.id
        WHERE e.changes ? 'state'
        WINDOW one AS (PARTITION BY e.item_id ORDER BY e.id)
    )
    SELECT ended.queue_id, m.item_id, m.verb, m.next, extract(epoch FROM m.took)::float AS seconds
    FROM moves m JOIN ended ON ended.id = m.item_id
    WHERE m.took IS NOT NULL
    ORDER BY 1, 2, 5
    """
).bindparams(bindparam("most", MOST_TIMES))
ENDS = frozenset({"accept", "decline", "expire"})

_IN = text(
    """
    WITH acts AS (
        SELECT agent_id, at, lag(at) OVER (PARTITION BY agent_id ORDER BY at) AS earlier
        FROM event WHERE agent_id IS NOT NULL AND actor = 'agent' AND at >= :since AND at < :until
    ), spans AS (
        SELECT agent_id, at,
               count(*) FILTER (WHERE earlier IS NULL OR at - earlier > :pause)
                   OVER (PARTITION BY agent_id ORDER BY at) AS span
        FROM acts
    )
    SELECT agent_id, min(at) AS since, max(at) + :tail AS until FROM spans GROUP BY agent_id, span ORDER BY 1, 2
    """
).bindparams(bindparam("pause", PAUSE), bindparam("tail", TAIL))


async def handling_times(session: AsyncSession, since: datetime, until: datetime) -> dict[int, list[float]]:
    """Seconds in agents' hands of the items that came in the stretch and are closed, in order, by queue.

    From accept or claim to close; time parked, or back in the queue in between, does not count.
    """
    found: defaultdict[int, list[float]] = defaultdict(list)
    for row in await session.execute(_TIMES, {"since": since, "until": until}):
        found[row.queue_id].append(row.seconds)
    return dict(found)


@dataclass(slots=True)
class Habits:
    """What agents did with the items of one queue that came in a stretch and are closed. Times in seconds, in order."""

    items: int = 0
    offers: int = 0  # that were accepted, declined or not answered
    refused: list[float] = field(default_factory=list)  # how long each took that was declined or not answered
    parked: list[float] = field(default_factory=list)  # how long each item was put aside that was

    @property
    def refused_share(self) -> float:
        """Refused offers / offers that were answered or ran out."""
        return len(self.refused) / self.offers if self.offers else 0.0

    @property
    def parked_share(self) -> float:
        """Items that were put aside / items."""
        return len(self.parked) / self.items if self.items else 0.0


async def habits(session: AsyncSession, since: datetime, until: datetime) -> dict[int, Habits]:
    """How offers were answered and items parked, by queue; of the newest MOST_TIMES items of each."""
    found: defaultdict[int, Habits] = defaultdict(Habits)
    parked: defaultdict[tuple[int, int], float] = defaultdict(float)
    seen: set[int] = set()
    for row in await session.execute(_HABITS, {"since": since, "until": until}):
        queue = found[row.queue_id]
        queue.items += row.item_id not in seen
        seen.add(row.item_id)
        if row.verb == "offer" and row.next in ENDS:
            queue.offers += 1
            if row.next != "accept":
                queue.refused.append(row.seconds)
        if row.verb == "park":
            parked[row.queue_id, row.item_id] += row.seconds
    for (queue_id, _item), seconds in parked.items():
        found[queue_id].parked.append(seconds)
    for queue in found.values():
        queue.refused.sort()
        queue.parked.sort()
    return dict(found)


async def presences(
    session: AsyncSession, since: datetime, until: datetime
) -> dict[int, tuple[tuple[datetime, datetime], ...]]:
    """When each agent was in, as far as what they did tells: spans without a longer silence than PAUSE, and a TAIL."""
    found: defaultdict[int, list[tuple[datetime, datetime]]] = defaultdict(list)
    for row in await session.execute(_IN, {"since": since, "until": until}):
        found[row.agent_id].append((row.since, min(row.until, until)))
    return {agent_id: tuple(spans) for agent_id, spans in found.items()}
