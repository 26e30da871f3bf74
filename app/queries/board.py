"""The supervisor board: what waits, what is being done, who does it. Only the queues and people that the reader may see."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.agent import Agent, PresenceState, Role, TeamMember
from app.models.item import State
from app.models.queue import Queue

COUNTED = 10_000  # a queue's waiting items are counted up to this
RISK = 0.25  # of the answering time left: from here on an item is due soon
MOST_LATE = 8  # items listed as the next to be late

# Waiting items come by the index on (queue_id, rank) of queued items alone; held ones by the index on their holder.
_NUMBERS = text(
    """
    SELECT q.id, q.name, q.target, q.target_share, w.*, h.*, r.*
    FROM queue q
    CROSS JOIN LATERAL (
        SELECT count(*) AS waiting, min(i.ready_at) AS oldest,
               count(*) FILTER (WHERE i.due_at < now()) AS late_waiting,
               count(*) FILTER (WHERE i.due_at >= now() AND i.due_at < now() + make_interval(secs => q.target * :risk)) AS soon_waiting
        FROM (SELECT ready_at, due_at FROM item WHERE queue_id = q.id AND state = 'queued'
              ORDER BY rank, id LIMIT :counted) i
    ) w
    LEFT JOIN LATERAL (
        SELECT count(*) FILTER (WHERE state = 'offered') AS offered, count(*) FILTER (WHERE state = 'active') AS active,
               count(*) FILTER (WHERE state = 'parked') AS parked,
               count(*) FILTER (WHERE unanswered AND due_at < now()) AS late_held,
               count(*) FILTER (WHERE unanswered AND due_at >= now() AND due_at < now() + make_interval(secs => q.target * :risk)) AS soon_held
        FROM (SELECT state, due_at, state <> 'parked' AND (answered_at IS NULL OR answered_at < ready_at) AS unanswered
              FROM item
              WHERE queue_id = q.id AND agent_id IS NOT NULL AND state IN ('offered', 'active', 'parked')) held
    ) h ON true
    LEFT JOIN LATERAL (
        SELECT count(*) AS members, count(*) FILTER (WHERE p.state = 'ready') AS ready
        FROM queue_member m JOIN agent a ON a.id = m.agent_id AND a.active JOIN presence p ON p.agent_id = a.id
        WHERE m.queue_id = q.id
    ) r ON true
    WHERE q.id = ANY(:queues)
    ORDER BY lower(q.name)
    """
).bindparams(bindparam("risk", RISK), bindparam("counted", COUNTED))

_PEOPLE = text(
    """
    SELECT a.id, a.name, a.capacity, p.state, p.reason, p.since, p.load,
           coalesce(jsonb_agg(jsonb_build_object(
               'id', i.id, 'state', i.state, 'channel', i.channel, 'due_at', i.due_at, 'queue', q.name,
               'name', coalesce(nullif(u.name, ''), u.handle)) ORDER BY i.due_at) FILTER (WHERE i.id IS NOT NULL), '[]')
               AS holdings
    FROM agent a
    JOIN presence p ON p.agent_id = a.id
    LEFT JOIN item i ON i.agent_id = a.id AND i.state IN ('offered', 'active') AND i.queue_id = ANY(:queues)
    LEFT JOIN queue q ON q.id = i.queue_id
    LEFT JOIN author u ON u.id = i.author_id
    WHERE a.active AND a.id = ANY(:agents)
    GROUP BY a.id, p.agent_id
    ORDER BY lower(a.name), a.id
    """
)

_LATE = text(
    """
    SELECT i.id, i.state, i.channel, i.due_at, q.name AS queue, q.target, coalesce(nullif(u.name, ''), u.handle) AS name,
           a.name AS holder
    FROM unnest(CAST(:queues AS bigint[])) AS wanted
    CROSS JOIN LATERAL (
        (SELECT id FROM item WHERE queue_id = wanted AND state = 'queued' ORDER BY rank, id LIMIT 200)
        UNION ALL
        (SELECT id FROM item WHERE agent_id IS NOT NULL AND state IN ('offered', 'active') AND queue_id = wanted
                AND (answered_at IS NULL OR answered_at < ready_at) LIMIT 500)
    ) candidate
    JOIN item i ON i.id = candidate.id
    JOIN queue q ON q.id = i.queue_id
    JOIN author u ON u.id = i.author_id
    LEFT JOIN agent a ON a.id = i.agent_id
    ORDER BY i.due_at, i.id
    LIMIT :most
    """
)


@dataclass(frozen=True, slots=True)
class QueueNow:
    """One queue as it stands. `waiting` is counted up to COUNTED; in progress is what agents hold and work on."""

    id: int
    name: str
    target: timedelta
    target_share: int
    waiting: int
    oldest: datetime | None
    offered: int
    active: int
    parked: int
    late: int  # unanswered past their time: waiting, offered or active
    soon: int  # unanswered, with less than RISK of their time left
    members: int
    ready: int


@dataclass(frozen=True, slots=True)
class Holding:
    """What somebody is on."""

    item_id: int
    state: State
    channel: str
    due_at: datetime
    queue: str
    name: str  # of the customer


@dataclass(frozen=True, slots=True)
class Person:
    """An agent: state, load against capacity, and the items in hand that the reader may see."""

    id: int
    name: str
    capacity: int
    state: PresenceState
    reason: str | None
    since: datetime
    load: int
    holdings: tuple[Holding, ...]


@dataclass(frozen=True, slots=True)
class Late:
    """An unanswered item whose time is up first, of those in hand and the next 200 to be served in each queue."""

    item_id: int
    state: State
    channel: str
    due_at: datetime
    queue: str
    target: timedelta
    name: str
    holder: str | None

    def risky(self, now: datetime) -> bool:
        """Whether little of its time is left."""
        return self.due_at - now < self.target * RISK


@dataclass(frozen=True, slots=True)
class Board:
    """Everything at one moment of the database's clock."""

    now: datetime
    queues: tuple[QueueNow, ...]
    people: tuple[Person, ...]
    late: tuple[Late, ...]

    def count(self, state: PresenceState) -> int:
        """How many people are in a state."""
        return sum(person.state == state for person in self.people)

    def total(self, name: str) -> int:
        """The sum of a number over the queues."""
        return sum(getattr(queue, name) for queue in self.queues)

    @property
    def oldest(self) -> datetime | None:
        """Since when the longest waiting item waits."""
        return min((queue.oldest for queue in self.queues if queue.oldest), default=None)


async def watched_queues(session: AsyncSession, visible: Select[Any]) -> list[int]:
    """The active queues among those that the reader may see (`app.flow.visibility`)."""
    mine = select(Queue.id).where(Queue.active, Queue.id.in_(visible)).order_by(Queue.id)
    return list(await session.scalars(mine))


async def board(session: AsyncSession, reader: Agent, queues: Sequence[int]) -> Board:
    """The board of these queues, and of the people whom a supervisor (their teams) or an admin (all) watches."""
    agents = list(await session.scalars(_watched(reader)))
    now = (await session.execute(select(func.now()))).scalar_one()
    numbers = await session.execute(_NUMBERS, {"queues": queues})
    people = await session.execute(_PEOPLE, {"queues": queues, "agents": agents})
    late = await session.execute(_LATE, {"queues": queues, "most": MOST_LATE})
    return Board(
        now=now,
        queues=tuple(_queue(row) for row in numbers),
        people=tuple(_person(row) for row in people),
        late=tuple(_late(row) for row in late),
    )


def _watched(reader: Agent) -> Select[Any]:
    """The people a reader watches: all for an admin, those of the same teams for a supervisor."""
    agents = select(Agent.id).where(Agent.active)
    if reader.is_at_least(Role.ADMIN):
        return agents
    teams = select(TeamMember.team_id).where(TeamMember.agent_id == reader.id)
    return agents.where(Agent.id.in_(select(TeamMember.agent_id).where(TeamMember.team_id.in_(teams))))


def _queue(row: Any) -> QueueNow:
    return QueueNow(
        id=row.id,
        name=row.name,
        target=timedelta(seconds=row.target),
        target_share=row.target_share,
        waiting=row.waiting,
        oldest=row.oldest,
        offered=row.offered,
        active=row.active,
        parked=row.parked,
        late=row.late_waiting + row.late_held,
        soon=row.soon_waiting + row.soon_held,
        members=row.members,
        ready=row.ready,
    )


def _late(row: Any) -> Late:
    target = timedelta(seconds=row.target)
    return Late(row.id, State(row.state), row.channel, row.due_at, row.queue, target, row.name, row.holder)


def _person(row: Any) -> Person:
    held: Sequence[dict[str, Any]] = row.holdings
    return Person(
        id=row.id,
        name=row.name,
        capacity=row.capacity,
        state=PresenceState(row.state),
        reason=row.reason,
        since=row.since,
        load=row.load,
        holdings=tuple(
            Holding(
                one["id"],
                State(one["state"]),
                one["channel"],
                datetime.fromisoformat(one["due_at"]),
                one["queue"],
                one["name"],
            )
            for one in held
        ),
    )
