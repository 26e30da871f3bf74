"""Wrap-up: a moment for the after-work of a closed item, in which nothing is offered. It ends by itself in ready."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import announce
from app.errors import Conflict
from app.flow.offer import revoke_all
from app.i18n import _
from app.models.agent import Agent, Presence, PresenceState
from app.models.item import Actor, agent_actor
from app.models.queue import Queue, QueueMember

EXTENSION = timedelta(seconds=30)
MOST_ENDED = 200  # wrap-ups ended in one transaction
READY: dict[str, Any] = {
    "state": PresenceState.READY,
    "reason": None,
    "since": func.now(),
    "available_since": func.now(),
    "misses": 0,
    "wrap_until": None,
    "wrap_since": None,
    "wrap_latest": None,
}


@dataclass(frozen=True, slots=True)
class Span:
    """How long a wrap-up lasts, in seconds, and how long at most with its extensions."""

    usual: int
    most: int


async def begin(session: AsyncSession, agent_id: int, span: Span, actor: Actor) -> bool:
    """Put a ready agent in wrap-up from now, or begin it anew. False for who is neither: they get no offers anyway."""
    begun = await session.execute(
        update(Presence)
        .where(
            Presence.agent_id == agent_id,
            Presence.state.in_((PresenceState.READY, PresenceState.WRAP_UP)),
        )
        .values(
            state=PresenceState.WRAP_UP,
            reason=None,
            since=func.now(),
            wrap_since=func.now(),
            wrap_until=func.now() + timedelta(seconds=span.usual),
            wrap_latest=func.now() + timedelta(seconds=max(span.usual, span.most)),
        )
        .returning(Presence.agent_id)
        .execution_options(synchronize_session=False)
    )
    if begun.first() is None:
        return False
    announce(session, "agents", [agent_id])
    await revoke_all(
        session, agent_id, actor, "wrap-up", waiting=False
    )  # the presence is locked: do not wait for items
    return True


async def start(session: AsyncSession, agent: Agent) -> Presence:
    """Go into wrap-up by hand, for as long as the most patient of the agent's queues allows.

    Raises:
        Conflict: none of their queues has a wrap-up, or they are not ready.
    """
    longest = (
        select(Queue.wrap_up, Queue.wrap_up_most)
        .join(QueueMember, QueueMember.queue_id == Queue.id)
        .where(QueueMember.agent_id == agent.id, Queue.active, Queue.wrap_up > 0)
        .order_by(Queue.wrap_up.desc(), Queue.wrap_up_most.desc())
        .limit(1)
    )
    span = (await session.execute(longest)).one_or_none()
    if span is None:
        raise Conflict(_("None of your queues has a wrap-up. Set yourself not ready if you need a moment."))
    if not await begin(session, agent.id, Span(*span), agent_actor(agent.id)):
        raise Conflict(_("Wrap-up follows work: set yourself ready first."))
    return await session.get_one(Presence, agent.id, populate_existing=True)


async def extend(session: AsyncSession, agent: Agent) -> Presence:
    """Add half a minute to the wrap-up, as long as its queue allows.

    Raises:
        Conflict: it is over, or as long as it may be.
    """
    later = func.least(Presence.wrap_until + EXTENSION, Presence.wrap_latest)
    extended = await session.scalar(
        update(Presence)
        .where(
            Presence.agent_id == agent.id,
            Presence.state == PresenceState.WRAP_UP,
            Presence.wrap_until > func.now(),
            Presence.wrap_until < Presence.wrap_latest,
        )
        .values(wrap_until=later)
        .returning(Presence)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    if extended is None:
        raise Conflict(_("Your wrap-up is over, or as long as its queue allows."))
    announce(session, "agents", [agent.id])
    return extended


async def end_due(session: AsyncSession, agent_id: int | None = None) -> int:
    """Set those ready whose wrap-up is over: everybody, or one agent. Returns how many."""
    over = select(Presence.agent_id).where(
        Presence.state == PresenceState.WRAP_UP,
        Presence.wrap_until <= func.now(),
        Presence.agent_id == agent_id if agent_id is not None else Presence.agent_id > 0,
    )
    locked = over.order_by(Presence.agent_id).limit(MOST_ENDED).with_for_update(skip_locked=True)
    ended = update(Presence).where(Presence.agent_id.in_(locked.scalar_subquery())).values(READY)
    ended = ended.execution_options(synchronize_session=False)
    ids = list(await session.scalars(ended.returning(Presence.agent_id)))
    if ids:
        announce(session, "agents", ids)
    return len(ids)
