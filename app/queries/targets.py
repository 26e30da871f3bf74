"""Where an item can be sent, and whom one can ask: colleagues, queues and skills by name, a few at a time."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Select, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.agent import Agent, AgentSkill, Presence, Skill
from app.models.item import Item, State
from app.models.queue import Queue

MOST = 12  # of each kind
COUNTED = 1000


@dataclass(frozen=True, slots=True)
class QueueTarget:
    """A queue that takes items, and how many wait there (up to COUNTED)."""

    id: int
    name: str
    waiting: int


@dataclass(frozen=True, slots=True)
class SkillTarget:
    """A skill, how many colleagues have it, and what the item asks of it now (0: nothing)."""

    id: int
    name: str
    people: int
    asked: int


def like(found: str) -> str:
    """A pattern for ILIKE: anywhere in the name, what is typed taken as it is."""
    escaped = found.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


async def queues_named(session: AsyncSession, found: str, besides: int) -> list[QueueTarget]:
    """Queues other than the one where the item is."""
    waits = (
        select(Item.id).where(Item.queue_id == Queue.id, Item.state == State.QUEUED).limit(COUNTED).correlate(Queue)
    ).subquery()
    count = select(func.count()).select_from(waits.lateral()).lateral()
    query = (
        select(Queue.id, Queue.name, count.c[0])
        .join(count, text("true"))
        .where(Queue.active, Queue.id != besides, Queue.name.ilike(like(found)))
        .order_by(func.lower(Queue.name))
        .limit(MOST)
    )
    return [QueueTarget(*row) for row in await session.execute(query)]


async def skills_named(session: AsyncSession, found: str, needs: Mapping[str, int]) -> list[SkillTarget]:
    """Skills that somebody has."""
    people = func.count(AgentSkill.agent_id)
    query = (
        select(Skill.id, Skill.name, people)
        .join(AgentSkill, AgentSkill.skill_id == Skill.id)
        .join(Agent, (Agent.id == AgentSkill.agent_id) & Agent.active)
        .where(Skill.name.ilike(like(found)))
        .group_by(Skill.id)
        .order_by(func.lower(Skill.name))
        .limit(MOST)
    )
    return [SkillTarget(row[0], row[1], row[2], needs.get(str(row[0]), 0)) for row in await session.execute(query)]


async def people_named(
    session: AsyncSession, among: Select[Agent, Presence], found: str, besides: int | None
) -> list[tuple[Agent, Presence]]:
    """Some of the people of `among`, who is ready first."""
    query = (
        among.where(Agent.name.ilike(like(found)), Agent.id != (besides or 0))
        .order_by(None)
        .order_by(Presence.state != "ready", Presence.state == "offline", Agent.name, Agent.id)
        .limit(MOST)
    )
    return [(row[0], row[1]) for row in await session.execute(query)]
