"""What the head of an item offers its reader together with their colleagues."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.flow.assign import supervises
from app.models.agent import Agent
from app.models.item import OPEN_STATES, Item, State
from app.models.queue import Queue
from app.models.sight import visible_queues


@dataclass(frozen=True, slots=True)
class Beside:
    """What the reader may do with the item. Who is only asked about it may do none of it."""

    works: bool  # it is in a queue of theirs, or in their hands
    sends: bool  # they may send it on


async def beside(db: AsyncSession, me: Agent, item: Item) -> Beside:
    """Ask the database what the reader may do with an item that they may read."""
    theirs = await db.scalar(visible_queues(me).where(Queue.id == item.queue_id)) is not None
    works = theirs or item.agent_id == me.id
    free = item.agent_id is None or (item.agent_id == me.id and item.state != State.OFFERED)
    sends = works and item.state in OPEN_STATES and (free or await supervises(db, me, item))
    return Beside(works, sends)
