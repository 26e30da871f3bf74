"""Prioritise: an agent says that an item is more or less urgent; its place in the line follows."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict, Forbidden, Invalid
from app.flow.visibility import visible_item
from app.i18n import _
from app.models.agent import Agent, Role
from app.models.item import OPEN_STATES, Item, Verb, agent_actor, alter
from app.models.queue import Order, Queue

PRIORITIES = range(1, 6)


async def prioritise(session: AsyncSession, agent: Agent, item_id: int, priority: int) -> Item:
    """Set the priority of an open item; what it has now changes nothing.

    Where the queue is served by rank, the item moves by what the two priorities differ in minutes.

    Raises:
        NotFound: not for their eyes.
        Invalid: there is no such priority.
        Forbidden: a colleague holds it.
        Conflict: it has ended, or changed meanwhile.
    """
    if priority not in PRIORITIES:
        raise Invalid(_("A priority is a number from 1, the highest, to 5."), "priority")
    item = await visible_item(session, agent, item_id)
    if item.state not in OPEN_STATES:
        raise Conflict(_("Item %d has ended. Reopen it first.") % item_id)
    if item.agent_id not in {None, agent.id} and not agent.is_at_least(Role.SUPERVISOR):
        raise Forbidden(_("A colleague holds item %d, so only they can change how urgent it is.") % item_id)
    if item.priority == priority:
        return item
    queue = await session.get_one(Queue, item.queue_id)
    minutes = 0 if queue.served_by == Order.DUE else queue.boosts[item.priority - 1] - queue.boosts[priority - 1]
    why = {"from": item.priority, "to": priority}
    rank = item.rank + timedelta(minutes=minutes)
    return await alter(session, item, Verb.PRIORITISE, agent_actor(agent.id), why=why, priority=priority, rank=rank)
