"""Who may see and do what: agents and supervisors the queues of their teams, admins everything."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict, Forbidden, NotFound
from app.i18n import _
from app.models.agent import Agent, Role
from app.models.item import Item, State
from app.models.reply import Reply
from app.models.sight import sees, visible_queues


async def visible_item(session: AsyncSession, agent: Agent, item_id: int) -> Item:
    """The item, if the agent may see it: in a queue of theirs, or in their own hands.

    Raises:
        NotFound: there is none, or it is not for their eyes.
    """
    seen = select(Item).where(
        Item.id == item_id, Item.queue_id.in_(visible_queues(agent)) | (Item.agent_id == agent.id)
    )
    item = await session.scalar(seen.execution_options(populate_existing=True))
    if item is None:
        raise NotFound(_("There is no item %(item_id)s, or it is not in a queue of your teams.") % {"item_id": item_id})
    return item


async def readable_item(session: AsyncSession, agent: Agent, item_id: int) -> Item:
    """The item, if the agent may read it: also when they are only asked about it, and may change nothing of it.

    Raises:
        NotFound: there is none, or it is not for their eyes.
    """
    seen = select(Item).where(Item.id == item_id, sees(agent.id, visible_queues(agent)))
    item = await session.scalar(seen.execution_options(populate_existing=True))
    if item is None:
        raise NotFound(_("There is no item %(item_id)s, or it is not in a queue of your teams.") % {"item_id": item_id})
    return item


async def held_item(session: AsyncSession, agent: Agent, item_id: int) -> Item:
    """The item, if the agent holds it (active or parked) or supervises its queue.

    Raises:
        NotFound: not for their eyes.
        Conflict: nobody, or somebody else, holds it.
    """
    item = await visible_item(session, agent, item_id)
    if item.agent_id == agent.id and item.state != State.OFFERED:
        return item
    if item.agent_id is None or item.state == State.OFFERED:
        raise Conflict(_("Nobody holds item %(item_id)s now. Claim it first.") % {"item_id": item_id})
    if agent.is_at_least(Role.SUPERVISOR):
        return item
    holder = await session.get_one(Agent, item.agent_id)
    raise Conflict(
        _("%(holder)s holds item %(item_id)s. Ask them for it, or look at it only.")
        % {"holder": holder.name, "item_id": item_id}
    )


async def own_reply(session: AsyncSession, agent: Agent, reply_id: int) -> Reply:
    """A reply that the agent wrote, or may look after as a supervisor of its queue. Careline's own are everybody's.

    Raises:
        NotFound: not for their eyes.
        Forbidden: a colleague's.
    """
    reply = await session.get(Reply, reply_id, populate_existing=True)
    if reply is None:
        raise NotFound(_("There is no reply %(reply_id)s.") % {"reply_id": reply_id})
    await visible_item(session, agent, reply.item_id)
    if reply.agent_id not in {None, agent.id} and not agent.is_at_least(Role.SUPERVISOR):
        raise Forbidden(_("This reply is a colleague's. Ask them, or a supervisor."))
    return reply


async def changeable_reply(session: AsyncSession, agent: Agent, reply_id: int, *, lock: bool = True) -> Reply:
    """A reply, locked unless it is only looked at, that the agent may edit and delete: they wrote it, hold its item, or supervise its queue.

    Raises:
        NotFound: not for their eyes.
        Forbidden: a colleague's, about an item that is not in their hands.
    """
    reply = await session.get(Reply, reply_id, populate_existing=True, with_for_update=True if lock else None)
    if reply is None:
        raise NotFound(_("There is no reply %(reply_id)s.") % {"reply_id": reply_id})
    item = await visible_item(session, agent, reply.item_id)
    if agent.id not in {reply.agent_id, item.agent_id} and not agent.is_at_least(Role.SUPERVISOR):
        raise Forbidden(_("This reply is a colleague's. Ask them, or a supervisor."))
    return reply
