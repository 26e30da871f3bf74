"""Take over: an item goes from its holder's hands into those of a colleague who did not wait to be given it.

Supervisors of its team may at any time; colleagues once the holder has been away for as long as the queue says (0: at
any time). The former holder is told, the history tells it, and what they have begun to write goes along.
"""

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict, Forbidden
from app.flow.assign import locked, presences_of, put, supervises
from app.flow.draft import hand_over_draft
from app.flow.item_request import HELD
from app.flow.visibility import visible_item
from app.i18n import _
from app.models.agent import Agent, Presence, PresenceState
from app.models.item import Item
from app.models.queue import Queue


async def take_over(session: AsyncSession, agent: Agent, item_id: int, seen: int | None = None) -> Item:
    """Take an item out of a colleague's hands. `seen` is the holder (agent id) whom the taker had before them.

    Raises:
        NotFound: not for their eyes.
        Conflict: nobody holds it, they do themselves, or it has another holder than the one they saw.
        Forbidden: its holder is there, and the taker does not supervise the queue.
    """
    await visible_item(session, agent, item_id)
    item = await locked(session, item_id)
    if item.state not in HELD or item.agent_id is None:
        raise Conflict(_("Nobody holds item %(item)s now. Claim it.") % {"item": item_id})
    if item.agent_id == agent.id:
        raise Conflict(_("You hold item %(item)s already.") % {"item": item_id})
    if seen is not None and seen != item.agent_id:
        raise Conflict(_("Item %(item)s has gone to somebody else meanwhile. Look at it again.") % {"item": item_id})
    holder_id = item.agent_id
    if not await may_take_over(session, agent, item):
        holder = await session.get_one(Agent, holder_id)
        raise Forbidden(_("%(name)s holds it, and is there. Ask them for it.") % {"name": holder.name})
    await presences_of(session, holder_id, agent.id)
    taken = await put(session, agent, item, agent, taken=True)
    await hand_over_draft(session, item.id, holder_id, agent.id)
    return taken


async def may_take_over(session: AsyncSession, agent: Agent, item: Item) -> bool:
    """Whether the agent, who may work the item, may take it from its holder now."""
    if item.agent_id in {None, agent.id} or item.state not in HELD:
        return False
    if await supervises(session, agent, item):
        return True
    patience = func.make_interval(0, 0, 0, 0, 0, 0, Queue.take_over_after)
    away = Presence.state.in_((PresenceState.OFFLINE, PresenceState.NOT_READY)) & (
        Presence.since < func.now() - patience
    )
    silent = Presence.seen_at < func.now() - patience
    free = (
        select(Queue.id)
        .join(Presence, Presence.agent_id == item.agent_id)
        .where(Queue.id == item.queue_id)
        .where(or_(Queue.take_over_after == 0, away, silent))
    )
    return await session.scalar(free) is not None
