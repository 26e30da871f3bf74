"""Pull: an agent takes the item that is next for them, without looking for it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict
from app.flow.claim import claim
from app.i18n import _
from app.models.agent import Agent, AgentSkill, Presence
from app.models.item import Item
from app.models.sight import visible_queues

TRIES = 3  # every one of the first is being taken by somebody: look again
DEPTH = 20  # items looked at in each lane
MOST = 50  # of them tried to be locked

# The first items of each lane in the agent's sight, found by walking from lane to lane along the index of lanes. Left
# out: what they declined, missed or gave back of late, and what still waits for the colleague who knows the customer.
_HEADS = text(
    """
    WITH RECURSIVE lanes AS (
        (SELECT lane, queue_id FROM item WHERE state = 'queued' ORDER BY lane LIMIT 1)
        UNION ALL
        SELECT n.lane, n.queue_id FROM lanes l CROSS JOIN LATERAL (
            SELECT lane, queue_id FROM item WHERE state = 'queued' AND lane > l.lane ORDER BY lane LIMIT 1) n
    ), served AS (
        SELECT l.lane, q.prefer_seconds, EXISTS (
            SELECT FROM queue_member m WHERE m.queue_id = q.id AND m.agent_id = :agent) AS own
        FROM lanes l JOIN queue q ON q.id = l.queue_id
        WHERE q.active AND q.id = ANY(:queues)
    ), refused AS (
        SELECT o.item_id FROM offer o JOIN item i ON i.id = o.item_id JOIN queue q ON q.id = i.queue_id
        WHERE o.agent_id = :agent AND o.outcome IN ('declined', 'expired')
          AND o.ended_at > now() - make_interval(secs => q.reoffer_after)
        UNION ALL
        SELECT a.item_id FROM assignment a JOIN item i ON i.id = a.item_id JOIN queue q ON q.id = i.queue_id
        WHERE a.agent_id = :agent AND a.ended_by IN ('release', 'transfer')
          AND a.until > now() - make_interval(secs => q.reoffer_after)
    )
    SELECT h.id, h.requirements, h.steps, h.ready_at, now() AS now
    FROM served s CROSS JOIN LATERAL (
        SELECT i.id, i.rank, i.requirements, i.steps, i.ready_at FROM item i
        WHERE i.state = 'queued' AND i.lane = s.lane AND i.id NOT IN (SELECT item_id FROM refused)
          AND (i.preferred_agent_id IS NULL OR i.preferred_agent_id = :agent
               OR i.ready_at + make_interval(secs => s.prefer_seconds) <= now())
        ORDER BY i.rank, i.id LIMIT :depth) h
    ORDER BY s.own DESC, h.rank, h.id
    """
)
# Whoever is taking one, or the router who offers it, has it locked: the next is taken instead.
_LOCK = text(
    """
    SELECT id FROM item WHERE id = ANY(:ids) AND state = 'queued'
    ORDER BY array_position(CAST(:ids AS bigint[]), id) LIMIT 1 FOR UPDATE SKIP LOCKED
    """
)


async def pull(session: AsyncSession, agent: Agent) -> Item | None:
    """Claim the best waiting item for the agent; None when nothing waits that they could serve.

    The queues they serve come before the others in their sight, then it goes by rank. They have the skills that the
    item needs by now. Two who pull at once get different items.

    Raises:
        Conflict: they carry as much as they can, or colleagues were quicker each time.
    """
    await _refuse_full_hands(session, agent)
    found: Sequence[int] = ()
    for _try in range(TRIES):
        found = await _fitting(session, agent)
        if not found:
            return None
        item_id = await session.scalar(_LOCK, {"ids": found[:MOST]})
        if item_id is not None:
            return await claim(session, agent, item_id)
    raise Conflict(_("Colleagues were quicker. Try again."))


async def _refuse_full_hands(session: AsyncSession, agent: Agent) -> None:
    load = await session.scalar(select(Presence.load).where(Presence.agent_id == agent.id)) or 0
    if load >= max(agent.capacity, 1):  # who has no capacity at all, as an admin, may still take one by hand
        raise Conflict(_("You hold as much as you can carry. Close, park or give something back first."))


async def _fitting(session: AsyncSession, agent: Agent) -> Sequence[int]:
    known = await session.execute(select(AgentSkill.skill_id, AgentSkill.level).where(AgentSkill.agent_id == agent.id))
    skills = {row[0]: row[1] for row in known}
    queues = list(await session.scalars(visible_queues(agent)))
    heads = await session.execute(_HEADS, {"agent": agent.id, "queues": queues, "depth": DEPTH})
    return [row.id for row in heads if _meets(skills, row)]


def _meets(skills: dict[int, int], row: Any) -> bool:
    """Whether the agent has what the item needs by now; see app/routing/rules.py, which says it of the router's items."""
    needs = {int(skill): level for skill, level in row.requirements.items()}
    waited = (row.now - row.ready_at).total_seconds()
    for step in row.steps:
        skill = int(step["skill"])
        if skill in needs and step["after"] <= waited:
            level = step.get("level")
            needs[skill] = 0 if level is None else min(needs[skill], level)
    return all(skills.get(skill, 0) >= level for skill, level in needs.items())
