"""Park: an item is put aside until a time, or until the customer or an expert answers. It counts in no load.

An item that is parked for its customer closes by itself where its queue says so, unless it comes back before.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Invalid
from app.flow.visibility import held_item
from app.i18n import _
from app.models.agent import Agent
from app.models.item import Actor, Item, ParkReason, State, Verb, agent_actor, move
from app.models.queue import Queue

LONGEST = timedelta(days=90)


async def park(
    session: AsyncSession,
    agent: Agent,
    item_id: int,
    until: datetime | None = None,
    reason: ParkReason = ParkReason.SNOOZE,
) -> Item:
    """Put an active item aside until `until` (aware); a new post wakes it sooner.

    Without a time it waits for the customer, until it closes by itself.

    Raises:
        Invalid: the time is past or too far away, or there is none and the item would wait for ever.
        NotFound, Conflict: see `held_item`, and when it is not active.
    """
    item = await held_item(session, agent, item_id)
    back_at = None if until is None else await checked_time(session, until)
    return await aside(session, item, agent_actor(agent.id), back_at, reason)


async def checked_time(session: AsyncSession, until: datetime) -> datetime:
    """The time, if an item may be parked until then. Raises Invalid."""
    now = await _now(session)
    if not now < until <= now + LONGEST:
        raise Invalid(
            _("Park until a time between now and %(days)s days from now.") % {"days": LONGEST.days}, field="until"
        )
    return until


async def aside(session: AsyncSession, item: Item, actor: Actor, until: datetime | None, reason: ParkReason) -> Item:
    """Park an active item for whoever decided so. Raises Invalid when nothing would ever end the wait."""
    queue = await session.get_one(Queue, item.queue_id)
    closes_at = None
    if reason == ParkReason.CUSTOMER and queue.park_close_after is not None:
        closes_at = await _now(session) + timedelta(seconds=queue.park_close_after)
    ends = [moment for moment in (until, closes_at) if moment is not None]
    if not ends:
        raise Invalid(
            _("%(queue)s does not close parked items by itself, so say until when this one is parked.")
            % {"queue": queue.name},
            "until",
        )
    return await move(
        session,
        item,
        Verb.PARK,
        State.PARKED,
        actor,
        parked_until=min(ends),
        parked_for=reason,
        closes_at=closes_at,
    )


async def _now(session: AsyncSession) -> datetime:
    return (await session.scalar(select(func.now()))) or datetime.now(UTC)
