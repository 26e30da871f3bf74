"""Closed reply: who writes first outside a queue's open hours is told so, once a conversation."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.flow.say import say, way_to
from app.models.item import Item, State
from app.models.post import Conversation
from app.models.queue import Queue
from app.routing.hours import OpenHours

AGAIN = timedelta(hours=1)  # the same customer is told once in this time, however many conversations they begin


async def tell_closed(session: AsyncSession, item_ids: Sequence[int]) -> int:
    """Send the reply of their queue to those of the new items that wait in a closed one; returns how many.

    The caller has just opened the items from posts of customers, and holds the locks of their conversations.
    """
    if not item_ids:
        return 0
    queues = {queue.id: queue for queue in await session.scalars(select(Queue).where(Queue.closed_reply != ""))}
    if not queues:
        return 0
    now = (await session.scalar(select(func.now()))) or datetime.now(UTC)
    closed = [q.id for q in queues.values() if not OpenHours(q.timezone, q.hours, q.holidays).is_open(now)]
    waiting = select(Item).where(Item.id.in_(item_ids), Item.state == State.QUEUED, Item.queue_id.in_(closed))
    items = (await session.scalars(waiting.order_by(Item.id).execution_options(populate_existing=True))).all()
    return sum([await _tell(session, item, queues[item.queue_id].closed_reply) for item in items])


async def _tell(session: AsyncSession, item: Item, text: str) -> bool:
    way = await way_to(session, item)
    if way is None or await _was_told(session, item) or not await _first_time(session, item.conversation_id):
        return False
    await say(session, item, way, text)
    return True


async def _was_told(session: AsyncSession, item: Item) -> bool:
    """Whether the customer heard it lately elsewhere on the channel: two machines that answer each other soon stop."""
    lately = Conversation.closed_reply_at > func.now() - AGAIN
    others = select(Conversation.id).where(
        Conversation.customer_id == item.customer_id, Conversation.channel == item.channel, lately
    )
    return await session.scalar(others.limit(1)) is not None


async def _first_time(session: AsyncSession, conversation_id: int) -> bool:
    marked = await session.execute(
        update(Conversation)
        .where(Conversation.id == conversation_id, Conversation.closed_reply_at.is_(None))
        .values(closed_reply_at=func.now())
        .returning(Conversation.id)
        .execution_options(synchronize_session=False)
    )
    return marked.first() is not None
