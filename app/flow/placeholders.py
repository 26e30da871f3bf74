"""Placeholders of saved replies: `{customer.name}` and the like. Plain substitution, once; it is no template language.

What has no value stays as it is written, so that it is seen, and a reply that still has one does not leave.
"""

import re
from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Invalid
from app.i18n import _
from app.models.agent import Agent
from app.models.item import Item
from app.models.post import Author
from app.models.queue import Queue

KNOWN = (
    "customer.name",
    "customer.first_name",
    "customer.handle",
    "agent.name",
    "agent.first_name",
    "item.id",
    "queue.name",
)  # what has a value; anything else is a blank for the agent
PLACEHOLDER = re.compile(r"\{([^\W\d_][\w. -]{0,58})\}")
_NO_BRACES = str.maketrans("{}", "()")  # a value is never a placeholder itself


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with every placeholder that has a value replaced by it; the others stay."""

    def value(found: re.Match[str]) -> str:
        return values.get(found[1], "").strip().translate(_NO_BRACES) or found[0]

    return PLACEHOLDER.sub(value, text)


def blanks(text: str) -> tuple[str, ...]:
    """The placeholders that still stand in a text, each once, in order: `{order number}`."""
    return tuple(dict.fromkeys(found[0] for found in PLACEHOLDER.finditer(text)))


def refuse_blanks(text: str) -> None:
    """Raises Invalid when something is still to be filled in."""
    left = blanks(text)
    if left:
        raise Invalid(_("Fill in %s before you send it, or take it out.") % ", ".join(left), field="text")


async def values_for(session: AsyncSession, agent: Agent, item: Item) -> Mapping[str, str]:
    """What the placeholders stand for when this agent answers this item."""
    author = await session.get_one(Author, item.author_id)
    queue = await session.scalar(select(Queue.name).where(Queue.id == item.queue_id))
    customer = (author.name, _first(author.name), author.handle)
    return dict(zip(KNOWN, (*customer, agent.name, _first(agent.name), str(item.id), queue or ""), strict=True))


def _first(name: str) -> str:
    return name.split(maxsplit=1)[0] if name.split() else ""
