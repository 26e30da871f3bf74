"""Items: the unit of work, its states, the one transition table and the one setter.

A transition is one guarded UPDATE whose row count is checked; the holder's load and the event are written with it,
in the same transaction. Nothing else assigns an item's state.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, Text, case, insert, text, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, announce
from app.errors import Conflict
from app.i18n import _
from app.models.agent import Presence
from app.models.columns import Big, Created, Id, Jsonb, Str, Time, one_of
from app.models.event import ActorKind, Event


class State(StrEnum):
    """Where an item is."""

    QUEUED = "queued"
    OFFERED = "offered"
    ACTIVE = "active"
    PARKED = "parked"
    CLOSED = "closed"
    DISCARDED = "discarded"

    @property
    def words(self) -> str:
        """For people."""
        return {
            State.QUEUED: _("Waiting"),
            State.OFFERED: _("Offered"),
            State.ACTIVE: _("In progress"),
            State.PARKED: _("Parked"),
            State.CLOSED: _("Closed"),
            State.DISCARDED: _("Discarded"),
        }[self]


class Verb(StrEnum):
    """What can be done to an item."""

    OPEN = "open"  # triage made it
    JOIN = "join"  # a new post came to it
    EDIT = "edit"  # a post of it was changed on the channel
    WITHDRAW = "withdraw"  # a post of it was deleted on the channel
    RETRACT = "retract"  # a reply of ours was deleted on the channel
    HIDE = "hide"  # a post of it was hidden on the channel, by us or there
    SHOW = "show"  # a hidden post of it is seen there again
    AMEND = "amend"  # a reply of ours was edited on the channel
    ANSWER = "answer"  # our first reply stands on the channel
    OFFER = "offer"
    ACCEPT = "accept"
    DECLINE = "decline"
    EXTEND = "extend"  # the agent who was asked took more time
    EXPIRE = "expire"
    REVOKE = "revoke"
    CLAIM = "claim"
    RELEASE = "release"
    PARK = "park"
    WAKE = "wake"
    TRANSFER = "transfer"
    OVERFLOW = "overflow"  # waited too long, or for nobody: to another queue
    RAISE = "raise"  # a signal raised its rank
    TAG = "tag"
    UNTAG = "untag"
    PRIORITISE = "prioritise"  # an agent said how urgent it is
    ASSIGN = "assign"  # a supervisor put it into an agent's hands
    CLOSE = "close"
    DISCARD = "discard"
    REOPEN = "reopen"


class ParkReason(StrEnum):
    """What a parked item waits for."""

    SNOOZE = "snooze"
    CUSTOMER = "customer"
    EXPERT = "expert"


class Disposition(StrEnum):
    """How an item ended."""

    ANSWERED = "answered"
    ELSEWHERE = "elsewhere"  # resolved elsewhere
    NO_REPLY = "no_reply"  # no reply needed
    NO_ANSWER = "no_answer"  # the customer did not answer any more
    WITHDRAWN = "withdrawn"  # the customer deleted all they had written
    NOT_FOR_US = "not_for_us"
    SPAM = "spam"
    BACKLOG = "backlog"  # imported by a first sync


TRANSITIONS: Mapping[State, Mapping[Verb, frozenset[State]]] = {
    State.QUEUED: {
        Verb.OFFER: frozenset({State.OFFERED}),
        Verb.CLAIM: frozenset({State.ACTIVE}),
        Verb.ASSIGN: frozenset({State.ACTIVE}),
        Verb.OVERFLOW: frozenset({State.QUEUED}),
        Verb.TRANSFER: frozenset({State.QUEUED}),
        Verb.CLOSE: frozenset({State.CLOSED}),
        Verb.DISCARD: frozenset({State.DISCARDED}),
    },
    State.OFFERED: {
        Verb.ACCEPT: frozenset({State.ACTIVE}),
        Verb.DECLINE: frozenset({State.QUEUED}),
        Verb.EXPIRE: frozenset({State.QUEUED}),
        Verb.REVOKE: frozenset({State.QUEUED}),
    },
    State.ACTIVE: {
        Verb.RELEASE: frozenset({State.QUEUED}),
        Verb.TRANSFER: frozenset({State.QUEUED, State.ACTIVE}),
        Verb.PARK: frozenset({State.PARKED}),
        Verb.CLOSE: frozenset({State.CLOSED}),
        Verb.DISCARD: frozenset({State.DISCARDED}),
    },
    State.PARKED: {
        Verb.WAKE: frozenset({State.ACTIVE, State.QUEUED}),
        Verb.CLOSE: frozenset({State.CLOSED}),
    },
    State.CLOSED: {Verb.REOPEN: frozenset({State.QUEUED})},
    State.DISCARDED: {Verb.REOPEN: frozenset({State.QUEUED})},
}

OPEN_STATES = frozenset({State.QUEUED, State.OFFERED, State.ACTIVE, State.PARKED})
CARRIED = frozenset({State.OFFERED, State.ACTIVE})  # states in which an item counts in its agent's load

TRACKED = (
    "state", "version", "queue_id", "agent_id", "priority", "requirements", "lane", "weight", "rank", "ready_at",
    "due_at", "steps", "emergency", "preferred_agent_id", "raised", "tags", "posts", "post_id", "parked_until", "parked_for", "closes_at", "disposition", "ended_at", "answered_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does it, for the event."""

    kind: ActorKind
    agent_id: int | None = None


ROUTER = Actor(ActorKind.ROUTER)
FEED = Actor(ActorKind.FEED)
SYSTEM = Actor(ActorKind.SYSTEM)


def agent_actor(agent_id: int) -> Actor:
    """The actor that an agent is."""
    return Actor(ActorKind.AGENT, agent_id)


class Item(Base):
    """The unit of work: what an agent claims, answers and closes. At most one open item a conversation."""

    __tablename__ = "item"
    __table_args__ = (
        one_of("state", State),
        CheckConstraint("priority BETWEEN 1 AND 5", name="priority"),
        CheckConstraint("(agent_id IS NOT NULL) = (state IN ('offered', 'active', 'parked'))", name="holder"),
        Index(
            "uq_item_open",
            "conversation_id",
            unique=True,
            postgresql_where=text("state NOT IN ('closed', 'discarded')"),
        ),
        Index("ix_item_waiting", "queue_id", "rank", "id", postgresql_where=text("state = 'queued'")),
        Index("ix_item_waiting_due", "queue_id", "due_at", "id", postgresql_where=text("state = 'queued'")),
        Index("ix_item_waiting_since", "queue_id", "ready_at", "id", postgresql_where=text("state = 'queued'")),
        Index("ix_item_lane", "lane", "rank", "id", postgresql_where=text("state = 'queued'")),
        Index("ix_item_holder", "agent_id", "state", postgresql_where=text("agent_id IS NOT NULL")),
        Index("ix_item_held", "queue_id", postgresql_where=text("agent_id IS NOT NULL")),
        Index("ix_item_wake", "parked_until", postgresql_where=text("state = 'parked'")),
        Index("ix_item_conversation", "conversation_id", "id"),
        Index("ix_item_opened", "queue_id", "opened_at"),
    )

    id: Mapped[Id]
    conversation_id: Mapped[Big] = mapped_column(ForeignKey("conversation.id"))
    author_id: Mapped[Big] = mapped_column(ForeignKey("author.id"))  # who wrote the post that opened it
    customer_id: Mapped[Big | None] = mapped_column(ForeignKey("customer.id"), index=True)
    channel: Mapped[Str]
    language: Mapped[Str | None]
    opened_at: Mapped[Created]
    state: Mapped[Str]
    version: Mapped[int] = mapped_column(server_default="1")
    queue_id: Mapped[Big] = mapped_column(ForeignKey("queue.id"))
    rule_id: Mapped[Big | None] = mapped_column(ForeignKey("rule.id", ondelete="SET NULL"))  # what sent it there
    agent_id: Mapped[Big | None] = mapped_column(ForeignKey("agent.id"))  # offered to, or held by
    priority: Mapped[int] = mapped_column(SmallInteger)
    requirements: Mapped[Jsonb]  # skill id -> lowest level
    lane: Mapped[Str]  # queue and requirements in one word: items that the same agents may take
    weight: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    rank: Mapped[Time]  # served in ascending order; set once
    ready_at: Mapped[Time]
    due_at: Mapped[Time]
    steps: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")  # how requirements relax in time
    emergency: Mapped[bool] = mapped_column(server_default=text("false"))
    preferred_agent_id: Mapped[Big | None] = mapped_column(ForeignKey("agent.id"))  # who knows this customer
    raised: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")  # signals that raised its rank
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    posts: Mapped[int] = mapped_column(server_default="1")
    post_id: Mapped[Big] = mapped_column(ForeignKey("post.id"))  # the customer's newest post
    parked_until: Mapped[Time | None]
    parked_for: Mapped[Str | None]
    closes_at: Mapped[Time | None]  # parked for the customer: when it closes by itself, unless it wakes before
    disposition: Mapped[Str | None]
    ended_at: Mapped[Time | None]
    answered_at: Mapped[Time | None]  # when our first reply stood on the channel


def allowed(item: Item) -> frozenset[Verb]:
    """What may be done to an item in its state; the desk's buttons are drawn from it."""
    return frozenset(TRANSITIONS[State(item.state)])


def lane_of(queue_id: int, requirements: Mapping[str, int]) -> str:
    """Name the lane of an item: `7` or `7:3=4,12=2` (queue, then skill=level in order of skill)."""
    needs = ",".join(f"{skill}={level}" for skill, level in sorted(requirements.items(), key=lambda kv: int(kv[0])))
    return f"{queue_id}:{needs}" if needs else str(queue_id)


def jsonable(value: Any) -> Any:
    """A column's value as an event keeps it."""
    return value.isoformat() if isinstance(value, datetime | date) else value


async def move(
    session: AsyncSession,
    item: Item,
    verb: Verb,
    to: State,
    actor: Actor,
    *,
    why: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Item:
    """Move an item to `to`, with other column changes, the holder's load and the event, in the caller's transaction.

    `item` is what the caller has seen: its state and version are the guard. Values may be SQL expressions.

    Raises:
        Conflict: the state does not allow the verb, or somebody moved the item since it was read.
    """
    before, holder = State(item.state), item.agent_id
    if to not in TRANSITIONS[before].get(verb, frozenset()):
        raise Conflict(
            _("Item %(item)s has moved on (%(state)s), so that is not possible now. Look at it again.")
            % {"item": item.id, "state": before.words}
        )
    moved = await _update(session, item, {**changes, "state": to})
    if moved is None:
        raise Conflict(
            _("Somebody changed item %(item)s just now. Look at it again before you go on.") % {"item": item.id}
        )
    await _shift_load(session, moved.weight, holder if before in CARRIED else None, moved)
    await record(session, moved, verb, actor, (*changes, "state", "version"), why=why)
    return moved


async def alter(
    session: AsyncSession, item: Item, verb: Verb, actor: Actor, *, why: Mapping[str, Any] | None = None, **changes: Any
) -> Item:
    """Change columns of an item that stays in its state (a post joined), guarded and recorded like a move.

    Raises:
        Conflict: somebody moved the item since it was read.
    """
    altered = await _update(session, item, changes)
    if altered is None:
        raise Conflict(
            _("Somebody changed item %(item)s just now. Look at it again before you go on.") % {"item": item.id}
        )
    await record(session, altered, verb, actor, (*changes, "version"), why=why)
    return altered


async def belong_to(session: AsyncSession, item_ids: Sequence[int], customer_id: int) -> None:
    """Let items, locked by the caller, belong to a customer. The link of the person tells who did it, not an event."""
    theirs = update(Item).where(Item.id.in_(item_ids)).values(customer_id=customer_id)
    await session.execute(theirs.execution_options(synchronize_session=False))


async def _update(session: AsyncSession, item: Item, changes: Mapping[str, Any]) -> Item | None:
    statement = (
        update(Item)
        .where(Item.id == item.id, Item.state == item.state, Item.version == item.version)
        .values(version=Item.version + 1, **changes)
        .returning(Item)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return (await session.scalars(statement)).one_or_none()


async def _shift_load(session: AsyncSession, weight: int, before: int | None, item: Item) -> None:
    after = item.agent_id if State(item.state) in CARRIED else None
    if before == after:
        return
    deltas = {agent: delta for agent, delta in ((before, -weight), (after, weight)) if agent is not None}
    if len(deltas) > 1:
        locked = text("SELECT 1 FROM presence WHERE agent_id = ANY(:ids) ORDER BY agent_id FOR UPDATE")
        await session.execute(locked, {"ids": list(deltas)})
    await session.execute(
        update(Presence)
        .where(Presence.agent_id.in_(deltas))
        .values(load=Presence.load + case(deltas, value=Presence.agent_id))
        .execution_options(synchronize_session=False)
    )
    announce(session, "agents", deltas)


async def record(
    session: AsyncSession,
    item: Item,
    verb: Verb,
    actor: Actor,
    columns: Iterable[str],
    *,
    why: Mapping[str, Any] | None = None,
) -> None:
    """Write the event of what was just done to `item`, whose new values stand in `columns`."""
    changes = {column: jsonable(getattr(item, column)) for column in columns}
    await session.execute(
        insert(Event).values(
            item_id=item.id, verb=verb, actor=actor.kind, agent_id=actor.agent_id, changes=changes, why=why or {}
        )
    )
    announce(session, "items", [item.id])
    announce(session, "queues", [item.queue_id])


def replay(events: Iterable[Event]) -> dict[str, Any]:
    """The tracked columns of an item as its events, oldest first, tell them."""
    row: dict[str, Any] = dict.fromkeys(TRACKED)
    for event in events:
        row.update(event.changes)
    return row
