"""Lists narrowed by words: items in whose conversation something was said that has them all.

Of few such conversations the list takes theirs, by their ids. Where there are more, it is read in its own order, and
each item is asked; as so many have the words, a page is full soon.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import BigInteger, ColumnElement, any_, cast, exists, literal
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.agent import Agent
from app.models.item import Item
from app.models.search import SearchEntry
from app.queries import entries
from app.queries.asked import Asked, parse
from app.queries.entries import few, ids
from app.queries.question import question

FEW = entries.FEW
_ROOMS = "SELECT DISTINCT conversation_id FROM search_entry WHERE id = ANY(%(ids)s) AND words @@ %(exact)s::tsquery"


@dataclass(frozen=True, slots=True)
class Worded:
    """What the words ask of an item. `few`: they lead to the items by themselves, whatever the list's order."""

    conditions: Sequence[ColumnElement[bool]] = ()
    few: bool = False


async def worded(session: AsyncSession, me: Agent, typed: str, *, gather: bool = True) -> Worded:
    """What a filter's text asks of items. Without `gather` each item is asked, however few fit. Raises Invalid."""
    terms = parse(typed).terms
    conditions = []
    for term in terms:
        if term.negated:
            gone = await question(session, me, Asked((replace(term, negated=False),)))
            conditions.append(~_said(gone.exact))
    wanted = await question(session, me, Asked(tuple(term for term in terms if not term.negated)))
    if not wanted.exact:
        return Worded(conditions)
    found = await few(session, wanted.loose, FEW) if gather else None
    if found is None:
        return Worded([*conditions, _said(wanted.exact)])
    rooms = await ids(session, _ROOMS, {"ids": found, "exact": wanted.exact})
    theirs = Item.conversation_id == any_(literal(rooms, ARRAY(BigInteger)))
    return Worded([*conditions, theirs], few=True)


def _said(query: str) -> ColumnElement[bool]:
    """Whether something was said in an item's conversation that a text query finds."""
    return exists().where(
        SearchEntry.conversation_id == Item.conversation_id, SearchEntry.words.bool_op("@@")(cast(query, TSQUERY))
    )
