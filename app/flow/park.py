"""Park: an item is put aside until a time, or until the customer or an expert answers. It counts in no load."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Invalid
from app.flow.visibility import held_item
from app.models.agent import Agent
from app.models.item import Item, ParkReason, State, Verb, agent_actor, move

LONGEST = timedelta(days=90)


async def park(
    session: AsyncSession, agent: Agent, item_id: int, until: datetime, reason: ParkReason = ParkReason.SNOOZE
) -> Item:
    """Put an active item aside until `until` (aware); a new post wakes it sooner.

    Raises:
        Invalid: the time is past or too far away.
        NotFound, Conflict: see `held_item`, and when it is not active.
    """
    item = await held_item(session, agent, item_id)
    now = (await session.scalar(select(func.now()))) or datetime.now(UTC)
    if not now < until <= now + LONGEST:
        raise Invalid(f"Park until a time between now and {LONGEST.days} days from now.", field="until")
    return await move(
        session, item, Verb.PARK, State.PARKED, agent_actor(agent.id), parked_until=until, parked_for=reason
    )
