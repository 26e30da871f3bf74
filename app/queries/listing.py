"""Lists of items: any filter, any order, page by page, over all queues that the reader may see.

A page begins after the last row of the page before (its key and id), so that no row is skipped or shown twice while
others come and go. Waiting items are read queue by queue from an index in the order asked for, a page of each at most;
those in somebody's hands are few and read together; ended ones by the time they were opened, of the last HISTORY.
What is narrowed by words that few conversations have is read from these alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import add
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Select,
    Text,
    exists,
    func,
    literal,
    or_,
    select,
    text,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Invalid
from app.i18n import _
from app.models.agent import Agent
from app.models.item import Item, State
from app.models.post import Author, Customer, Post
from app.models.queue import Queue
from app.models.sight import visible_queues
from app.models.signal import Signal
from app.queries.desk import PAGE, Row, rows_of
from app.queries.filters import ME, NOBODY, Filter, Sort
from app.queries.worded import Worded, worded

COUNTED = 1000  # items of a list are counted up to this
LOOKED_AT = 1000  # items of each place are looked at to count what is in a view
HISTORY = timedelta(days=30)  # ended items are listed that were opened within
HELD_STATES = frozenset({State.OFFERED, State.ACTIVE, State.PARKED})
DESCENDING = frozenset({Sort.REACH, Sort.NEW})
UNKNOWN_REACH = -1


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: after the item with this key (a time, or followers) and id."""

    key: datetime | int
    item_id: int

    def named(self) -> str:
        """As an address carries it."""
        key = self.key.astimezone(UTC).isoformat() if isinstance(self.key, datetime) else str(self.key)
        return f"{key}~{self.item_id}"


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of a list, and where the next begins, when there is one."""

    rows: tuple[Row, ...]
    after: Place | None = None


def place_of(named: str, sort: Sort) -> Place | None:
    """The place that an address names. Raises Invalid when it makes no sense for the order."""
    if not named:
        return None
    key, _separator, item_id = named.partition("~")
    try:
        at: datetime | int = int(key) if sort == Sort.REACH else datetime.fromisoformat(key)
        found = Place(at, int(item_id))
    except ValueError:
        found = None
    if found is None or (isinstance(found.key, datetime) and found.key.tzinfo is None) or abs(found.item_id) >= 2**63:
        raise Invalid(_("That page does not exist. Go back to the beginning."), "after")
    return found


async def listed(
    session: AsyncSession, me: Agent, wanted: Filter, sort: Sort, *, after: Place | None = None, most: int = PAGE
) -> Listed:
    """One page of the items that the filter lets through and the reader may see."""
    found = await _keys(session, me, wanted, sort, after=after, most=most + 1)
    shown = found[:most]
    rows = {row.item_id: row for row in await rows_of(session, [one.item_id for one in shown])}
    more = shown[-1] if len(found) > most else None
    return Listed(tuple(rows[one.item_id] for one in shown), more)


async def ids(session: AsyncSession, me: Agent, wanted: Filter, sort: Sort, most: int) -> list[int]:
    """The ids of the first `most` items of a list."""
    return [one.item_id for one in await _keys(session, me, wanted, sort, most=most)]


async def count(session: AsyncSession, me: Agent, wanted: Filter, most: int = COUNTED) -> int:
    """How many items a list holds, at most `most`."""
    conditions = [*narrowed(me, wanted), *(await worded(session, me, wanted.text)).conditions]
    parts = [
        select(Item.id).where(seen, *conditions).limit(most).subquery()
        for seen in _where(me, wanted, visible_queues(me))
    ]
    if not parts:
        return 0
    together = union_all(*[select(part) for part in parts]).subquery()
    found = await session.scalar(select(func.count()).select_from(together))
    return min(found or 0, most)


async def counts(session: AsyncSession, me: Agent, lists: Sequence[Filter]) -> list[tuple[int, bool]]:
    """How many items each list holds among the LOOKED_AT of each place, and whether there may be more: for all at once."""
    said = [await worded(session, me, wanted.text, gather=False) for wanted in lists]
    columns = [column for number, wanted in enumerate(lists) for column in _counted(me, wanted, said[number], number)]
    if not columns:
        return []
    found = (await session.execute(select(*columns))).one()
    return [(found[at], found[at + 1] >= LOOKED_AT) for at in range(0, len(found), 2)]


def _counted(me: Agent, wanted: Filter, said: Worded, number: int) -> tuple[ColumnElement[int], ColumnElement[int]]:
    """What is in a list, and how many were looked at in the fullest of its places."""
    places = [
        select(Item.id).where(seen).limit(LOOKED_AT).cte(f"looked_{number}_{part}")
        for part, seen in enumerate(_where(me, wanted, visible_queues(me)))
    ]
    conditions = [*narrowed(me, wanted), *said.conditions]
    inside = [
        select(func.count()).select_from(Item).where(Item.id.in_(select(place.c.id)), *conditions).scalar_subquery()
        for place in places
    ]
    looked = [select(func.count()).select_from(place).scalar_subquery() for place in places]
    return reduce(add, inside), func.greatest(*looked)


def _where(me: Agent, wanted: Filter, queues: Select[Any]) -> Iterator[ColumnElement[bool]]:
    """Where the wanted items are, a part for each index that holds some of them."""
    visible = Item.queue_id.in_(queues)
    if State.QUEUED in wanted.open_states:
        yield (Item.state == State.QUEUED) & visible
    if held := HELD_STATES & wanted.open_states:
        yield _held(me, held, visible)
    if ended := wanted.ended_states:
        yield Item.state.in_(sorted(ended)) & (Item.opened_at > func.now() - HISTORY) & visible


def _held(me: Agent, states: frozenset[State], visible: ColumnElement[bool]) -> ColumnElement[bool]:
    return Item.agent_id.is_not(None) & Item.state.in_(sorted(states)) & (visible | (Item.agent_id == me.id))


async def _keys(
    session: AsyncSession, me: Agent, wanted: Filter, sort: Sort, *, after: Place | None = None, most: int
) -> list[Place]:
    said = await worded(session, me, wanted.text)
    parts = [part.subquery() for part in _parts(me, wanted, said, sort, after=after, most=most)]
    if not parts:
        return []
    together = union_all(*[select(part.c.key, part.c.id) for part in parts]).subquery()
    found = await session.execute(
        select(together.c.key, together.c.id).order_by(*_order(together.c.key, together.c.id, sort)).limit(most)
    )
    return [Place(row[0], row[1]) for row in found]


def _parts(
    me: Agent, wanted: Filter, said: Worded, sort: Sort, *, after: Place | None, most: int
) -> Iterator[Select[Any]]:
    """A page's worth of keys and ids from each place where the wanted items are."""
    key = _key(sort)
    conditions = [*narrowed(me, wanted), *said.conditions]
    if after is not None:
        here, there = tuple_(key, Item.id), tuple_(_literal(after.key), literal(after.item_id, BigInteger))
        conditions.append(here < there if sort in DESCENDING else here > there)
    page = select(key.label("key"), Item.id.label("id")).order_by(*_order(key, Item.id, sort)).limit(most)
    if sort == Sort.REACH:
        page = page.join(Author, Author.id == Item.author_id)
    queues = visible_queues(me)
    if wanted.queue:
        queues = queues.where(Queue.id.in_(wanted.queue))
    if said.few:
        yield page.where(or_(*_where(me, wanted, queues)), *conditions)
        return
    if State.QUEUED in wanted.open_states:
        yield _by_queue(page.where(Item.state == State.QUEUED, *conditions), queues)
    if held := HELD_STATES & wanted.open_states:
        yield page.where(_held(me, held, Item.queue_id.in_(queues)), *conditions)
    if ended := wanted.ended_states:
        lately = Item.opened_at > func.now() - HISTORY
        yield _by_queue(page.where(Item.state.in_(sorted(ended)), lately, *conditions), queues)


def _by_queue(page: Select[Any], queues: Select[Any]) -> Select[Any]:
    """The page of each queue: an index in the page's order serves one queue, never several together."""
    head = page.where(Item.queue_id == Queue.id).correlate(Queue).lateral()
    return select(head.c.key, head.c.id).select_from(Queue).join(head, text("true")).where(Queue.id.in_(queues))


def _key(sort: Sort) -> ColumnElement[Any]:
    keys: dict[Sort, ColumnElement[Any]] = {
        Sort.DUE: Item.due_at.expression,
        Sort.RANK: Item.rank.expression,
        Sort.WAIT: Item.ready_at.expression,
        Sort.REACH: func.coalesce(Author.followers, UNKNOWN_REACH),
        Sort.NEW: Item.opened_at.expression,
    }
    return keys[sort]


def _order(key: ColumnElement[Any], item_id: Any, sort: Sort) -> tuple[Any, Any]:
    return (key.desc(), item_id.desc()) if sort in DESCENDING else (key, item_id)


def _literal(key: datetime | int) -> ColumnElement[Any]:
    return literal(key, DateTime(timezone=True) if isinstance(key, datetime) else BigInteger)


def narrowed(me: Agent, wanted: Filter) -> list[ColumnElement[bool]]:
    """What the filter asks of each item; its states are asked for by place, its text by `worded`."""
    asked: list[ColumnElement[bool]] = []
    if wanted.queue:
        asked.append(Item.queue_id.in_(wanted.queue))
    if wanted.channel:
        asked.append(Item.channel.in_(wanted.channel))
    if wanted.language:
        tag = func.lower(Item.language)
        asked.append(tag.in_(wanted.language) | func.split_part(tag, "-", 1).in_(wanted.language))
    if wanted.tag:
        asked.append(Item.tags.op("&&")(literal(list(wanted.tag), ARRAY(Text))))
    if wanted.priority:
        asked.append(Item.priority.in_(wanted.priority))
    if wanted.holder:
        asked.append(or_(*[_holder(me, one) for one in wanted.holder]))
    if wanted.tier:
        asked.append(exists().where(Customer.id == Item.customer_id, Customer.tier.in_(wanted.tier)))
    if wanted.waiting_for is not None:
        asked.append(Item.ready_at <= func.now() - wanted.waiting_for)
    if wanted.has:
        asked.append(exists().where(Post.conversation_id == Item.conversation_id, Post.media != text("'[]'::jsonb")))
    return [*asked, *_heard(wanted)]


def _heard(wanted: Filter) -> Iterator[ColumnElement[bool]]:
    """What must have been heard in a post of the item."""
    heard = exists().where(Signal.conversation_id == Item.conversation_id, Signal.at >= Item.opened_at)
    if wanted.intent:
        yield heard.where(Signal.intent.in_(wanted.intent))
    if wanted.urgent:
        yield heard.where(Signal.urgent.op("&&")(literal(list(wanted.urgent), ARRAY(Text))))
    if wanted.upset:
        yield heard.where(Signal.upset >= int(wanted.upset))


def _holder(me: Agent, holder: str) -> ColumnElement[bool]:
    if holder == NOBODY:
        return Item.agent_id.is_(None)
    return Item.agent_id == (me.id if holder == ME else int(holder))
