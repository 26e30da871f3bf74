"""Release: an agent gives an item back to its queue."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.flow import hold
from app.flow.visibility import held_item
from app.i18n import N_
from app.models.agent import Agent
from app.models.item import Actor, Item, State, Verb, agent_actor, move


async def release(session: AsyncSession, agent: Agent, item_id: int) -> Item:
    """Give an active item back; its rank is kept, so it stands where it stood.

    Raises:
        NotFound, Conflict: see `held_item`, and when the item is not active.
    """
    item = await held_item(session, agent, item_id)
    return await give_back(session, item, agent_actor(agent.id), because=N_("released"))


async def give_back(session: AsyncSession, item: Item, actor: Actor, because: str) -> Item:
    """Return an active item to its queue for whoever decided so."""
    moved = await move(session, item, Verb.RELEASE, State.QUEUED, actor, why={"because": because}, agent_id=None)
    await hold.end(session, moved, Verb.RELEASE)
    return moved
