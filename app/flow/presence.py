"""Presence: ready, not ready, wrap-up, offline; and what happens to the work in hand."""

from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import announce
from app.errors import Invalid
from app.flow.offer import revoke_all
from app.flow.release import give_back
from app.models.agent import Agent, NotReadyReason, Presence, PresenceState
from app.models.item import Actor, Item, State, agent_actor


async def set_presence(
    session: AsyncSession, agent: Agent, state: PresenceState, reason: NotReadyReason | None = None
) -> Presence:
    """Change what an agent is doing. Who is not ready gets no offers: those that are open go back at once.

    Raises:
        Invalid: not ready without a reason.
    """
    if state == PresenceState.NOT_READY and reason is None:
        raise Invalid("Say why you are not ready: choose a reason.", field="reason")
    if state != PresenceState.READY:
        await revoke_all(session, agent.id, agent_actor(agent.id), because=f"{agent.name} went {state}")
    kept = reason if state == PresenceState.NOT_READY else None
    values: dict[str, Any] = {"state": state, "reason": kept, "since": func.now()}
    if state == PresenceState.READY:
        values |= {"available_since": func.now(), "misses": 0}
    statement = (
        update(Presence)
        .where(Presence.agent_id == agent.id)
        .values(values)
        .returning(Presence)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    announce(session, "agents", [agent.id])
    return (await session.scalars(statement)).one()


async def hand_back(session: AsyncSession, agent_id: int, actor: Actor, because: str) -> int:
    """Give everything that an agent carries back to its queues (they end their shift or have left); returns how much."""
    await revoke_all(session, agent_id, actor, because)
    active = select(Item).where(Item.agent_id == agent_id, Item.state == State.ACTIVE).order_by(Item.id)
    items = (await session.scalars(active.execution_options(populate_existing=True))).all()
    for item in items:
        await give_back(session, item, actor, because)
    return len(items)
