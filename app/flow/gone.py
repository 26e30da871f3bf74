"""Gone: an agent whose desk gives no sign of life any more, as when a laptop is shut, gives back what they hold.

Offers go back after GRACE, and the agent is offline then; active items go back after the time that their queue sets.
Drafts stay, and so do parked items: they use no capacity, and wake for somebody else when their agent is away.
"""

from datetime import timedelta

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import announce
from app.flow.offer import in_hands, revoke_all
from app.flow.release import give_back
from app.i18n import N_
from app.models.agent import Agent, Presence, PresenceState
from app.models.assignment import Assignment
from app.models.item import SYSTEM, Item, State
from app.models.queue import Queue

GRACE = timedelta(seconds=60)
TOUCH = timedelta(seconds=14)  # a sign of life is written at most so often; desks give one every 25 s at least
MOST_GONE = 50  # agents, and items, in one transaction


async def seen(session: AsyncSession, *agent_ids: int) -> None:
    """A desk gave a sign of life. Never waits: a presence that somebody is changing is not touched this time."""
    stale = (
        select(Presence.agent_id)
        .where(Presence.agent_id.in_(agent_ids), Presence.seen_at < func.now() - TOUCH)
        .with_for_update(skip_locked=True)
    )
    touched = update(Presence).where(Presence.agent_id.in_(stale.scalar_subquery())).values(seen_at=func.now())
    await session.execute(touched.execution_options(synchronize_session=False))


def _gone() -> tuple[ColumnElement[bool], ...]:
    return Presence.state != PresenceState.OFFLINE, Presence.seen_at < func.now() - GRACE


async def gone_agents(session: AsyncSession) -> list[int]:
    """Those who are not offline and whose desk has been silent for longer than GRACE."""
    found = select(Presence.agent_id).where(*_gone()).order_by(Presence.agent_id).limit(MOST_GONE)
    return list(await session.scalars(found))


async def take_offline(session: AsyncSession, agent_id: int) -> bool:
    """Set a silent agent offline and give their offers back. False when their desk is back, or somebody was first."""
    await in_hands(session, agent_id, State.OFFERED)  # items are locked before presences: see app.flow.offer
    away = await session.scalar(
        update(Presence)
        .where(Presence.agent_id == agent_id, *_gone())
        .values(
            state=PresenceState.OFFLINE,
            reason=None,
            since=func.now(),
            wrap_until=None,
            wrap_since=None,
            wrap_latest=None,
        )
        .returning(Presence.agent_id)
        .execution_options(synchronize_session=False)
    )
    if away is None:
        return False
    name = await session.scalar(select(Agent.name).where(Agent.id == agent_id))
    await revoke_all(session, agent_id, SYSTEM, N_("%(name)s's desk is gone") % {"name": name}, waiting=False)
    announce(session, "agents", [agent_id])
    return True


async def return_items(session: AsyncSession) -> int:
    """Give back the active items whose agent has been silent for the time that the queue sets; returns how many."""
    patience = func.make_interval(0, 0, 0, 0, 0, 0, Queue.return_after)
    due = (
        select(Item, Agent.name)
        .join(Presence, Presence.agent_id == Item.agent_id)
        .join(Agent, Agent.id == Item.agent_id)
        .join(Queue, Queue.id == Item.queue_id)
        .join(Assignment, (Assignment.item_id == Item.id) & Assignment.until.is_(None))
        .where(
            Item.state == State.ACTIVE,
            Presence.seen_at < func.now() - GRACE,  # cheap; what follows looks closer
            func.greatest(Presence.seen_at, Assignment.since) < func.now() - patience,
        )
        .order_by(Item.id)
        .limit(MOST_GONE)
        .with_for_update(of=(Item, Presence), skip_locked=True)
    )
    found = (await session.execute(due.execution_options(populate_existing=True))).all()
    for item, name in found:
        await give_back(session, item, SYSTEM, because=N_("%(name)s's desk is gone") % {"name": name})
    return len(found)
