"""Search over posts, replies and notes, newest first, for what the reader may see; and people by their names.

How it stays quick. The index knows words, and marks (channel, language, author, queue ...) beside them, but no order.
So, unless the newest LOOK things already fill a page, it is asked for the things that have all of them, FEW at most:
these are put in order by time. Where there are more, they lie close together, and walking back in time from the newest finds a page of them soon; a walk ends after
WALK things and says from where it may go on. The reader's queues are marks too, so that what an agent may not see is
not even looked at; but what decides is always the item itself, asked in the same query.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text, true
from sqlalchemy.ext.asyncio import AsyncSession

from app import i18n
from app.db import driver
from app.errors import Invalid
from app.i18n import _
from app.listening import tokens
from app.models.agent import Agent, Role
from app.models.change import newest_version
from app.models.post import Author, Post
from app.models.queue import Queue
from app.models.reply import Note, Reply
from app.models.search import Kind
from app.models.sight import visible_queues
from app.queries import asked as asking
from app.queries.asked import EXACT, WORDS, Asked, Term

PAGE = 30  # of what was found
FEW = 2_000
WALK = 30_000
LOOK = 1_000  # the newest things, looked at before the index is asked
MOST_AUTHORS = 50  # who are meant by one `from:`
PEOPLE = 5  # whose names are like what is looked for
VERY_ALIKE = 0.6  # pg_trgm's word similarity of a name with a slip of the finger
ALIKE = 0.45  # from which a name may be meant
LOOKED_ALIKE = 5_000  # names that are alike are put in order at most
CANDIDATES = 200
NOBODY = "a:0"  # a mark that nothing has

Place = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that was found, with the item in which the reader may look at it."""

    kind: str
    ref_id: int
    at: datetime
    item_id: int
    state: str
    posts: int  # of the item
    queue: str
    channel: str
    who: str
    handle: str
    language: str | None
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whose name is like what was looked for, with their newest item for the reader's eyes."""

    author_id: int
    name: str
    handle: str
    channel: str
    item_id: int


@dataclass(frozen=True, slots=True)
class Found:
    """A page of hits. `after`: there are more from here. `looked_to`: it was looked so far back, and no further yet."""

    hits: tuple[Hit, ...] = ()
    people: tuple[Person, ...] = ()
    after: Place | None = None
    looked_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the database is asked. `exact` is what must hold, `loose` a wider question that the index answers alone."""

    exact: str
    loose: str
    conditions: str
    values: Mapping[str, Any]


async def search(session: AsyncSession, me: Agent, asked: Asked, after: Place | None = None, most: int = PAGE) -> Found:
    """What fits, newest first, `most` at a time. Raises Invalid when an operator names what there is not."""
    if not asked:
        return Found()
    plan = await _plan(session, me, asked, after)
    people = await _people(session, me, asked) if after is None else ()
    ids, end = None, None
    rows = await _among(session, plan, None, most + 1, LOOK)  # what very much fits is found in the newest things
    if len(rows) <= most:
        ids = await _few(session, plan) if plan.loose else None
        rows = await _among(session, plan, ids, most + 1)
    if ids is None and len(rows) <= most:
        end = await _end_of_walk(session, plan)
    shown = rows[:most]
    hits = await _hits(session, shown)
    if len(rows) > most:
        last = shown[-1]
        return Found(hits, people, (last["at"], last["id"]))
    return Found(hits, people, end, end[0] if end else None)


_SEEN = """(i.queue_id = ANY(%(queues)s) OR i.agent_id = %(me)s)"""

# An item for the reader's eyes decides whether what was said in its conversation may be found.
_PAGE = """
    SELECT e.id, e.kind, e.ref_id, e.at, i.id AS item_id, i.state, i.posts, i.queue_id, i.channel
    FROM ({source}) e
    JOIN LATERAL (
        SELECT i.* FROM item i
        WHERE i.conversation_id = e.conversation_id AND {seen} {conditions}
        ORDER BY i.id DESC LIMIT 1
    ) i ON true
    WHERE {exact}
    ORDER BY e.at DESC, e.id DESC LIMIT %(most)s
"""
_FROM_FEW = """
    SELECT * FROM search_entry WHERE id = ANY(%(ids)s) AND {window} ORDER BY at DESC, id DESC OFFSET 0
"""
_FROM_NEWEST = """
    SELECT * FROM search_entry WHERE conversation_id IS NOT NULL AND {window} ORDER BY at DESC, id DESC LIMIT %(walk)s
"""
_FEW_OF = """
    SELECT id FROM search_entry WHERE words @@ %(loose)s::tsquery AND conversation_id IS NOT NULL AND {window}
    LIMIT %(few)s
"""
# The planner believes that common words stand together as often as chance would have it, and would read on and on.
_ONLY_BITMAPS = text(
    "SELECT set_config(name, :others, true) FROM unnest(ARRAY['enable_seqscan', 'enable_indexscan']) AS g(name)"
)
# What one holds oneself in a queue that one does not see any more: no mark leads there.
_HELD_OF = """
    SELECT e.id FROM search_entry e JOIN item i USING (conversation_id)
    WHERE i.agent_id = %(me)s AND NOT i.queue_id = ANY(%(queues)s) LIMIT %(few)s
"""
_END = """
    SELECT at, id FROM search_entry WHERE conversation_id IS NOT NULL AND {window}
    ORDER BY at DESC, id DESC OFFSET %(walk)s - 1 LIMIT 1
"""


async def _plan(session: AsyncSession, me: Agent, asked: Asked, after: Place | None) -> _Plan:
    exact, loose = [], []
    for term in asked.of(WORDS, EXACT):
        exact.append(_not(_words(term, " <-> "), term))
        loose += [] if term.negated else [_words(term, " & ")]
    for term in asked.of("from", "channel", "lang", "has"):
        marks = " | ".join(tokens.quoted(tokens.MARK + mark) for mark in await _marks(session, me, term))
        exact.append(_not(f"({marks})", term))
        loose += [] if term.negated else [f"({marks})"]
    queues = await _visible(session, me)
    conditions, values = _of_items(asked, queues)
    if not await _sees_most(session, me, queues):
        loose.append(f"({' | '.join(tokens.quoted(f'{tokens.MARK}q:{queue}') for queue in queues) or _nothing()})")
    window = [f"at {sign} %({name})s" for name, sign in (("after", ">="), ("before", "<")) if name in values]
    if after is not None:
        window.append("(at, id) < (%(page_at)s, %(page_id)s)")
    values |= {
        "me": me.id, "queues": list(queues), "few": FEW + 1, "walk": WALK, "exact": " & ".join(exact),
        "loose": " & ".join(loose), "page_at": after and after[0], "page_id": after and after[1],
        "window": " AND ".join(window) or "true",
    }  # fmt: skip
    return _Plan(values["exact"], values["loose"], conditions, values)


async def _sees_most(session: AsyncSession, me: Agent, queues: Mapping[int, str]) -> bool:
    """Whether the marks of the reader's queues would leave out too little to be worth the reading."""
    return me.is_at_least(Role.ADMIN) or 2 * len(queues) > (await session.scalar(select(func.count(Queue.id))) or 0)


def _nothing() -> str:
    return tokens.quoted(tokens.MARK + NOBODY)


def _not(query: str, term: Term) -> str:
    return f"!({query})" if term.negated else query


def _words(term: Term, joined: str) -> str:
    asked = tokens.asked(term.value, prefix=term.op == WORDS)
    return "(" + joined.join(tokens.quoted(one.text) + (":*" if one.prefix else "") for one in asked) + ")"


def _of_items(asked: Asked, queues: Mapping[int, str]) -> tuple[str, dict[str, Any]]:
    """What is asked of the item, and of the time. Raises Invalid."""
    parts: list[str] = []
    values: dict[str, Any] = {}
    zone = i18n.reader.get().zone
    for number, term in enumerate(asked.terms):
        name, wrong = f"v{number}", "NOT " if term.negated else ""
        if term.op in {"before", "after"}:
            values[term.op] = asking.moment(term.value, zone)
        elif term.op == "state":
            parts.append(f"AND {wrong}i.state = ANY(%({name})s)")
            values[name] = [str(state) for state in asking.states(term.value)]
        elif term.op == "tag":
            parts.append(f"AND {wrong}EXISTS (SELECT FROM unnest(i.tags) t WHERE lower(t) = lower(%({name})s))")
            values[name] = term.value
        elif term.op == "queue":
            parts.append(f"AND {wrong}i.queue_id = ANY(%({name})s)")
            values[name] = _queue_ids(term, queues)
    return " ".join(parts), values


def _queue_ids(term: Term, queues: Mapping[int, str]) -> list[int]:
    wanted = tokens.folded(term.value)
    named = {queue_id: tokens.folded(name) for queue_id, name in queues.items()}
    exact = [queue_id for queue_id, name in named.items() if name == wanted]
    found = exact or [queue_id for queue_id, name in named.items() if name.startswith(wanted)]
    if not found:
        known = ", ".join(queues.values())
        raise Invalid(
            _("There is no queue “%(value)s” for you. There are: %(known)s.") % {"value": term.value, "known": known},
            "q",
        )
    return found


async def _marks(session: AsyncSession, me: Agent, term: Term) -> list[str]:
    """The marks of what an operator means; one that nothing has, when it means nothing."""
    if term.op == "from":
        return await _who(session, me, term.value) or [NOBODY]
    return [{"channel": f"c:{term.value}", "lang": f"l:{term.value.partition('-')[0]}", "has": "m"}[term.op]]


async def _who(session: AsyncSession, me: Agent, name: str) -> list[str]:
    """Authors and colleagues of that name or handle; where there are none, authors whose name is like it."""
    if name.casefold() == "me":
        return [f"g:{me.id}"]
    plain = tokens.folded(name)
    agents = await session.execute(select(Agent.id, Agent.name))
    colleagues = [f"g:{agent_id}" for agent_id, named in agents if _begins(tokens.folded(named), plain)]
    asked = tokens.asked(name, prefix=True)
    words = " <-> ".join(tokens.quoted(one.text) + (":*" if one.prefix else "") for one in asked) or _nothing()
    query = f"{tokens.quoted(f'{tokens.MARK}k:{Kind.PERSON}')} & {words}"
    found = await _ids(
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
    return await _ids(session, query, values)


async def _alike(session: AsyncSession, plain: str, most: int) -> list[int]:
    """Authors whose folded names are like a folded text, the most alike first; at first only the very much alike.

    Of more than LOOKED_ALIKE, those are put in order that the index gives first.
    """
    for threshold in (VERY_ALIKE, ALIKE):
        await session.execute(
            text("SELECT set_config('pg_trgm.word_similarity_threshold', :t, true)"), {"t": str(threshold)}
        )
        found = await _ids(
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


async def _people(session: AsyncSession, me: Agent, asked: Asked) -> tuple[Person, ...]:
    """People whose names are like all the words together, if nothing but words is asked for."""
    said = " ".join(term.value for term in asked.said)
    if not said or len(asked.said) != len(asked.terms):
        return ()
    plain = tokens.folded(said)
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
            SELECT i.id FROM item i WHERE i.customer_id = a.customer_id AND {_SEEN} ORDER BY i.id DESC LIMIT 1
        ) i ON true
        ORDER BY g.place LIMIT %(most)s
        """,  # noqa: S608 - our own words only
        {"ids": found, "most": PEOPLE, "me": me.id, "queues": list(await _visible(session, me))},
    )
    return tuple([Person(*row) async for row in rows])


async def _visible(session: AsyncSession, me: Agent) -> dict[int, str]:
    found = await session.execute(
        select(Queue.id, Queue.name).where(Queue.id.in_(visible_queues(me))).order_by(Queue.name)
    )
    return {row[0]: row[1] for row in found}


async def _few(session: AsyncSession, plan: _Plan) -> list[int] | None:
    """The ids of all that may fit, or None when they are more than FEW."""
    await session.execute(_ONLY_BITMAPS, {"others": "off"})
    found = await _ids(session, _FEW_OF.format(window=plan.values["window"]), plan.values)
    await session.execute(_ONLY_BITMAPS, {"others": "on"})
    if len(found) > FEW:
        return None
    return found + await _ids(session, _HELD_OF, plan.values)


async def _among(
    session: AsyncSession, plan: _Plan, ids: list[int] | None, most: int, walk: int | None = None
) -> list[Mapping[str, Any]]:
    if ids is not None and not ids:
        return []
    source = (_FROM_NEWEST if ids is None else _FROM_FEW).format(window=plan.values["window"])
    exact = "e.words @@ %(exact)s::tsquery" if plan.exact else "true"
    query = _PAGE.format(source=source, seen=_SEEN, conditions=plan.conditions, exact=exact)
    connection = await driver(session)
    rows = await connection.execute(query, {**plan.values, "ids": ids, "most": most, "walk": walk or WALK})
    names = [column.name for column in rows.description or ()]
    return [dict(zip(names, row, strict=True)) async for row in rows]


async def _end_of_walk(session: AsyncSession, plan: _Plan) -> Place | None:
    connection = await driver(session)
    rows = await connection.execute(_END.format(window=plan.values["window"]), plan.values)
    found = await rows.fetchone()
    return (found[0], found[1]) if found else None


async def _ids(session: AsyncSession, query: str, values: Mapping[str, Any]) -> list[int]:
    connection = await driver(session)
    return [row[0] async for row in await connection.execute(query, values)]


async def _hits(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> tuple[Hit, ...]:
    """What was said, for the page."""
    ids: dict[str, set[int]] = {}
    for row in rows:
        ids.setdefault(row["kind"], set()).add(row["ref_id"])
    said = {
        **{(Kind.POST.value, key): value for key, value in await _said_by_people(session, ids.get(Kind.POST, ()))},
        **{(Kind.REPLY.value, key): value for key, value in await _said_by_us(session, Reply, ids.get(Kind.REPLY, ()))},
        **{(Kind.NOTE.value, key): value for key, value in await _said_by_us(session, Note, ids.get(Kind.NOTE, ()))},
    }
    queues = {row["queue_id"] for row in rows}
    names = {row[0]: row[1] for row in await session.execute(select(Queue.id, Queue.name).where(Queue.id.in_(queues)))}
    return tuple(
        Hit(
            row["kind"], row["ref_id"], row["at"], row["item_id"], row["state"], row["posts"],
            names[row["queue_id"]], row["channel"], *said[row["kind"], row["ref_id"]],
        )
        for row in rows
        if (row["kind"], row["ref_id"]) in said
    )  # fmt: skip


Words = tuple[int, tuple[str, str, str | None, str, str]]  # id, then who, handle, language, title, text


async def _said_by_people(session: AsyncSession, ids: Iterable[int]) -> list[Words]:
    """Posts; our own that came back by a feed are left out where the reply itself is there."""
    sent = select(Reply.id).where(Reply.channel == Post.channel, Reply.external_id == Post.external_id).exists()
    newest = newest_version()
    title, said = func.coalesce(newest.c.title, Post.title), func.coalesce(newest.c.text, Post.text)
    found = (
        select(Post.id, Author.name, Author.handle, Post.language, title, said)
        .join(Author, Author.id == Post.author_id)
        .outerjoin(newest, true())
        .where(Post.id.in_(ids), ~sent)
    )
    return [(row[0], (row[1] or row[2], row[2], row[3], row[4], row[5])) for row in await session.execute(found)]


async def _said_by_us(session: AsyncSession, table: type[Reply | Note], ids: Iterable[int]) -> list[Words]:
    found = (
        select(table.id, Agent.name, table.text).outerjoin(Agent, Agent.id == table.agent_id).where(table.id.in_(ids))
    )
    return [(row[0], (row[1] or _("Careline"), "", None, "", row[2])) for row in await session.execute(found)]
