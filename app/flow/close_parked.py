"""Close parked: an item whose customer has not answered for the time that its queue sets closes by itself."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.flow import hold
from app.flow.say import say, way_to
from app.i18n import N_
from app.models.item import SYSTEM, Disposition, Item, State, Verb, move
from app.models.post import Conversation
from app.models.queue import Queue

MOST_CLOSED = 100  # items closed in one transaction


async def close_parked(session: AsyncSession) -> int:
    """Close the parked items whose time is over, each with its queue's last message, if any; returns how many."""
    over = (Item.state == State.PARKED, Item.parked_until <= func.now(), Item.closes_at <= Item.parked_until)
    found = select(Item.id, Item.conversation_id).where(*over).order_by(Item.parked_until).limit(MOST_CLOSED)
    closed = 0
    for item_id, conversation_id in (await session.execute(found)).all():
        # Locked in the order of ingest: a post that comes this very moment wakes the item, and we see it.
        room = select(Conversation.id).where(Conversation.id == conversation_id).with_for_update(skip_locked=True)
        if await session.scalar(room) is None:
            continue
        locked = select(Item).where(Item.id == item_id, *over).with_for_update(skip_locked=True)
        item = await session.scalar(locked.execution_options(populate_existing=True))
        if item is not None:
            await _close(session, item)
            closed += 1
    return closed


async def _close(session: AsyncSession, item: Item) -> None:
    queue = await session.get_one(Queue, item.queue_id)
    way = await way_to(session, item) if queue.park_close_reply else None
    if way is not None:
        await say(session, item, way, queue.park_close_reply, then_close=Disposition.NO_ANSWER)
    moved = await move(
        session,
        item,
        Verb.CLOSE,
        State.CLOSED,
        SYSTEM,
        why={"because": N_("the customer did not answer")},
        agent_id=None,
        disposition=Disposition.NO_ANSWER,
        ended_at=func.now(),
        parked_until=None,
        parked_for=None,
        closes_at=None,
    )
    await hold.end(session, moved, Verb.CLOSE)
