"""What the events of the past tell: how long items were in agents' hands, and when agents were in."""

from collections import defaultdict
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


async def presences(
    session: AsyncSession, since: datetime, until: datetime
) -> dict[int, tuple[tuple[datetime, datetime], ...]]:
    """When each agent was in, as far as what they did tells: spans without a longer silence than PAUSE, and a TAIL."""
    found: defaultdict[int, list[tuple[datetime, datetime]]] = defaultdict(list)
    for row in await session.execute(_IN, {"since": since, "until": until}):
        found[row.agent_id].append((row.since, min(row.until, until)))
    return {agent_id: tuple(spans) for agent_id, spans in found.items()}
