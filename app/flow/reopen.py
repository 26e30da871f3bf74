"""Reopen: an ended item goes back to its queue."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict
from app.flow.place import place
from app.flow.visibility import visible_item
from app.i18n import N_, _
from app.models.agent import Agent
from app.models.item import OPEN_STATES, Actor, Item, State, Verb, agent_actor, move
from app.models.post import Conversation
from app.models.queue import Queue


async def reopen(session: AsyncSession, agent: Agent, item_id: int) -> Item:
    """Bring a closed or discarded item back.

    Raises:
        NotFound: not for their eyes.
        Conflict: it is open, or its conversation has another open item by now.
    """
    item = await visible_item(session, agent, item_id)
    return await requeue(session, item, agent_actor(agent.id), because=N_("reopened by hand"))


async def requeue(session: AsyncSession, item: Item, actor: Actor, because: str) -> Item:
    """Put an ended item back in its queue as ready from now, for whoever decided so."""
    # The conversation's lock keeps an ingest from opening another item at this very moment.
    await session.execute(select(Conversation.id).where(Conversation.id == item.conversation_id).with_for_update())
    other = await session.scalar(
        select(Item.id).where(
            Item.conversation_id == item.conversation_id, Item.state.in_(OPEN_STATES), Item.id != item.id
        )
    )
    if other is not None:
        raise Conflict(_("Item %(other)s of the same conversation is open already. Go on there.") % {"other": other})
    queue = await session.get_one(Queue, item.queue_id)
    now = (await session.execute(select(func.now()))).scalar_one()
    stands = place(queue, now, item.priority)
    return await move(
        session,
        item,
        Verb.REOPEN,
        State.QUEUED,
        actor,
        why={"because": because},
        disposition=None,
        ended_at=None,
        ready_at=now,
        due_at=stands.due_at,
        rank=stands.rank,
        raised=[],
    )
