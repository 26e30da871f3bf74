"""Tag: words that an item is found by. Agents who see an item add and take away."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Invalid
from app.flow.visibility import visible_item
from app.i18n import _
from app.listening.clean import storable
from app.models.agent import Agent
from app.models.item import Item, Verb, agent_actor, alter

LONGEST = 60  # characters
MOST = 30  # of an item


def tag_of(typed: str) -> str:
    """A tag as it is kept: one line, lower case. Raises Invalid when it is empty or too long."""
    kept = " ".join(storable(typed, LONGEST * 4).split()).lower()
    if not kept or len(kept) > LONGEST:
        raise Invalid(_("A tag has between 1 and %d characters.") % LONGEST, "tag")
    return kept


async def tag(session: AsyncSession, agent: Agent, item_id: int, typed: str) -> Item:
    """Add a tag; one that is there already changes nothing. Raises NotFound, Invalid, Conflict (changed meanwhile)."""
    item, kept = await visible_item(session, agent, item_id), tag_of(typed)
    if kept in item.tags:
        return item
    if len(item.tags) >= MOST:
        raise Invalid(_("This item has %d tags already. Take one away first.") % MOST, "tag")
    return await alter(session, item, Verb.TAG, agent_actor(agent.id), why={"tag": kept}, tags=[*item.tags, kept])


async def untag(session: AsyncSession, agent: Agent, item_id: int, gone: str) -> Item:
    """Take a tag away; one that is not there changes nothing. Raises NotFound, Conflict (changed meanwhile)."""
    item = await visible_item(session, agent, item_id)
    if gone not in item.tags:
        return item
    left = [one for one in item.tags if one != gone]
    return await alter(session, item, Verb.UNTAG, agent_actor(agent.id), why={"tag": gone}, tags=left)
