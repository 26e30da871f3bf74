"""Mentions: a note names colleagues, as `@Marta Nowak` or by the first part of their mail address, `@marta`.

Who may read the item is told of it and watches it from then on; who may not is told nothing, and the writer sees so.
"""

import re
from collections.abc import Sequence

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.flow import watch
from app.flow.notices import tell
from app.models.agent import Agent
from app.models.item import Item
from app.models.reply import Note
from app.models.sight import sees, visible_queues
from app.models.together import Mention, NoticeKind

MOST = 20  # colleagues named by one note
LONGEST = 80  # characters after an @ that may be a name
_AT = re.compile(r"(?<![\w@])@(?=\w)")


async def mention(session: AsyncSession, writer: Agent, item: Item, note: Note) -> list[Agent]:
    """Tell the colleagues whom a new note names; returns those who cannot see the item, and were not told."""
    named = [agent for agent in await mentioned(session, note.text) if agent.id != writer.id]
    seeing = [agent for agent in named if await may_read(session, agent, item)]
    told = {agent.id for agent in seeing}
    session.add_all([Mention(note_id=note.id, agent_id=agent.id, told=agent.id in told) for agent in named])
    await session.flush()
    await watch.begin(session, item.id, told)
    await tell(session, told, NoticeKind.MENTION, item.id, by=writer.id, said=note.text)
    return [agent for agent in named if agent.id not in told]


async def mentioned(session: AsyncSession, text: str) -> list[Agent]:
    """The active colleagues whom a text names, in the order of their names' first place; the longest name wins."""
    found: dict[int, Agent] = {}
    for place in list(_AT.finditer(text))[:MOST]:
        for agent in await _named_at(session, text[place.end() : place.end() + LONGEST]):
            found.setdefault(agent.id, agent)
    return list(found.values())


async def _named_at(session: AsyncSession, following: str) -> Sequence[Agent]:
    """Who is named at the beginning of a text: all of the longest name that stands there as a whole."""
    lowered = following.lower()
    local = func.split_part(func.lower(Agent.email), "@", 1)
    begins = or_(func.starts_with(lowered, func.lower(Agent.name)), func.starts_with(lowered, local))
    candidates = (await session.scalars(select(Agent).where(Agent.active, begins).order_by(Agent.id))).all()
    longest: dict[int, list[Agent]] = {}
    for agent in candidates:
        for name in {agent.name.lower(), agent.email.lower().partition("@")[0]}:
            if lowered.startswith(name) and not re.match(r"[\w-]", lowered[len(name) : len(name) + 1]):
                longest.setdefault(len(name), []).append(agent)
    return longest[max(longest)] if longest else []


async def may_read(session: AsyncSession, agent: Agent, item: Item) -> bool:
    """Whether an agent may read the item."""
    seen = select(Item.id).where(Item.id == item.id, sees(agent.id, visible_queues(agent)))
    return await session.scalar(seen) is not None
