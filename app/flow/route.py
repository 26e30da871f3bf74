"""Routing: who leads, what waits, who is ready; the kernel decides, fenced offers are made of it.

One router decides at a time: it holds the lease row at an epoch. Every transaction that makes offers checks the epoch
under a lock, so a router that was frozen and wakes after its lease is refused; and each offer is guarded by state,
version and load, so even two that both believe they lead cannot double-assign or overfill.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.flow.offer import Proposal, asked, make_offer
from app.models.agent import Agent, AgentSkill, Presence, PresenceState
from app.models.assignment import RouterLease
from app.models.queue import QueueMember
from app.routing.kernel import Match, ReadyAgent, WaitingItem, match

LEASE = timedelta(seconds=3)
MOST_OFFERS = 200  # in one transaction
SPARE_HEADS = 20  # looked at in each lane beyond the room there is, for items that were refused lately
MOST_TOLD = 12  # candidates and rejections kept with a decision

# Lanes are found by skipping through the index from one to the next, never by reading what waits in them.
_HEADS = text(
    """
    WITH RECURSIVE lanes AS (
        (SELECT lane FROM item WHERE state = 'queued' ORDER BY lane LIMIT 1)
        UNION ALL
        SELECT (SELECT i.lane FROM item i WHERE i.state = 'queued' AND i.lane > l.lane ORDER BY i.lane LIMIT 1)
        FROM lanes l WHERE l.lane IS NOT NULL
    )
    SELECT h.id, h.version, h.queue_id, h.requirements, h.rank, h.weight,
           array(SELECT DISTINCT o.agent_id FROM offer o
                 WHERE o.item_id = h.id AND o.outcome IN ('declined', 'expired')
                   AND o.ended_at > now() - make_interval(secs => q.reoffer_after)) AS refused_by
    FROM lanes
    CROSS JOIN LATERAL (
        SELECT * FROM item i WHERE i.state = 'queued' AND i.lane = lanes.lane ORDER BY i.rank, i.id LIMIT :most
    ) h
    JOIN queue q ON q.id = h.queue_id
    WHERE lanes.lane IS NOT NULL AND q.active
    """
)


async def lead(session: AsyncSession, holder: str) -> int | None:
    """Take or renew the router's lease; the epoch when `holder` leads now, None when somebody else does."""
    mine = RouterLease.holder == holder
    statement = (
        update(RouterLease)
        .where(RouterLease.id == 1, mine | (RouterLease.expires_at <= func.clock_timestamp()))
        .values(
            holder=holder,
            epoch=case((_live(holder), RouterLease.epoch), else_=RouterLease.epoch + 1),
            expires_at=func.clock_timestamp() + LEASE,
        )
        .returning(RouterLease.epoch)
    )
    return await session.scalar(statement)


def _live(holder: str) -> ColumnElement[bool]:
    return (RouterLease.holder == holder) & (RouterLease.expires_at > func.clock_timestamp())


async def leads(session: AsyncSession, holder: str, epoch: int) -> bool:
    """Whether the lease is still ours; it stays so until this transaction ends.

    The server ends a transaction that falls silent for as long as the lease lasts: a router that froze inside one
    would else keep every standby waiting.
    """
    silent = f"{LEASE // timedelta(milliseconds=1)}"
    await session.execute(select(func.set_config("idle_in_transaction_session_timeout", silent, True)))
    still = select(RouterLease.id).where(RouterLease.id == 1, RouterLease.epoch == epoch, _live(holder))
    return await session.scalar(still.with_for_update(read=True)) is not None


async def step_down(session: AsyncSession, holder: str, epoch: int) -> None:
    """Give the lease back, so that a standby need not wait for its end."""
    await session.execute(
        update(RouterLease)
        .where(RouterLease.holder == holder, RouterLease.epoch == epoch)
        .values(expires_at=func.clock_timestamp())
    )


async def decide(session: AsyncSession) -> list[Match]:
    """Look at what waits and who is ready, and let the kernel decide. Reads only."""
    agents = await ready_agents(session)
    room = sum(agent.room for agent in agents)
    if not room:
        return []
    items = await waiting_heads(session, min(room, MOST_OFFERS) + SPARE_HEADS)
    return match(items, agents)[:MOST_OFFERS]


async def ready_agents(session: AsyncSession) -> list[ReadyAgent]:
    """The agents who are ready, have room and are not deciding about an offer, with their queues and skills."""
    rows = await session.execute(
        select(Presence.agent_id, Presence.available_since, Agent.capacity - Presence.load)
        .join(Agent, Agent.id == Presence.agent_id)
        .where(Presence.state == PresenceState.READY, Agent.active, Presence.load < Agent.capacity, ~asked())
    )
    found = {agent_id: (since, room) for agent_id, since, room in rows}
    queues: dict[int, set[int]] = {agent_id: set() for agent_id in found}
    skills: dict[int, dict[int, int]] = {agent_id: {} for agent_id in found}
    members = select(QueueMember.agent_id, QueueMember.queue_id).where(QueueMember.agent_id.in_(found))
    for agent_id, queue_id in await session.execute(members):
        queues[agent_id].add(queue_id)
    levels = select(AgentSkill.agent_id, AgentSkill.skill_id, AgentSkill.level).where(AgentSkill.agent_id.in_(found))
    for agent_id, skill_id, level in await session.execute(levels):
        skills[agent_id][skill_id] = level
    return [ReadyAgent(i, frozenset(queues[i]), skills[i], since, room, asks=1) for i, (since, room) in found.items()]


async def waiting_heads(session: AsyncSession, most: int) -> list[WaitingItem]:
    """The first `most` items of every lane."""
    rows = await session.execute(_HEADS, {"most": most})
    return [
        WaitingItem(
            id=row.id,
            version=row.version,
            queue_id=row.queue_id,
            requirements={int(skill): level for skill, level in row.requirements.items()},
            rank=row.rank,
            weight=row.weight,
            refused_by=frozenset(row.refused_by),
        )
        for row in rows
    ]


async def make_offers(session: AsyncSession, matches: Sequence[Match]) -> int:
    """Make the offers that were decided; returns how many held. In order of agent, as all who lock several presences."""
    made = 0
    for one in sorted(matches, key=lambda m: (m.agent_id, m.item.id)):
        proposal = Proposal(one.item.id, one.item.version, one.agent_id, told(one))
        made += await make_offer(session, proposal) is not None
    return made


def told(one: Match) -> Mapping[str, Any]:
    """A decision as it is kept: who could have taken the item, and why others could not."""
    rejected = sorted(one.rejected.items())[:MOST_TOLD]
    return {
        "policy": "longest available",
        "agent_id": one.agent_id,
        "candidates": list(one.candidates[:MOST_TOLD]),
        "candidates_total": len(one.candidates),
        "rejected": {str(agent): reason for agent, reason in rejected},
        "rejected_total": len(one.rejected),
        "requirements": {str(skill): level for skill, level in one.item.requirements.items()},
    }
