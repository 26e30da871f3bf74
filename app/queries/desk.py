"""The desk's lists: what I hold, what is offered to me, what waits in my queues.

Every function takes `queues`, the subquery of queue ids that the reader may see; nothing else is ever returned, but
what the reader holds. Rows are values: equal rows draw equal HTML, which is what the row cache lives on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, any_, func, select, text, true
from sqlalchemy.ext.asyncio import AsyncSession

from app.listening.urgent import CLASSES
from app.models.agent import Agent, Skill
from app.models.assignment import MOST_EXTENSIONS, Assignment, Offer
from app.models.change import first_words, newest_version
from app.models.item import Item, State
from app.models.post import Author, Post
from app.models.queue import Queue
from app.models.reply import Reply
from app.models.signal import Listening, Signal
from app.queries.shield import shielded

PAGE = 50  # rows of a queue's page
MOST = 200  # rows of one's own lists
COUNTED = 1000  # a queue's waiting items are counted up to this
NEXT = 10  # what is next in all queues together
SNIPPET = 240  # characters of a post in a row


@dataclass(frozen=True, slots=True)
class Row:
    """One item in a list. Times are aware, `needs` are skills with their lowest level ("Billing 3")."""

    item_id: int
    version: int
    state: str
    channel: str
    language: str | None
    priority: int
    needs: tuple[str, ...]
    queue_id: int
    queue: str
    ready_at: datetime
    due_at: datetime
    rank: datetime
    posts: int
    answered: bool  # our answer is newer than the customer's newest post
    parked_until: datetime | None
    parked_for: str | None
    holder_id: int | None
    holder: str | None
    author_id: int
    name: str
    handle: str
    text: str  # without personal data
    upset: int  # at worst
    urgent: tuple[str, ...]  # the gravest first


@dataclass(frozen=True, slots=True)
class Line:
    """One queue in the rail: how many wait (up to COUNTED), since when, and until when the first must be answered."""

    queue_id: int
    name: str
    waiting: int
    oldest: datetime | None
    due: datetime | None
    target: int
    in_time: int  # of those counted, how many can still be answered in time
    target_share: int  # per cent to be answered in time

    @property
    def share(self) -> int:
        """The service level of those who wait: per cent that can still be answered in time; 100 when nobody waits."""
        return round(100 * self.in_time / self.waiting) if self.waiting else 100


@dataclass(frozen=True, slots=True)
class Rail:
    """The numbers beside the lists."""

    active: int
    parked: int
    offers: int
    lines: tuple[Line, ...]
    open: int  # in all visible queues and one's own hands, counted up to COUNTED
    oldest: datetime | None = None  # since when the first of all has waited

    @property
    def waiting(self) -> int:
        """How many wait in all visible queues."""
        return sum(line.waiting for line in self.lines)

    @property
    def full(self) -> bool:
        """Whether more may wait than were counted."""
        return any(line.waiting >= COUNTED for line in self.lines)


@dataclass(frozen=True, slots=True)
class OpenOffer:
    """An offer that waits for an answer, with its item and why it went to this agent."""

    row: Row
    made_at: datetime
    expires_at: datetime
    why: Mapping[str, Any]
    knew: datetime | None = None  # when the agent last answered this customer, if that decided
    longer: bool = True  # whether its agent may take more time


async def rail(session: AsyncSession, agent_id: int, queues: Select[Any]) -> Rail:
    """Counts and oldest waits."""
    active, parked, offers, held = (await session.execute(_counts(agent_id, queues))).one()
    lines = await session.execute(_lines(queues))
    shown = tuple(Line(*line) for line in lines)
    return Rail(
        active=active,
        parked=parked,
        offers=offers,
        lines=shown,
        open=min(COUNTED, sum(line.waiting for line in shown) + held),
        oldest=min((line.oldest for line in shown if line.oldest), default=None),
    )


# Statements are kept by whom they are for: building them anew for each look costs more than running them.
@lru_cache(maxsize=2_000)
def _counts(agent_id: int, queues: Select[Any]) -> Select[*tuple[Any, ...]]:
    """What an agent has in progress, parked and offered; and how many items are in anybody's hands, up to COUNTED."""
    seen = Item.queue_id.in_(queues) | (Item.agent_id == agent_id)
    held = select(Item.id).where(Item.agent_id.is_not(None), seen).limit(COUNTED).subquery()
    states = [func.count().filter(Item.state == state) for state in (State.ACTIVE, State.PARKED, State.OFFERED)]
    return select(*states, select(func.count()).select_from(held).scalar_subquery()).where(Item.agent_id == agent_id)


@lru_cache(maxsize=2_000)
def _lines(queues: Select[Any]) -> Select[*tuple[Any, ...]]:
    waiting = (
        select(Item.ready_at, Item.due_at)
        .where(Item.queue_id == Queue.id, Item.state == State.QUEUED)
        .order_by(Item.rank, Item.id)
        .limit(COUNTED)
        .lateral()
    )
    return (
        select(
            Queue.id,
            Queue.name,
            func.count(waiting.c.ready_at),
            func.min(waiting.c.ready_at),
            func.min(waiting.c.due_at),
            Queue.target,
            func.count(waiting.c.due_at).filter(waiting.c.due_at > func.now()),
            Queue.target_share,
        )
        .outerjoin(waiting, text("true"))
        .where(Queue.id.in_(queues), Queue.active)
        .group_by(Queue.id)
        .order_by(func.lower(Queue.name))
    )


async def mine(session: AsyncSession, agent_id: int, state: State) -> tuple[Row, ...]:
    """What an agent holds in a state, the most urgent first."""
    return await _read(session, _mine(agent_id, state))


@lru_cache(maxsize=4_000)
def _mine(agent_id: int, state: State) -> Select[*tuple[Any, ...]]:
    order = Item.parked_until if state == State.PARKED else Item.due_at
    return _ROWS.where(Item.agent_id == agent_id, Item.state == state).order_by(order, Item.id).limit(MOST)


async def next_up(session: AsyncSession, queues: Select[Any]) -> tuple[Row, ...]:
    """The first few of all queues together."""
    return await _read(session, _next(queues))


@lru_cache(maxsize=2_000)
def _next(queues: Select[Any]) -> Select[*tuple[Any, ...]]:
    """Their ids come as an array that is found first: as a join the planner would read all items to find these few."""
    head = (
        select(Item.id, Item.rank)
        .where(Item.queue_id == Queue.id, Item.state == State.QUEUED)
        .order_by(Item.rank, Item.id)
        .limit(NEXT)
        .lateral()
    )
    heads = select(head.c.id).select_from(Queue).join(head, text("true")).where(Queue.id.in_(queues), Queue.active)
    first = heads.order_by(head.c.rank, head.c.id).limit(NEXT).correlate(None)
    return _ROWS.where(Item.id == any_(func.array(first.scalar_subquery()))).order_by(Item.rank, Item.id).limit(NEXT)


async def offers(session: AsyncSession, agent_id: int) -> tuple[OpenOffer, ...]:
    """What is offered to an agent now, the first to expire first."""
    held = {offer.item_id: offer for offer in await session.scalars(_open_offers(agent_id))}
    if not held:
        return ()
    rows = await _rows(session, Item.id.in_(held), order=(Item.due_at, Item.id), most=MOST)
    asked = ((row, held[row.item_id]) for row in rows)
    open_ones = [
        OpenOffer(
            row=row,
            made_at=offer.made_at,
            expires_at=offer.expires_at,
            why=offer.why,
            knew=await knew(session, agent_id, offer),
            longer=offer.extended < MOST_EXTENSIONS,
        )
        for row, offer in asked
    ]
    return tuple(sorted(open_ones, key=lambda offer: offer.expires_at))


@lru_cache(maxsize=2_000)
def _open_offers(agent_id: int) -> Select[Offer]:
    return select(Offer).where(Offer.agent_id == agent_id, Offer.outcome.is_(None)).order_by(Offer.expires_at)


async def knew(session: AsyncSession, agent_id: int, offer: Offer) -> datetime | None:
    """When the agent last answered this customer before, if they were asked because of that."""
    if not offer.why.get("preferred"):
        return None
    customer = select(Item.customer_id).where(Item.id == offer.item_id).scalar_subquery()
    answered = (
        select(func.max(Reply.enqueued_at))
        .join(Item, Item.id == Reply.item_id)
        .where(Item.customer_id == customer, Reply.agent_id == agent_id, Reply.enqueued_at < offer.made_at)
    )
    found: datetime | None = await session.scalar(answered)
    return found


async def row_of(session: AsyncSession, item_id: int) -> Row | None:
    """One item as a list shows it; the caller has checked that it may be seen."""
    rows = await _rows(session, Item.id == item_id, order=(Item.id,), most=1)
    return rows[0] if rows else None


async def rows_of(session: AsyncSession, ids: Iterable[int]) -> tuple[Row, ...]:
    """Items as a list shows them, in no order; the caller has checked that they may be seen."""
    return await _rows(session, Item.id.in_(list(ids)), order=(Item.id,), most=MOST)


async def holding(session: AsyncSession, item_id: int) -> tuple[str, datetime] | None:
    """Who holds an item, and since when; None when nobody does."""
    live = (
        select(Agent.name, Assignment.since)
        .join(Agent, Agent.id == Assignment.agent_id)
        .where(Assignment.item_id == item_id, Assignment.until.is_(None))
    )
    found = (await session.execute(live)).one_or_none()
    return (found[0], found[1]) if found else None


async def skill_names(session: AsyncSession, ids: Iterable[int]) -> dict[int, str]:
    """Names of skills."""
    wanted = set(ids)
    if not wanted:
        return {}
    return {row[0]: row[1] for row in await session.execute(select(Skill.id, Skill.name).where(Skill.id.in_(wanted)))}


# Built once: building it anew for each list costs as much as running it.
_NEWEST = newest_version()
_HEARD = (
    select(
        func.max(Signal.upset).label("upset"),
        func.string_agg(func.array_to_string(Signal.urgent, ","), ",").label("urgent"),
    )
    .where(Signal.conversation_id == Item.conversation_id, Signal.at >= Item.opened_at)
    .correlate(Item)
    .lateral("heard")
)
_ROWS = (
    select(
        Item.id,
        Item.version,
        Item.state,
        Item.channel,
        func.coalesce(Post.language, Item.language),
        Item.priority,
        Item.requirements,
        Item.queue_id,
        Queue.name,
        Item.ready_at,
        Item.due_at,
        Item.rank,
        Item.posts,
        Item.answered_at.is_not(None) & (Item.answered_at >= Post.received_at),
        Item.parked_until,
        Item.parked_for,
        Item.agent_id,
        Agent.name,
        Author.id,
        Author.name,
        Author.handle,
        first_words(_NEWEST, SNIPPET),
        func.coalesce(_HEARD.c.upset, 0),
        func.coalesce(_HEARD.c.urgent, ""),
        select(Listening.order_pattern).scalar_subquery(),
    )
    .join(Queue, Queue.id == Item.queue_id)
    .join(Post, Post.id == Item.post_id)
    .join(Author, Author.id == Post.author_id)
    .outerjoin(Agent, Agent.id == Item.agent_id)
    .outerjoin(_NEWEST, true())
    .outerjoin(_HEARD, true())
)


async def _rows(
    session: AsyncSession, *where: ColumnElement[bool], order: tuple[Any, ...], most: int
) -> tuple[Row, ...]:
    return await _read(session, _ROWS.where(*where).order_by(*order).limit(most))


async def _read(session: AsyncSession, statement: Select[*tuple[Any, ...]]) -> tuple[Row, ...]:
    found = (await session.execute(statement)).all()
    names = await skill_names(session, {int(skill) for row in found for skill in row.requirements})
    return tuple(_row(tuple(row), _needs(row.requirements, names)) for row in found)


def _row(values: tuple[Any, ...], needs: tuple[str, ...]) -> Row:
    *first, text, upset, urgent, order = values
    kinds = urgent.split(",") if urgent else ()
    told = tuple(kind for kind in CLASSES if kind in kinds)
    return Row(*(*first[:6], needs, *first[7:], shielded(text, order), upset, told))


def _needs(requirements: Mapping[str, int], names: Mapping[int, str]) -> tuple[str, ...]:
    return tuple(sorted(f"{names.get(int(skill), skill)} {level}" for skill, level in requirements.items()))
