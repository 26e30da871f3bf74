"""Search over posts, replies and notes, newest first, for what the reader may see; and people by their names.

How it stays quick. The index knows words, and marks (channel, language, author, queue ...) beside them, but no order.
So, unless the newest LOOK things already fill a page, it is asked for the things that have all of them, FEW at most:
these are put in order by time. Where there are more, they lie close together, and walking back in time from the newest
finds a page of them soon; a walk ends after WALK things and says from where it may go on. The reader's queues are
marks too, so that what an agent may not see is not even looked at; but what decides is always the item itself, asked in
the same query.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app import i18n
from app.db import driver
from app.errors import Invalid
from app.i18n import _
from app.listening import tokens
from app.models.agent import Agent, Role
from app.models.queue import Queue
from app.queries import asked as asking
from app.queries import entries
from app.queries.asked import Asked, Term
from app.queries.entries import SEEN, any_mark, ids, visible
from app.queries.hits import Hit, hits_of
from app.queries.names import Person, people
from app.queries.question import question

PAGE = 30  # of what was found
FEW = entries.FEW
WALK = 30_000
LOOK = 1_000  # the newest things, looked at before the index is asked

Place = tuple[datetime, int]


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
    named = await people(session, me, asked.name) if after is None and asked.name else ()
    few, end = None, None
    rows = await _among(session, plan, None, most + 1, LOOK)  # what very much fits is found in the newest things
    if len(rows) <= most:
        few = await _few(session, plan) if plan.loose else None
        rows = await _among(session, plan, few, most + 1)
    if few is None and len(rows) <= most:
        end = await _end_of_walk(session, plan)
    shown = rows[:most]
    hits = await hits_of(session, shown)
    if len(rows) > most:
        last = shown[-1]
        return Found(hits, named, (last["at"], last["id"]))
    return Found(hits, named, end, end[0] if end else None)


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
    wanted = await question(session, me, asked)
    loose = [wanted.loose] if wanted.loose else []
    queues = await visible(session, me)
    conditions, values = _of_items(asked, queues)
    if not await _sees_most(session, me, queues):
        loose.append(any_mark([f"q:{queue}" for queue in queues]))
    window = [f"at {sign} %({name})s" for name, sign in (("after", ">="), ("before", "<")) if name in values]
    if after is not None:
        window.append("(at, id) < (%(page_at)s, %(page_id)s)")
    values |= {
        "me": me.id, "queues": list(queues), "few": FEW, "walk": WALK, "exact": wanted.exact,
        "loose": " & ".join(loose), "page_at": after and after[0], "page_id": after and after[1],
        "window": " AND ".join(window) or "true",
    }  # fmt: skip
    return _Plan(values["exact"], values["loose"], conditions, values)


async def _sees_most(session: AsyncSession, me: Agent, queues: Mapping[int, str]) -> bool:
    """Whether the marks of the reader's queues would leave out too little to be worth the reading."""
    return me.is_at_least(Role.ADMIN) or 2 * len(queues) > (await session.scalar(select(func.count(Queue.id))) or 0)


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


async def _few(session: AsyncSession, plan: _Plan) -> list[int] | None:
    """The ids of all that may fit, or None when they are more than FEW."""
    found = await entries.few(session, plan.loose, FEW, window=plan.values["window"], values=plan.values)
    return None if found is None else found + await ids(session, _HELD_OF, plan.values)


async def _among(
    session: AsyncSession, plan: _Plan, few: list[int] | None, most: int, walk: int | None = None
) -> list[Mapping[str, Any]]:
    if few is not None and not few:
        return []
    source = (_FROM_NEWEST if few is None else _FROM_FEW).format(window=plan.values["window"])
    exact = "e.words @@ %(exact)s::tsquery" if plan.exact else "true"
    query = _PAGE.format(source=source, seen=SEEN, conditions=plan.conditions, exact=exact)
    connection = await driver(session)
    rows = await connection.execute(query, {**plan.values, "ids": few, "most": most, "walk": walk or WALK})
    names = [column.name for column in rows.description or ()]
    return [dict(zip(names, row, strict=True)) async for row in rows]


async def _end_of_walk(session: AsyncSession, plan: _Plan) -> Place | None:
    connection = await driver(session)
    rows = await connection.execute(_END.format(window=plan.values["window"]), plan.values)
    found = await rows.fetchone()
    return (found[0], found[1]) if found else None
