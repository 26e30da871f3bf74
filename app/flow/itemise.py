"""Itemise: new posts join the open item of their conversation, reopen the one closed lately, or open a new one."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import IncomingPost
from app.flow.closed_reply import tell_closed
from app.flow.place import Place, place
from app.flow.triage import Decision, Rules
from app.flow.wake import wake
from app.i18n import N_
from app.listening.heard import UNHEARD, Heard
from app.models.arrival import join_items, open_items
from app.models.feed import Feed
from app.models.item import FEED, OPEN_STATES, Disposition, Item, State, Verb, alter, lane_of, move
from app.models.post import Customer
from app.models.queue import Queue
from app.routing.raises import on_arrival, second_post

# Who last held an item of the customer, and is still with us.
_KNOW_THEM = text(
    """
    SELECT DISTINCT ON (i.customer_id) i.customer_id, a.agent_id
    FROM item i JOIN assignment a ON a.item_id = i.id JOIN agent g ON g.id = a.agent_id AND g.active
    WHERE i.customer_id = ANY(CAST(:customers AS bigint[]))
    ORDER BY i.customer_id, a.since DESC
    """
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A new post with the rows it belongs to."""

    post: IncomingPost
    post_id: int
    conversation_id: int
    author_id: int
    customer_id: int
    heard: Heard = UNHEARD


@dataclass(frozen=True, slots=True)
class House:
    """What opening items needs to know of the company, read once a batch."""

    now: datetime
    queues: Mapping[int, Queue]

    @classmethod
    async def load(cls, session: AsyncSession) -> "House":
        """Read the queues and the database's time."""
        rows = (await session.execute(select(Queue, func.now()).order_by(Queue.id))).all()
        return cls(rows[0][1], {queue.id: queue for queue, _ in rows})


async def itemise(session: AsyncSession, feed: Feed, arrivals: Sequence[Arrival], quiet: bool) -> tuple[int, int, int]:
    """Give each conversation its item: join the open one, reopen the one closed lately, or open a new one."""
    rooms: dict[int, list[Arrival]] = defaultdict(list)
    for arrival in arrivals:
        rooms[arrival.conversation_id].append(arrival)
    if not rooms:
        return 0, 0, 0
    joins, opens, reopened = [], [], 0
    latest = await _latest(session, list(rooms))
    rules = await Rules.load(session) if len(latest) < len(rooms) or _any_ended(latest.values()) else Rules(())
    for conversation_id, group in rooms.items():
        item, reopenable = latest.get(conversation_id, (None, False))
        if item is not None and State(item.state) in OPEN_STATES:
            joins.append({"item_id": item.id, "posts": len(group), "post_id": group[-1].post_id})
        elif item is not None and reopenable and not quiet:
            await _reopen(session, item, group)
            reopened += 1
        elif item is not None and quiet and item.disposition == Disposition.BACKLOG:
            continue  # more of the same history
        else:
            opens.append((group, rules.decide(group[0].post, feed.channel, feed.id, group[0].heard)))
    if joins:
        await join_items(session, joins)
        await _wake_parked(session, [join["item_id"] for join in joins])
        await _raise_waiting(session, [join["item_id"] for join in joins])
    opened = await open_items(session, feed.channel, await _openings(session, feed, opens, quiet))
    if feed.synced_at is not None:  # a first sync brings what is old: nobody waits for an answer to it now
        await tell_closed(session, opened)
    return len(opened), len(joins), reopened


def _any_ended(latest: Iterable[tuple[Item, bool]]) -> bool:
    return any(State(item.state) not in OPEN_STATES for item, _ in latest)


async def _latest(session: AsyncSession, conversations: list[int]) -> dict[int, tuple[Item, bool]]:
    """The open item of each conversation, else the newest, locked, and whether a new post may reopen it."""
    first = (
        select(Item.id)
        .where(Item.conversation_id.in_(conversations))
        .ext(distinct_on(Item.conversation_id))
        .order_by(Item.conversation_id, Item.state.in_(OPEN_STATES).desc(), Item.id.desc())
    ).scalar_subquery()
    within = Item.ended_at > func.now() - func.make_interval(0, 0, 0, 0, 0, 0, Queue.reopen_within)
    rows = await session.execute(
        select(Item, (Item.state == State.CLOSED) & within)
        .join(Queue, Queue.id == Item.queue_id)
        .where(Item.id.in_(first))
        .order_by(Item.id)
        .with_for_update(of=Item)
        .execution_options(populate_existing=True)
    )
    return {item.conversation_id: (item, bool(reopenable)) for item, reopenable in rows}


async def _reopen(session: AsyncSession, item: Item, group: Sequence[Arrival]) -> None:
    queue = await session.get_one(Queue, item.queue_id)
    now = (await session.execute(select(func.now()))).scalar_one()
    stands = place(queue, now, item.priority)
    await move(
        session,
        item,
        Verb.REOPEN,
        State.QUEUED,
        FEED,
        why={"because": N_("a new post came"), "post_id": group[-1].post_id},
        posts=item.posts + len(group),
        post_id=group[-1].post_id,
        disposition=None,
        ended_at=None,
        ready_at=now,
        due_at=stands.due_at,
        rank=stands.rank,
        raised=[],
        preferred_agent_id=(await _knowing(session, [item.customer_id or 0])).get(item.customer_id or 0),
    )


async def _wake_parked(session: AsyncSession, item_ids: Sequence[int]) -> None:
    parked = await session.scalars(
        select(Item)
        .where(Item.id.in_(item_ids), Item.state == State.PARKED)
        .order_by(Item.agent_id, Item.id)
        .execution_options(populate_existing=True)
    )
    for item in parked.all():
        await wake(session, item, FEED, because=N_("a new post came"))


async def _raise_waiting(session: AsyncSession, item_ids: Sequence[int]) -> None:
    """A second post while an item waits raises it once, in queues that say so."""
    raising = select(Queue).where(func.jsonb_array_length(Queue.raises) > 0)
    queues = {queue.id: queue for queue in await session.scalars(raising)}
    waiting = select(Item).where(Item.id.in_(item_ids), Item.state == State.QUEUED, Item.queue_id.in_(queues))
    for item in (await session.scalars(waiting.order_by(Item.id).execution_options(populate_existing=True))).all():
        minutes, names = second_post(queues[item.queue_id].raises)
        if minutes and not set(names) & set(item.raised):
            why = {"signal": names[0], "minutes": minutes}
            rank, raised = item.rank - timedelta(minutes=minutes), [*item.raised, *names]
            await alter(session, item, Verb.RAISE, FEED, why=why, rank=rank, raised=raised)


async def _openings(
    session: AsyncSession, feed: Feed, groups: Sequence[tuple[list[Arrival], Decision]], quiet: bool
) -> list[dict[str, Any]]:
    """The rows of new items: queue and rank, what is needed, who knows the customer."""
    if not groups:
        return []
    house = await House.load(session)
    raised = any(queue.raises for queue in house.queues.values())
    preferred = any(queue.prefer_seconds for queue in house.queues.values())
    customers = [group[0].customer_id for group, _ in groups]
    tiers = await _tiers(session, customers) if raised else {}
    known = await _knowing(session, customers) if preferred else {}
    return [
        _opening(feed, group, decision, house, tier=tiers.get(group[0].customer_id, ""), quiet=quiet)
        | {"preferred_agent_id": known.get(group[0].customer_id)}
        for group, decision in groups
    ]


async def _tiers(session: AsyncSession, customers: Sequence[int]) -> dict[int, str]:
    found = await session.execute(select(Customer.id, Customer.tier).where(Customer.id.in_(customers)))
    return dict(found.all())


async def _knowing(session: AsyncSession, customers: Sequence[int]) -> dict[int, int]:
    """Who served each of these customers last."""
    return {row.customer_id: row.agent_id for row in await session.execute(_KNOW_THEM, {"customers": list(customers)})}


def _opening(
    feed: Feed, group: Sequence[Arrival], decision: Decision, house: House, *, tier: str, quiet: bool
) -> dict[str, Any]:
    first, last = group[0], group[-1]
    # A discarded item stands in a queue too, so that it is known who may see it: the first one, if the rule has none.
    queue = house.queues[decision.queue_id or min(house.queues)]
    minutes, raised = on_arrival(queue.raises, first.post.author.followers, tier, first.post.text)
    stands: Place = place(queue, house.now, decision.priority, minutes)
    return {
        "conversation_id": first.conversation_id,
        "author_id": first.author_id,
        "customer_id": first.customer_id,
        "language": first.heard.spoken or first.post.language,
        "state": State.DISCARDED if decision.discard else State.CLOSED if quiet else State.QUEUED,
        "queue_id": queue.id,
        "rule_id": decision.rule_id,
        "priority": decision.priority,
        "requirements": decision.requirements,
        "steps": decision.steps,
        "emergency": decision.emergency,
        "lane": lane_of(queue.id, decision.requirements),
        "weight": queue.channel_weights.get(feed.channel, queue.weight),
        "ready_at": house.now.isoformat(),
        "due_at": stands.due_at.isoformat(),
        "rank": stands.rank.isoformat(),
        "raised": raised,
        "tags": decision.tags,
        "posts": len(group),
        "post_id": last.post_id,
        "disposition": Disposition.BACKLOG if quiet and not decision.discard else None,
        "why": {"rule": decision.rule, "rule_id": decision.rule_id},
    }
