"""Saved replies, macros and views as their pages show them, and saved replies as the picker does."""

import unicodedata
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.agent import Agent, Role, Team
from app.models.item import Item
from app.models.queue import Queue
from app.models.saved import Kept, Macro, SavedReply
from app.models.sight import visible_kept

K = TypeVar("K", bound=Kept)
MOST = 500  # of a kind that an agent chooses among
SHOWN = 8  # of them in the picker


@dataclass(frozen=True, slots=True)
class Line(Generic[K]):
    """A saved reply, macro or view in the list of all. `team`: whose it is, when it is a team's."""

    kept: K
    team: str | None
    changeable: bool


async def lines(session: AsyncSession, agent: Agent, kind: type[K], *order: Any, most: int = MOST) -> list[Line[K]]:
    """All of a kind that the agent may use."""
    rows = await session.execute(
        select(kind, Team.name)
        .outerjoin(Team, Team.id == kind.team_id)
        .where(visible_kept(kind, agent))
        .order_by(*order, kind.id)
        .limit(most)
    )
    everything = agent.is_at_least(Role.SUPERVISOR)
    return [Line(row[0], row[1], everything or row[0].agent_id == agent.id) for row in rows]


async def saved_lines(session: AsyncSession, agent: Agent) -> list[Line[SavedReply]]:
    """All saved replies that the agent may use, by title."""
    return await lines(session, agent, SavedReply, func.lower(SavedReply.title))


async def macro_lines(session: AsyncSession, agent: Agent) -> list[Line[Macro]]:
    """All macros that the agent may use, by name."""
    return await lines(session, agent, Macro, func.lower(Macro.name))


async def fitting(session: AsyncSession, agent: Agent, item: Item, query: str, most: int = SHOWN) -> list[SavedReply]:
    """The saved replies that match what was typed; first those in the item's language, on its topics, much used."""
    found = select(SavedReply).where(visible_kept(SavedReply, agent)).order_by(SavedReply.uses.desc(), SavedReply.id)
    queue = await session.scalar(select(Queue.name).where(Queue.id == item.queue_id)) or ""
    topics = {folded(tag) for tag in item.tags} | set(folded(queue).split())
    wanted = folded(query)
    ranked = [
        (_rank(one, wanted, item.language or "", topics), one) for one in await session.scalars(found.limit(MOST))
    ]
    best = sorted(((rank, one) for rank, one in ranked if rank is not None), key=lambda pair: pair[0])
    return [one for _place, one in best[:most]]


def _rank(one: SavedReply, wanted: str, language: str, topics: set[str]) -> tuple[int, int, int] | None:
    """Lower is better: how the words match, then the language, then the topic. None when nothing matches."""
    match = _match(one, wanted)
    if match is None:
        return None
    main, spoken = (tag.partition("-")[0].lower() for tag in (one.language, language))
    return match, 1 if not main else 0 if main == spoken else 2, -len(topics & {folded(tag) for tag in one.tags})


def _match(one: SavedReply, wanted: str) -> int | None:
    title, tags, body = folded(one.title), folded(" ".join(one.tags)), folded(one.body)
    if not wanted or title.startswith(wanted):
        return 0
    for worse, text in enumerate((title, f"{title} {tags}", f"{title} {tags} {body}"), start=1):
        if all(word in text for word in wanted.split()):
            return worse
    return 4 if _in_order(wanted.replace(" ", ""), title) else None


def folded(text: str) -> str:
    """A text to compare by: neither case nor marks count."""
    plain = (letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return "".join(plain).casefold().strip()


def _in_order(letters: str, text: str) -> bool:
    rest = iter(text)
    return all(letter in rest for letter in letters)
