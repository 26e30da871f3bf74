"""Note: a remark on an item, seen only inside."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.db import announce
from app.errors import Invalid
from app.flow.mention import mention
from app.flow.visibility import readable_item
from app.flow.watch import NOTE, tell_watchers
from app.i18n import _
from app.listening.clean import storable
from app.models.agent import Agent
from app.models.item import Item
from app.models.reply import Note

LONGEST = 10_000  # characters


async def note(session: AsyncSession, agent: Agent, item_id: int, text: str) -> Note:
    """Write a note on an item that the agent may read; they need not hold it. Colleagues whom it names are told.

    Raises:
        NotFound: not for their eyes.
        Invalid: it is empty or too long.
    """
    item = await readable_item(session, agent, item_id)
    written = await write(session, agent, item, text)
    await tell_watchers(session, item.id, NOTE, by=agent.id, said=written.text)
    await mention(session, agent, item, written)
    return written


async def write(session: AsyncSession, agent: Agent, item: Item, text: str) -> Note:
    """Write a note on an item that the caller has checked. Raises Invalid: it is empty or too long."""
    kept = storable(text.strip(), LONGEST + 1)
    if not kept or len(kept) > LONGEST:
        raise Invalid(_("A note has between 1 and %(longest)s characters.") % {"longest": LONGEST}, field="text")
    written = Note(item_id=item.id, agent_id=agent.id, text=kept)
    session.add(written)
    await session.flush()
    announce(session, "items", [item.id])
    return written
