"""Sign off: an agent ends their shift, and says what becomes of the work in their hands."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Invalid
from app.flow.offer import in_hands
from app.flow.park import aside, checked_time
from app.flow.presence import set_presence
from app.flow.release import give_back
from app.i18n import N_, _
from app.models.agent import Agent, PresenceState
from app.models.item import Item, ParkReason, State, agent_actor


class Work(StrEnum):
    """What becomes of the active items of somebody who leaves."""

    GIVE_BACK = "give_back"  # to their queues, with their rank
    KEEP = "keep"  # parked until a time


async def in_hand(session: AsyncSession, agent_id: int) -> int:
    """How many active items an agent holds: what a sign-off has to ask about."""
    held = select(func.count()).select_from(Item).where(Item.agent_id == agent_id, Item.state == State.ACTIVE)
    return await session.scalar(held) or 0


async def sign_off(session: AsyncSession, agent: Agent, work: Work, until: datetime | None = None) -> int:
    """Go offline; offers go back, active items go where `work` says. Returns how many items were in hand.

    Raises:
        Invalid: work is kept without a time, or until one that is past or too far away.
    """
    if work == Work.KEEP and until is None:
        raise Invalid(_("Say until when your work is parked."), field="until")
    back_at = None if until is None or work != Work.KEEP else await checked_time(session, until)
    actor = agent_actor(agent.id)
    items = await in_hands(session, agent.id, State.OFFERED, State.ACTIVE)
    active = [item for item in items if item.state == State.ACTIVE]
    for item in active:
        if back_at is not None:
            await aside(session, item, actor, back_at, ParkReason.SNOOZE)
        else:
            await give_back(session, item, actor, because=N_("%(agent)s ended the shift") % {"agent": agent.name})
    await set_presence(session, agent, PresenceState.OFFLINE)
    return len(active)
