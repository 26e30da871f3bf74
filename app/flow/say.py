"""Say: Careline writes to a customer by itself, in the words that a queue's admin gave. It travels as every reply does."""

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from app import jobs
from app.db import announce
from app.errors import Conflict
from app.flow.answerable import Answerable, answerable
from app.models.item import Disposition, Item
from app.models.reply import Reply, ReplyState


async def way_to(session: AsyncSession, item: Item) -> Answerable | None:
    """How Careline can write to the item's customer; None when the channel takes no replies."""
    try:
        return await answerable(session, item)
    except Conflict:
        return None


async def say(
    session: AsyncSession, item: Item, way: Answerable, text: str, then_close: Disposition | None = None
) -> Reply:
    """Send a reply that no agent wrote, to those whom the customer addressed, as soon as the caller's work is committed.

    A text that the channel refuses (too long) becomes a failed reply, which the desk shows with its cause.
    """
    addressed = [one for one in way.visibilities if one == way.visibility]
    reply = Reply(
        item_id=item.id,
        conversation_id=item.conversation_id,
        post_id=way.post.id,
        agent_id=None,
        channel=item.channel,
        account_id=way.account_id,
        state=ReplyState.HELD,
        text=text,
        visibility=(addressed or list(way.visibilities))[0],
        then_close=then_close,
        due_at=func.now(),
    )
    session.add(reply)
    await session.flush()
    await jobs.defer(session, jobs.SEND, "reply_id", [reply.id])
    announce(session, "items", [item.id])
    return reply
