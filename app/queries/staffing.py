"""The staffing hint: what came in at this time of the week before, the agents that takes, and who is signed in."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import bindparam, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.agent import Agent, AgentSkill, Presence, PresenceState, Skill
from app.models.history import handling_times
from app.models.queue import Queue, QueueMember
from app.routing.staffing import Load, agents_needed

QUARTER = timedelta(minutes=15)
PER_HOUR = 4  # quarters
QUARTERS = 32  # looked ahead: eight hours
WEEKS = 4  # looked back
WEEK = timedelta(days=7)
Needs: TypeAlias = tuple[tuple[int, int], ...]  # (skill, lowest level)

# What arrived, by what it asked for: the rules decide that on arrival, and the item keeps it.
_ARRIVED = text(
    """
    SELECT i.queue_id, i.requirements, floor(extract(epoch FROM i.opened_at - w.start) / :quarter)::int AS place,
           count(*) AS arrived
    FROM unnest(CAST(:starts AS timestamptz[])) AS w(start)
    JOIN item i ON i.queue_id = ANY(:queues) AND i.opened_at >= w.start AND i.opened_at < w.start + :ahead
    WHERE EXISTS (SELECT 1 FROM event e WHERE e.item_id = i.id AND e.verb = 'open' AND e.changes->>'state' = 'queued')
    GROUP BY 1, 2, 3
    """
).bindparams(bindparam("quarter", QUARTER.total_seconds()), bindparam("ahead", QUARTER * QUARTERS))


@dataclass(frozen=True, slots=True)
class Place:
    """One quarter of an hour: arrivals on average, in items an hour, and the agents that takes."""

    arrivals: float
    need: int


@dataclass(frozen=True, slots=True)
class LaneHint:
    """A queue's items that ask for the same skills: by quarter, beside the agents who could take them."""

    queue_id: int
    queue: str
    needs: tuple[tuple[str, int], ...]  # skill, level
    target: timedelta
    share: int  # per cent
    aht: timedelta
    carried: float  # items of this lane that one of its agents carries at once, on average
    places: tuple[Place, ...]
    able: int  # agents who are members and have the skills
    signed_in: int
    ready: int

    @property
    def most(self) -> int:
        """The greatest need of any quarter."""
        return max((place.need for place in self.places), default=0)


@dataclass(frozen=True, slots=True)
class Staffing:
    """The hint for the next hours. `weeks` is how many weeks the averages are of; 0: there is no history yet."""

    starts: tuple[datetime, ...]
    weeks: int
    lanes: tuple[LaneHint, ...]


@dataclass(frozen=True, slots=True)
class _Member:
    queues: frozenset[int]
    skills: Mapping[int, int]
    capacity: int
    state: PresenceState


@dataclass(frozen=True, slots=True)
class _House:
    members: Sequence[_Member]
    skills: Mapping[int, str]


def _meets(member: _Member, needs: Needs) -> bool:
    return all(member.skills.get(skill, 0) >= level for skill, level in needs)


async def staffing(
    session: AsyncSession, queues: Sequence[int], now: datetime, patience: timedelta | None = None
) -> Staffing:
    """The hint for these queues from the quarter that `now` is in. `now` is in the reader's zone, whose weeks count.

    `patience` is the mean time after which people give up (Erlang A); None: they never do (Erlang C).
    """
    start = now.replace(minute=now.minute - now.minute % 15, second=0, microsecond=0)
    first = await session.scalar(select(func.min(text("opened_at"))).select_from(text("item")))
    weeks = [start - WEEK * back for back in range(1, WEEKS + 1)]  # wall time: a clock change keeps the hour
    weeks = [begun for begun in weeks if first is not None and begun + QUARTER * QUARTERS > first]
    starts = tuple(start + QUARTER * place for place in range(QUARTERS))
    if not weeks:
        return Staffing(starts, 0, ())
    counts = await _counts(session, queues, weeks)
    times = await handling_times(session, weeks[-1], now)
    rows = {row.id: row for row in await session.scalars(select(Queue).where(Queue.id.in_(queues)))}
    house = _House(await _members(session), dict(list(await session.execute(select(Skill.id, Skill.name)))))
    lanes = []
    for (queue_id, needs), places in counts.items():
        seconds = times.get(queue_id)
        if seconds:
            aht = sum(seconds) / len(seconds)
            averages = [places.get(place, 0) / len(weeks) for place in range(QUARTERS)]
            lanes.append(_lane(rows[queue_id], needs, averages, aht=aht, house=house, patience=patience))
    return Staffing(starts, len(weeks), tuple(sorted(lanes, key=lambda lane: (lane.queue.casefold(), lane.needs))))


async def _counts(
    session: AsyncSession, queues: Sequence[int], weeks: Sequence[datetime]
) -> dict[tuple[int, Needs], dict[int, int]]:
    counts: defaultdict[tuple[int, Needs], dict[int, int]] = defaultdict(dict)
    for row in await session.execute(_ARRIVED, {"starts": list(weeks), "queues": list(queues)}):
        needs = tuple(sorted((int(skill), level) for skill, level in row.requirements.items()))
        counts[row.queue_id, needs][row.place] = row.arrived
    return dict(counts)


async def _members(session: AsyncSession) -> list[_Member]:
    queues: defaultdict[int, set[int]] = defaultdict(set)
    for agent_id, queue_id in await session.execute(select(QueueMember.agent_id, QueueMember.queue_id)):
        queues[agent_id].add(queue_id)
    skills: defaultdict[int, dict[int, int]] = defaultdict(dict)
    for agent_id, skill_id, level in await session.execute(
        select(AgentSkill.agent_id, AgentSkill.skill_id, AgentSkill.level)
    ):
        skills[agent_id][skill_id] = level
    people = select(Agent.id, Agent.capacity, Presence.state).join(Presence, Presence.agent_id == Agent.id)
    rows: Any = await session.execute(people.where(Agent.active))
    return [_Member(frozenset(queues[i]), skills[i], capacity, PresenceState(state)) for i, capacity, state in rows]


def _lane(
    queue: Queue, needs: Needs, averages: Sequence[float], *, aht: float, house: _House, patience: timedelta | None
) -> LaneHint:
    able = [m for m in house.members if queue.id in m.queues and _meets(m, needs)]
    carried = max(1.0, sum(m.capacity // queue.weight for m in able) / len(able)) if able else 1.0
    left = max(0.0, queue.target - aht)  # the target runs until the answer, which stands at the end of the handling
    given = None if patience is None else patience.total_seconds()
    places = []
    for average in averages:
        slots = agents_needed(Load(average * PER_HOUR, aht, given), left, queue.target_share / 100)
        places.append(Place(average * PER_HOUR, math.ceil(slots / carried)))
    return LaneHint(
        queue_id=queue.id,
        queue=queue.name,
        needs=tuple((house.skills.get(skill, str(skill)), level) for skill, level in needs),
        target=timedelta(seconds=queue.target),
        share=queue.target_share,
        aht=timedelta(seconds=aht),
        carried=carried,
        places=tuple(places),
        able=len(able),
        signed_in=sum(member.state != PresenceState.OFFLINE for member in able),
        ready=sum(member.state == PresenceState.READY for member in able),
    )
