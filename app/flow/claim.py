"""Claim: an agent takes an item by hand."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict
from app.flow import hold
from app.flow.visibility import visible_item
from app.i18n import _
from app.models.agent import Agent
from app.models.item import Item, State, Verb, agent_actor, move


async def claim(session: AsyncSession, agent: Agent, item_id: int) -> Item:
    """Take a queued item; the agent may always claim what they may see, whatever their load.

    Raises:
        NotFound: not for their eyes.
        Conflict: somebody else has it, or it has ended.
    """
    item = await visible_item(session, agent, item_id)
    if item.agent_id == agent.id and item.state == State.ACTIVE:
        return item
    if item.agent_id is not None and item.agent_id != agent.id:
        holder = await session.get_one(Agent, item.agent_id)
        raise Conflict(_("%(holder)s has item %(item_id)s.") % {"holder": holder.name, "item_id": item_id})
    moved = await move(session, item, Verb.CLAIM, State.ACTIVE, agent_actor(agent.id), agent_id=agent.id)
    await hold.begin(session, moved, agent.id, Verb.CLAIM)
    return moved
