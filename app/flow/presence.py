"""Presence: ready, not ready, wrap-up, offline; and what happens to the work in hand."""

from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import announce
from app.errors import Invalid
from app.flow.offer import in_hands, revoke_all
from app.flow.release import give_back
from app.i18n import N_, _
from app.models.agent import Agent, Presence, PresenceState, ReasonCode
from app.models.item import Actor, State, agent_actor


async def set_presence(
    session: AsyncSession, agent: Agent, state: PresenceState, reason: str | None = None
) -> Presence:
    """Change what an agent is doing. Who is not ready gets no offers: those that are open go back at once.

    Wrap-up has its own verbs, since it ends by itself: `app.flow.wrap_up`.

    Raises:
        Invalid: not ready without a reason, or for one that is none of the admin's.
    """
    if state == PresenceState.NOT_READY:
        await _check(session, reason)
    actor, because = agent_actor(agent.id), N_("%(agent)s is not ready any more") % {"agent": agent.name}
    if state != PresenceState.READY:
        await revoke_all(session, agent.id, actor, because)
    kept = reason if state == PresenceState.NOT_READY else None
    values: dict[str, Any] = {"state": state, "reason": kept, "since": func.now(), "seen_at": func.now()}
    values |= {"wrap_until": None, "wrap_since": None, "wrap_latest": None}
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
    presence = (await session.scalars(statement)).one()
    if state != PresenceState.READY:  # an offer made while we waited for the presence; from now on there is none
        await revoke_all(session, agent.id, actor, because, waiting=False)
    return presence


async def _check(session: AsyncSession, reason: str | None) -> None:
    if not reason:
        raise Invalid(_("Say why you are not ready: choose a reason."), field="reason")
    if await session.scalar(select(ReasonCode.id).where(ReasonCode.name == reason)) is None:
        raise Invalid(_("There is no such reason any more. Choose one from the menu."), field="reason")


async def hand_back(session: AsyncSession, agent_id: int, actor: Actor, because: str) -> int:
    """Give everything that an agent carries back to its queues (they end their shift or have left); returns how much."""
    carried = await in_hands(session, agent_id, State.OFFERED, State.ACTIVE)
    active = [item for item in carried if item.state == State.ACTIVE]
    await revoke_all(session, agent_id, actor, because)
    for item in active:
        await give_back(session, item, actor, because)
    return len(active)
