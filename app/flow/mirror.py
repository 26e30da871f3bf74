"""What the kernel is told of the database: queues, agents and waiting items, all at once or those that changed."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from psycopg.rows import tuple_row
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import driver
from app.models.agent import Agent, AgentSkill, Presence, PresenceState
from app.models.queue import Policy as Chosen
from app.models.queue import Queue, QueueMember
from app.routing import inputs
from app.routing.kernel import Kernel

POLICIES = {
    Chosen.LONGEST: inputs.Policy.LONGEST_AVAILABLE,
    Chosen.SPARE: inputs.Policy.MOST_SPARE,
    Chosen.SKILLED: inputs.Policy.BEST_SKILLED,
}
_ITEMS = """
    SELECT i.id, i.version, i.queue_id, i.rank, i.ready_at, i.channel, i.requirements::text, i.steps::text, i.weight,
           i.preferred_agent_id, q.prefer_seconds, i.emergency
    FROM item i JOIN queue q ON q.id = i.queue_id
    WHERE i.state = 'queued' AND q.active
"""
# Who refused an item of late or gave it back, and which queues it overflowed from.
_PASTS = """
    SELECT i.id, r.refused, l.queues
    FROM item i
    JOIN queue q ON q.id = i.queue_id
    LEFT JOIN LATERAL (
        SELECT jsonb_object_agg(o.agent_id, o.until) AS refused FROM (
            SELECT p.agent_id, max(p.at) + make_interval(secs => q.reoffer_after) AS until FROM (
                SELECT o.agent_id, o.ended_at AS at FROM offer o
                WHERE o.item_id = i.id AND o.outcome IN ('declined', 'expired')
                UNION ALL
                SELECT a.agent_id, a.until FROM assignment a
                WHERE a.item_id = i.id AND a.ended_by IN ('release', 'transfer')) p
            WHERE p.at > now() - make_interval(secs => q.reoffer_after)
            GROUP BY p.agent_id) o
    ) r ON true
    LEFT JOIN LATERAL (
        SELECT array_agg((e.why ->> 'from')::bigint) AS queues FROM event e
        WHERE e.item_id = i.id AND e.verb = 'overflow'
    ) l ON true
    WHERE i.state = 'queued' AND (r.refused IS NOT NULL OR l.queues IS NOT NULL)
"""
_TOUCHED = " AND i.version > 1"  # an item that nothing was done to has no such past
_THESE = " AND i.id = ANY(%s::bigint[])"

_CHANGED = text("SELECT DISTINCT item_id FROM event WHERE id > :after")
_LAST_EVENT = text("SELECT coalesce(max(id), 0) FROM event")

Past: TypeAlias = tuple[Mapping[int, datetime], frozenset[int]]  # who refused until when, and the queues it left
NO_PAST: Past = ({}, frozenset())


@dataclass(slots=True)
class Mirror:
    """The kernel and whom it knows; `after` is the newest event when everything was read."""

    kernel: Kernel
    roster: set[int] = field(default_factory=set)
    queues: set[int] = field(default_factory=set)
    after: int = 0

    @classmethod
    def empty(cls) -> "Mirror":
        """Knowing nothing yet."""
        return cls(Kernel())


async def clock(session: AsyncSession) -> datetime:
    """The database's time: the only one that decisions are made by."""
    now: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    return now


async def load_all(session: AsyncSession) -> Mirror:
    """Tell a new kernel everything."""
    mirror = Mirror.empty()
    mirror.after = (await session.execute(_LAST_EVENT)).scalar_one()
    await load_house(session, mirror)
    for item in await _items(session):
        mirror.kernel.put_item(item)
    return mirror


async def load_house(session: AsyncSession, mirror: Mirror) -> bool:
    """Tell the kernel the queues and the agents as they are; what did not change costs it nothing.

    True when a queue was switched off: then a new kernel has to be told everything.
    """
    found = select(Queue).where(Queue.active).order_by(Queue.id).execution_options(populate_existing=True)
    active: set[int] = set()
    for queue in await session.scalars(found):
        mirror.kernel.put_queue(queue_of(queue))
        active.add(queue.id)
    gone = mirror.queues - active
    mirror.queues = active
    known = set(await session.scalars(select(Agent.id)))
    await load_agents(session, mirror, known | mirror.roster)
    return bool(gone)


async def load_agents(session: AsyncSession, mirror: Mirror, ids: Iterable[int]) -> None:
    """Tell the kernel how these agents stand now."""
    wanted = set(ids)
    found = await _agents(session, sorted(wanted))
    for agent in found:
        mirror.kernel.put_agent(agent)
    there = {agent.id for agent in found}
    for agent_id in wanted - there:
        mirror.kernel.drop_agent(agent_id)
    mirror.roster = (mirror.roster - wanted) | there


async def load_items(session: AsyncSession, mirror: Mirror, ids: Iterable[int]) -> None:
    """Tell the kernel how these items stand now: waiting, or not any more."""
    wanted = set(ids)
    if not wanted:
        return
    found = {item.id: item for item in await _items(session, sorted(wanted))}
    if any(item.queue_id not in mirror.queues for item in found.values()):
        await load_house(session, mirror)
    for item_id in wanted - found.keys():
        mirror.kernel.drop_item(item_id)
    for item in found.values():
        mirror.kernel.put_item(item)


async def changed_since(session: AsyncSession, after: int) -> set[int]:
    """Items with events after this one: every change of an item writes one, so nothing is missed for good."""
    return set(await session.scalars(_CHANGED, {"after": after}))


async def last_event(session: AsyncSession) -> int:
    """The newest event's id."""
    return int((await session.execute(_LAST_EVENT)).scalar_one())


async def _items(session: AsyncSession, ids: list[int] | None = None) -> Iterator[inputs.Item]:
    """The waiting items, or those of these that wait. There may be a hundred thousand: plain rows in binary."""
    raw = await driver(session)
    which, bound = ("", []) if ids is None else (_THESE, [ids])
    async with raw.cursor(binary=True, row_factory=tuple_row) as cursor:
        await cursor.execute(_PASTS + (which or _TOUCHED), bound)
        pasts = {item_id: (_refused(by), frozenset(left or ())) for item_id, by, left in await cursor.fetchall()}
        await cursor.execute(_ITEMS + which, bound)
        return _told(await cursor.fetchall(), pasts)


def _told(rows: Iterable[tuple[Any, ...]], pasts: Mapping[int, Past]) -> Iterator[inputs.Item]:
    """Items' rows as the kernel wants them. Few kinds of requirements and steps stand in many rows: each is read once."""
    needs: dict[str, Mapping[int, int]] = {}
    ladders: dict[str, tuple[inputs.Step, ...]] = {}
    for row in rows:
        item_id, version, queue_id, rank, ready_at, channel, requirements, steps, *rest = row
        weight, preferred, prefer_seconds, emergency = rest
        if requirements not in needs:
            needs[requirements] = {int(skill): level for skill, level in json.loads(requirements).items()}
        if steps not in ladders:
            ladders[steps] = tuple(
                inputs.Step(step["after"], int(step["skill"]), step.get("level")) for step in json.loads(steps)
            )
        refused, left = pasts.get(item_id, NO_PAST)
        yield inputs.Item(
            item_id, version, queue_id, rank, ready_at, channel, needs[requirements], ladders[steps], weight,
            preferred, prefer_seconds, refused, emergency, left,
        )  # fmt: skip


def _refused(by: Mapping[str, str] | None) -> dict[int, datetime]:
    return {int(agent): datetime.fromisoformat(until) for agent, until in (by or {}).items()}


def queue_of(queue: Queue) -> inputs.Queue:
    """A queue's row as the kernel wants it."""
    return inputs.Queue(
        id=queue.id,
        policy=POLICIES[Chosen(queue.policy)],
        emergency_over=queue.emergency_over,
        overflow_to=queue.overflow_queue_id,
        overflow_after=queue.overflow_after,
        overflow_when_nobody=queue.overflow_when_nobody,
    )


_LOADS = text(
    """
    SELECT agent_id, channel, count(*) AS held, count(*) FILTER (WHERE state = 'offered') AS asked
    FROM item WHERE agent_id = ANY(CAST(:ids AS bigint[])) AND state IN ('offered', 'active')
    GROUP BY agent_id, channel
    """
)


async def _agents(session: AsyncSession, ids: list[int]) -> list[inputs.Agent]:
    """Those of these agents who are active, with what they can do and what they carry."""
    rows = await session.execute(
        select(
            Presence.agent_id, Presence.state, Presence.available_since, Presence.load, Agent.capacity,
            Agent.channel_caps,
        ).join(Agent, Agent.id == Presence.agent_id).where(Agent.active, Agent.id.in_(ids))
    )  # fmt: skip
    queues: dict[int, set[int]] = {}
    members = select(QueueMember.agent_id, QueueMember.queue_id).where(QueueMember.agent_id.in_(ids))
    for agent_id, queue_id in await session.execute(members):
        queues.setdefault(agent_id, set()).add(queue_id)
    skills: dict[int, dict[int, int]] = {}
    levels = select(AgentSkill.agent_id, AgentSkill.skill_id, AgentSkill.level).where(AgentSkill.agent_id.in_(ids))
    for agent_id, skill_id, level in await session.execute(levels):
        skills.setdefault(agent_id, {})[skill_id] = level
    loads: dict[int, dict[str, int]] = {}
    asked: dict[int, int] = {}
    for row in await session.execute(_LOADS, {"ids": ids}):
        loads.setdefault(row.agent_id, {})[row.channel] = row.held
        asked[row.agent_id] = asked.get(row.agent_id, 0) + row.asked
    return [
        inputs.Agent(
            id=row.agent_id,
            queues=frozenset(queues.get(row.agent_id, ())),
            available_since=row.available_since,
            skills=skills.get(row.agent_id, {}),
            capacity=row.capacity,
            load=row.load,
            caps=row.channel_caps,
            loads=loads.get(row.agent_id, {}),
            ready=row.state == PresenceState.READY,
            present=row.state != PresenceState.OFFLINE,
            asked=asked.get(row.agent_id, 0),
        )
        for row in rows
    ]
