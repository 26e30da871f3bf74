"""Personal data in what strangers wrote: masked for those who need not see it.

Whoever holds the item needs it, and so do supervisors and admins. For all others it is masked: in what everybody can
read on the channel all of it; in what was written to us alone only card numbers and bank accounts, which nobody needs
to answer. Lists, the search and history show nobody's.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import Visibility
from app.listening.patterns import compiled
from app.listening.personal import SECRET, kinds, masked
from app.models.agent import Agent, Role
from app.models.item import Item
from app.models.signal import Listening
from app.queries.said import Said

OPEN = frozenset({Visibility.PUBLIC, Visibility.UNLISTED})
STRANGERS = frozenset({"post", "context"})  # kinds of entries that people wrote who are not ours


def shielded(text: str, order: str | None = None) -> str:
    """A text without its personal data. `order` is the pattern of order numbers (RE2)."""
    return masked(text, _pattern(order))


def covered(text: str, visibility: str, order: str | None = None) -> str:
    """A text for who needs not see what is personal in it."""
    return masked(text, _pattern(order), only=None if visibility in OPEN else SECRET)


async def order_pattern(session: AsyncSession) -> str:
    """The pattern of the company's order numbers; empty for none."""
    return await session.scalar(select(Listening.order_pattern)) or ""


def needs(reader: Agent, item: Item) -> bool:
    """Whether the reader needs what is personal in the posts of an item."""
    return item.agent_id == reader.id or reader.is_at_least(Role.SUPERVISOR)


async def with_shield(session: AsyncSession, reader: Agent, item: Item, told: Sequence[Said]) -> list[Said]:
    """The same posts, each with the kinds of personal data it shows in public, and without it for who needs it not."""
    order = await order_pattern(session)
    whole = needs(reader, item)
    return [_shielded(one, order, whole=whole) if one.kind in STRANGERS else one for one in told]


def _shielded(one: Said, order: str, *, whole: bool) -> Said:
    public = one.visibility in OPEN
    found = kinds(one.whole, _pattern(order))
    shows = tuple(kind for kind in found if public or kind in SECRET)
    said = [one.whole, *(f"{was.title} {was.text}" for was in one.earlier)]
    if whole or not any(kinds(text, _pattern(order)) for text in said):
        return replace(one, personal=shows)

    def cover(text: str) -> str:
        return covered(text, one.visibility, order)

    translated = one.translated and replace(one.translated, text=cover(one.translated.text))
    return replace(
        one,
        personal=shows,
        masked=True,
        title=cover(one.title),
        text=cover(one.text),
        html=None,  # what stands between tags is not looked through: the text says it all
        earlier=tuple(replace(was, title=cover(was.title), text=cover(was.text)) for was in one.earlier),
        translated=translated,
    )


def _pattern(order: str | None) -> Any:
    return compiled(order) if order else None
