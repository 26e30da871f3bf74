"""Saved replies as the picker and their page show them."""

import unicodedata
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.agent import Agent, Role, Team
from app.models.item import Item
from app.models.queue import Queue
from app.models.saved import Macro, SavedReply
from app.models.sight import visible_kept

MOST = 500  # saved replies that an agent chooses among
SHOWN = 8  # of them in the picker


@dataclass(frozen=True, slots=True)
class Line:
    """A saved reply in the list of all."""

    saved: SavedReply
    team: str | None
    changeable: bool


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


async def saved_lines(session: AsyncSession, agent: Agent) -> list[Line]:
    """All that the agent may use, by title."""
    rows = await session.execute(
        select(SavedReply, Team.name)
        .outerjoin(Team, Team.id == SavedReply.team_id)
        .where(visible_kept(SavedReply, agent))
        .order_by(func.lower(SavedReply.title), SavedReply.id)
        .limit(MOST)
    )
    everything = agent.is_at_least(Role.SUPERVISOR)
    return [Line(row[0], row[1], everything or row[0].agent_id == agent.id) for row in rows]


@dataclass(frozen=True, slots=True)
class MacroLine:
    """A macro in the list of all."""

    macro: Macro
    team: str | None
    changeable: bool


async def macro_lines(session: AsyncSession, agent: Agent) -> list[MacroLine]:
    """All macros that the agent may use, by name."""
    rows = await session.execute(
        select(Macro, Team.name)
        .outerjoin(Team, Team.id == Macro.team_id)
        .where(visible_kept(Macro, agent))
        .order_by(func.lower(Macro.name), Macro.id)
        .limit(MOST)
    )
    everything = agent.is_at_least(Role.SUPERVISOR)
    return [MacroLine(row[0], row[1], everything or row[0].agent_id == agent.id) for row in rows]
