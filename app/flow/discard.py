"""Discard: what came is noise, and nobody needs to see it."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Forbidden
from app.flow.close import finish
from app.flow.visibility import visible_item
from app.i18n import _
from app.models.agent import Agent, Role
from app.models.item import Disposition, Item, State, Verb


async def discard(session: AsyncSession, agent: Agent, item_id: int) -> Item:
    """Put an item away as spam; reopening brings it back.

    Raises:
        NotFound: not for their eyes.
        Forbidden: a colleague holds it.
        Conflict: the state does not allow it.
    """
    item = await visible_item(session, agent, item_id)
    if item.agent_id not in {None, agent.id} and not agent.is_at_least(Role.SUPERVISOR):
        raise Forbidden(_("A colleague holds item %(item_id)s, so only they can discard it.") % {"item_id": item_id})
    return await finish(session, item, agent, Verb.DISCARD, to=State.DISCARDED, disposition=Disposition.SPAM)
