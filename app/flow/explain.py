"""Explain: why nobody has a waiting item yet, asked of a kernel that is told of this item, its queue and its people only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict
from app.flow.mirror import Mirror, clock, load_agents, load_items, queue_of
from app.i18n import _
from app.models.agent import Agent, AgentSkill, Presence, Skill
from app.models.assignment import Assignment, Offer
from app.models.item import Item, State
from app.models.queue import Queue, QueueMember
from app.routing.decisions import Candidate, Explanation, Rejection, Upcoming, What
from app.routing.inputs import Policy

SHOWN = (State.OFFERED, State.ACTIVE, State.PARKED)


@dataclass(frozen=True, slots=True)
class Needed:
    """A skill that the item needs now, at this level or above."""

    skill_id: int
    skill: str
    level: int
    asked: int  # the level on arrival


@dataclass(frozen=True, slots=True)
class Able:
    """Somebody who could take it now, with what the queue's policy compares."""

    agent_id: int
    name: str
    available_since: datetime
    spare: int
    margin: int


@dataclass(frozen=True, slots=True)
class Unable:
    """Somebody of the queue who cannot take it now, with the first reason and what is behind it."""

    agent_id: int
    name: str
    reason: Rejection
    state: str  # of presence
    state_reason: str | None
    load: int
    capacity: int
    lacks: tuple[tuple[str, int, int], ...] = ()  # skill, the level needed, theirs (0: none)


@dataclass(frozen=True, slots=True)
class Coming:
    """What time alone will change. Which fields are set follows from `what`; a relax without a level drops the skill."""

    at: datetime
    what: What
    skill: str | None = None
    level: int | None = None
    agent: str | None = None
    queue: str | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """A waiting item: what it needs now, who could take it, why each other cannot, and what happens next."""

    item_id: int
    at: datetime
    queue: str
    paused: bool  # its queue is switched off, so the router leaves it alone
    policy: Policy | None = None
    needs: tuple[Needed, ...] = ()
    candidates: tuple[Able, ...] = ()  # in the policy's order
    rejected: tuple[Unable, ...] = ()  # members of the queue; by name
    reader: Unable | None = None  # whoever asks, a member or not, when they cannot take it
    kept_for: str | None = None  # waits for this agent, who knows the customer
    upcoming: tuple[Coming, ...] = ()  # soonest first


@dataclass(frozen=True, slots=True)
class Decided:
    """How an item came to whom it is with, and the decision that was made, when a router or a supervisor made one."""

    agent_id: int
    agent: str
    how: str  # offer | accept | claim | assign | transfer
    at: datetime
    decision: Mapping[str, object]  # empty when nobody chose, or when it was too long ago


async def explain(session: AsyncSession, item_id: int, reader_id: int | None = None) -> Explained:
    """Why nobody has the item yet; with `reader_id`, also why not they.

    Raises:
        Conflict: it does not wait.
    """
    item = await session.get_one(Item, item_id, populate_existing=True)
    queue = await session.get_one(Queue, item.queue_id, populate_existing=True)
    now = await clock(session)
    if not queue.active:
        return Explained(item_id, now, queue.name, paused=True)
    mirror = Mirror.empty()
    await _tell(session, mirror, item, queue, reader_id)
    try:
        found = mirror.kernel.explain_item(item_id, now)
    except KeyError:
        raise Conflict(_("Item %(item_id)s does not wait any more. Look at it again.") % {"item_id": item_id}) from None
    return await _named(session, found, queue, now, reader_id)


async def decided(session: AsyncSession, item: Item) -> Decided | None:
    """The decision behind an offered or held item; None when nobody has it."""
    if item.agent_id is None or item.state not in SHOWN:
        return None
    agent = await session.get_one(Agent, item.agent_id)
    last = select(Offer).where(Offer.item_id == item.id, Offer.agent_id == agent.id).order_by(Offer.id.desc()).limit(1)
    offer = await session.scalar(last)
    if item.state == State.OFFERED:
        return None if offer is None else Decided(agent.id, agent.name, "offer", offer.made_at, offer.why)
    live = select(Assignment).where(Assignment.item_id == item.id, Assignment.until.is_(None))
    held = (await session.scalars(live)).one()
    why = offer.why if offer is not None and held.began_by == "accept" else {}
    return Decided(agent.id, agent.name, held.began_by, held.since, why)


async def _tell(session: AsyncSession, mirror: Mirror, item: Item, queue: Queue, reader_id: int | None) -> None:
    """The queue and where it overflows to, its members, who knows the customer, who asks, and the item."""
    known = select(Queue).where(Queue.active, Queue.id.in_([queue.id, queue.overflow_queue_id or queue.id]))
    for one in await session.scalars(known):
        mirror.kernel.put_queue(queue_of(one))
        mirror.queues.add(one.id)
    members = await session.scalars(select(QueueMember.agent_id).where(QueueMember.queue_id == queue.id))
    also = {one for one in (item.preferred_agent_id, reader_id) if one is not None}
    await load_agents(session, mirror, {*members, *also})
    await load_items(session, mirror, [item.id])


async def _named(
    session: AsyncSession, found: Explanation, queue: Queue, now: datetime, reader_id: int | None
) -> Explained:
    people = await _people(session, [*(one.agent_id for one in found.candidates), *found.rejected])
    names = {agent_id: agent.name for agent_id, (agent, _presence) in people.items()}
    skills = await _skills(session, [*found.item.requirements, *(one.skill for one in found.upcoming if one.skill)])
    queues = await _queues(session, [one.queue_id for one in found.upcoming if one.queue_id])
    levels = await _levels(session, [a for a, why in found.rejected.items() if why == Rejection.SKILL], found.needs)
    unable = [
        _unable(people[agent_id], reason, _lacks(found.needs, levels.get(agent_id, {}), skills))
        for agent_id, reason in found.rejected.items()
    ]
    return Explained(
        item_id=found.item.id,
        at=now,
        queue=queue.name,
        paused=False,
        policy=queue_of(queue).policy,
        needs=tuple(
            Needed(skill, skills.get(skill, str(skill)), level, found.item.requirements[skill])
            for skill, level in sorted(found.needs.items())
        ),
        candidates=tuple(_able(one, names) for one in found.candidates),
        rejected=tuple(
            sorted((u for u in unable if u.reason != Rejection.NOT_MEMBER), key=lambda one: (one.name, one.agent_id))
        ),
        reader=next((one for one in unable if one.agent_id == reader_id), None),
        kept_for=names.get(found.kept_for) if found.kept_for is not None else None,
        upcoming=tuple(_coming(one, names, skills, queues) for one in found.upcoming if _matters(one, names)),
    )


def _matters(one: Upcoming, names: Mapping[int, str]) -> bool:
    """Who left the queue since they passed on the item is of no interest."""
    return one.agent_id is None or one.agent_id in names


def _able(one: Candidate, names: Mapping[int, str]) -> Able:
    return Able(one.agent_id, names[one.agent_id], one.available_since, one.spare, one.margin)


def _unable(who: tuple[Agent, Presence], reason: Rejection, lacks: tuple[tuple[str, int, int], ...]) -> Unable:
    agent, presence = who
    told = lacks if reason == Rejection.SKILL else ()
    return Unable(
        agent.id, agent.name, reason, presence.state, presence.reason, presence.load, agent.capacity, lacks=told
    )


def _lacks(
    needs: Mapping[int, int], levels: Mapping[int, int], skills: Mapping[int, str]
) -> tuple[tuple[str, int, int], ...]:
    return tuple(
        (skills.get(skill, str(skill)), level, levels.get(skill, 0))
        for skill, level in sorted(needs.items())
        if levels.get(skill, 0) < level
    )


def _coming(one: Upcoming, names: Mapping[int, str], skills: Mapping[int, str], queues: Mapping[int, str]) -> Coming:
    return Coming(
        at=one.at,
        what=one.what,
        skill=skills.get(one.skill, str(one.skill)) if one.skill is not None else None,
        level=one.level,
        agent=names.get(one.agent_id) if one.agent_id is not None else None,
        queue=queues.get(one.queue_id) if one.queue_id is not None else None,
    )


async def _people(session: AsyncSession, ids: Iterable[int]) -> dict[int, tuple[Agent, Presence]]:
    found = select(Agent, Presence).join(Presence, Presence.agent_id == Agent.id).where(Agent.id.in_(set(ids)))
    return {row[0].id: (row[0], row[1]) for row in await session.execute(found)}


async def _skills(session: AsyncSession, ids: Iterable[int]) -> dict[int, str]:
    found = await session.execute(select(Skill.id, Skill.name).where(Skill.id.in_(set(ids))))
    return {row[0]: row[1] for row in found}


async def _queues(session: AsyncSession, ids: Iterable[int]) -> dict[int, str]:
    found = await session.execute(select(Queue.id, Queue.name).where(Queue.id.in_(set(ids))))
    return {row[0]: row[1] for row in found}


async def _levels(session: AsyncSession, agents: Iterable[int], skills: Iterable[int]) -> dict[int, dict[int, int]]:
    levels: dict[int, dict[int, int]] = {}
    theirs = select(AgentSkill).where(AgentSkill.agent_id.in_(set(agents)), AgentSkill.skill_id.in_(set(skills)))
    for one in await session.scalars(theirs):
        levels.setdefault(one.agent_id, {})[one.skill_id] = one.level
    return levels
