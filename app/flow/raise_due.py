"""Raise due: an item that waits and is due soon moves up, once, in queues that say so."""

from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.item import SYSTEM, Item, State, Verb, alter
from app.models.queue import Queue
from app.routing.raises import DueSoon, due_soon

MOST_RAISED = 100  # items of a queue in one transaction


async def raise_due(session: AsyncSession) -> int:
    """Raise the waiting items whose time is nearly up; returns how many."""
    found = select(Queue).where(Queue.active, func.jsonb_array_length(Queue.raises) > 0).order_by(Queue.id)
    queues = (await session.scalars(found)).all()
    return sum([await _raise_in(session, queue.id, signal) for queue in queues for signal in due_soon(queue.raises)])


async def _raise_in(session: AsyncSession, queue_id: int, signal: DueSoon) -> int:
    soon = (
        select(Item)
        .where(Item.queue_id == queue_id, Item.state == State.QUEUED, ~Item.raised.contains([signal.name]))
        .where(Item.due_at <= func.now() + timedelta(seconds=signal.within))
        .order_by(Item.id)
        .limit(MOST_RAISED)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    items = (await session.scalars(soon)).all()
    for item in items:
        why = {"signal": signal.name, "minutes": signal.minutes}
        rank, raised = item.rank - timedelta(minutes=signal.minutes), [*item.raised, signal.name]
        await alter(session, item, Verb.RAISE, SYSTEM, why=why, rank=rank, raised=raised)
    return len(items)
