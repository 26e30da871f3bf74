"""People by their names and handles: as they are written, or a little wrong."""

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import driver
from app.listening import tokens
from app.models.agent import Agent
from app.models.search import Kind
from app.queries.entries import SEEN, any_mark, ids, visible

MOST_AUTHORS = 50  # who are meant by one `from:`
PEOPLE = 5  # whose names are like what is looked for
VERY_ALIKE = 0.6  # pg_trgm's word similarity of a name with a slip of the finger
ALIKE = 0.45  # from which a name may be meant
LOOKED_ALIKE = 5_000  # names that are alike are put in order at most
CANDIDATES = 200


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whose name is like what was looked for, with their newest item for the reader's eyes."""

    author_id: int
    name: str
    handle: str
    channel: str
    item_id: int


async def who(session: AsyncSession, me: Agent, name: str) -> list[str]:
    """Authors and colleagues of that name or handle; where there are none, authors whose name is like it."""
    if name.casefold() == "me":
        return [f"g:{me.id}"]
    plain = tokens.folded(name)
    agents = await session.execute(select(Agent.id, Agent.name))
    colleagues = [f"g:{agent_id}" for agent_id, named in agents if _begins(tokens.folded(named), plain)]
    asked = tokens.asked(name, prefix=True)
    words = " <-> ".join(tokens.quoted(one.text) + (":*" if one.prefix else "") for one in asked) or any_mark([])
    query = f"{any_mark([f'k:{Kind.PERSON}'])} & {words}"
    found = await ids(
        session,
        "SELECT ref_id FROM search_entry WHERE kind = 'person' AND words @@ %(query)s::tsquery LIMIT %(most)s",
        {"query": query, "most": MOST_AUTHORS},
    )
    if not found and not colleagues:
        found = await _alike(session, plain, PEOPLE)
    return [*colleagues, *(f"a:{author_id}" for author_id in found)]


def _begins(name: str, wanted: str) -> bool:
    return bool(wanted) and (name.startswith(wanted) or any(part.startswith(wanted) for part in name.split()))


async def _called(session: AsyncSession, plain: str, most: int) -> list[int]:
    """Authors in whose folded names every word of a folded text begins one."""
    values: dict[str, Any] = {"most": most}
    parts = []
    for number, word in enumerate(plain.split()):
        begun = re.sub(r"([\\%_])", r"\\\1", word)
        for place, before in (("a", ""), ("b", "% "), ("c", "%@")):
            values[f"{place}{number}"] = f"{before}{begun}%"
        parts.append(f"(name LIKE %(a{number})s OR name LIKE %(b{number})s OR name LIKE %(c{number})s)")
    if not parts:
        return []
    query = f"SELECT ref_id FROM search_entry WHERE kind = 'person' AND {' AND '.join(parts)} LIMIT %(most)s"  # noqa: S608 - our own words only
    return await ids(session, query, values)


async def _alike(session: AsyncSession, plain: str, most: int) -> list[int]:
    """Authors whose folded names are like a folded text, the most alike first; at first only the very much alike.

    Of more than LOOKED_ALIKE, those are put in order that the index gives first.
    """
    for threshold in (VERY_ALIKE, ALIKE):
        await session.execute(
            text("SELECT set_config('pg_trgm.word_similarity_threshold', :t, true)"), {"t": str(threshold)}
        )
        found = await ids(
            session,
            """
            SELECT ref_id FROM (
                SELECT ref_id, name FROM search_entry WHERE kind = 'person' AND name %%> %(name)s LIMIT %(looked)s
            ) e
            ORDER BY name <->> %(name)s, ref_id DESC LIMIT %(most)s
            """,
            {"name": plain, "most": most, "looked": LOOKED_ALIKE},
        )
        if found:
            return found
    return []


async def people(session: AsyncSession, me: Agent, typed: str, most: int = PEOPLE) -> tuple[Person, ...]:
    """People whose names are like a text, and of whom the reader may see an item."""
    plain = tokens.folded(typed.replace("\x00", " ")).strip()
    found = await _called(session, plain, CANDIDATES) or await _alike(session, plain, CANDIDATES)
    if not found:
        return ()
    connection = await driver(session)
    rows = await connection.execute(
        f"""
        SELECT a.id, coalesce(nullif(a.name, ''), c.name), a.handle, a.channel, i.id
        FROM unnest(%(ids)s::bigint[]) WITH ORDINALITY AS g(id, place)
        JOIN author a ON a.id = g.id JOIN customer c ON c.id = a.customer_id
        JOIN LATERAL (
            SELECT i.id FROM item i WHERE i.customer_id = a.customer_id AND {SEEN} ORDER BY i.id DESC LIMIT 1
        ) i ON true
        ORDER BY g.place LIMIT %(most)s
        """,  # noqa: S608 - our own words only
        {"ids": found, "most": most, "me": me.id, "queues": list(await visible(session, me))},
    )
    return tuple([Person(*row) async for row in rows])
