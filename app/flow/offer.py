"""Offers: an item reserved for one agent; extended, accepted, declined, expired (RONA) or revoked.

Locks are taken in one order everywhere: the items, then the presences of their agents, in order of agent; the router's
batches hold presences first and pass over items that somebody holds, so they wait for no item. So a claim, an offer and
an expiry that meet each other wait, and never deadlock or overfill.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import announce
from app.errors import Conflict
from app.flow import hold
from app.flow.visibility import visible_item
from app.i18n import N_, _
from app.models.agent import Agent, NotReadyReason, Presence, PresenceState
from app.models.assignment import MOST_EXTENSIONS, Offer, Outcome
from app.models.item import ROUTER, Actor, Item, State, Verb, agent_actor, alter, move
from app.models.offering import offer_items
from app.models.queue import Queue

EXTENSION = timedelta(seconds=30)
MOST_EXPIRED = 200  # offers taken back in one transaction


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the router decided: this item, as it was seen, for this agent, and why."""

    item_id: int
    version: int
    agent_id: int
    why: Mapping[str, Any]


async def make_offer(session: AsyncSession, proposal: Proposal) -> Offer | None:
    """Reserve an item for an agent. None when the item moved on, or the agent is not ready, asked, or full by now."""
    row = {"item_id": proposal.item_id, "version": proposal.version, "agent_id": proposal.agent_id}
    if not await offer_items(session, [{**row, "over": False, "why": dict(proposal.why)}]):
        return None
    made = select(Offer).where(Offer.item_id == proposal.item_id, Offer.outcome.is_(None))
    return await session.scalar(made.execution_options(populate_existing=True))


async def accept(session: AsyncSession, agent: Agent, item_id: int) -> Item:
    """Take the item that was offered.

    Raises:
        NotFound: not for their eyes.
        Conflict: the offer is over.
    """
    item = await visible_item(session, agent, item_id)
    if item.agent_id == agent.id and item.state == State.ACTIVE:
        return item
    await _end(session, item, agent.id, Outcome.ACCEPTED)
    moved = await move(session, item, Verb.ACCEPT, State.ACTIVE, agent_actor(agent.id))
    await hold.begin(session, moved, agent.id, Verb.ACCEPT)
    await session.execute(_touch(agent.id, misses=0))
    return moved


async def decline(session: AsyncSession, agent: Agent, item_id: int, reason: str = "") -> Item:
    """Refuse the item that was offered; it goes back with its rank and is not offered to the same agent for a while.

    Raises:
        NotFound: not for their eyes.
        Conflict: the offer is over.
    """
    item = await visible_item(session, agent, item_id)
    await _end(session, item, agent.id, Outcome.DECLINED, reason)
    await session.execute(_touch(agent.id, misses=0))
    return await move(
        session, item, Verb.DECLINE, State.QUEUED, agent_actor(agent.id), why={"reason": reason}, agent_id=None
    )


async def extend(session: AsyncSession, agent: Agent, item_id: int) -> Offer:
    """Reserve the item that was offered for half a minute more, at most MOST_EXTENSIONS times.

    Raises:
        NotFound: not for their eyes.
        Conflict: the offer is over, or was extended as often as it may be.
    """
    await visible_item(session, agent, item_id)
    item = await session.get_one(Item, item_id, with_for_update=True, populate_existing=True)
    mine = (
        Offer.item_id == item_id,
        Offer.agent_id == agent.id,
        Offer.outcome.is_(None),
        Offer.expires_at > func.now(),
    )
    offer = await session.scalar(
        update(Offer)
        .where(*mine, Offer.extended < MOST_EXTENSIONS)
        .values(expires_at=Offer.expires_at + EXTENSION, extended=Offer.extended + 1)
        .returning(Offer)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    if offer is None and await session.scalar(select(Offer.id).where(*mine)) is not None:
        raise Conflict(_("You took more time %d times: accept the offer now, or decline it.") % MOST_EXTENSIONS)
    if offer is None:
        raise Conflict(_("The offer of item %d is over: its time ran out, or it was taken back.") % item_id)
    why = {"until": offer.expires_at.isoformat(), "times": offer.extended}
    await alter(session, item, Verb.EXTEND, agent_actor(agent.id), why=why)
    announce(session, "agents", [agent.id])
    return offer


async def expire_offers(session: AsyncSession) -> int:
    """Take back the offers whose time is over, and set agents who missed too many in a row not ready (RONA)."""
    due = (
        select(Offer)
        .join(Item, Item.id == Offer.item_id)
        .where(Offer.outcome.is_(None), Offer.expires_at <= func.now())
        .order_by(Offer.agent_id, Offer.item_id)
        .limit(MOST_EXPIRED)
        .with_for_update(of=Item, skip_locked=True)
    )
    expired = (await session.scalars(due.execution_options(populate_existing=True))).all()
    for offer in expired:
        await _expire(session, offer)
    return len(expired)


async def _expire(session: AsyncSession, offer: Offer) -> None:
    item = await session.get_one(Item, offer.item_id, populate_existing=True)
    over = select(Offer.id).where(Offer.id == offer.id, Offer.outcome.is_(None), Offer.expires_at <= func.now())
    if await session.scalar(over) is None:
        return  # it was answered, or extended, between our look and our lock
    await _end(session, item, offer.agent_id, Outcome.EXPIRED)
    await move(session, item, Verb.EXPIRE, State.QUEUED, ROUTER, why={"agent_id": offer.agent_id}, agent_id=None)
    queue = await session.get_one(Queue, item.queue_id)
    missed = await session.scalar(
        _touch(offer.agent_id, misses=Presence.misses + 1, available_since=func.now()).returning(Presence.misses)
    )
    if missed is not None and missed >= queue.misses_limit:
        away = {"state": PresenceState.NOT_READY, "reason": NotReadyReason.MISSED, "since": func.now()}
        await session.execute(_touch(offer.agent_id, **away).where(Presence.state == PresenceState.READY))
        # Presences are locked by now: an item that somebody holds is being answered, and must not be waited for.
        await revoke_all(session, offer.agent_id, ROUTER, because=N_("too many offers were missed"), waiting=False)


async def revoke_all(session: AsyncSession, agent_id: int, actor: Actor, because: str, *, waiting: bool = True) -> None:
    """Take back every open offer of an agent. Who has locked a presence already says `waiting=False`."""
    for item in await in_hands(session, agent_id, State.OFFERED, waiting=waiting):
        await revoke(session, item, actor, because)


async def revoke(session: AsyncSession, item: Item, actor: Actor, because: str) -> Item:
    """Take back the open offer of an item that is locked already.

    Raises:
        Conflict: it is not offered any more.
    """
    await _end(session, item, item.agent_id or 0, Outcome.REVOKED, because)
    return await move(session, item, Verb.REVOKE, State.QUEUED, actor, why={"because": because}, agent_id=None)


async def in_hands(session: AsyncSession, agent_id: int, *states: State, waiting: bool = True) -> Sequence[Item]:
    """An agent's items in these states, locked before anything else is; `waiting=False` leaves out those in use."""
    held = select(Item).where(Item.agent_id == agent_id, Item.state.in_(states)).order_by(Item.id)
    locked = held.with_for_update(skip_locked=not waiting).execution_options(populate_existing=True)
    return (await session.scalars(locked)).all()


async def _end(session: AsyncSession, item: Item, agent_id: int, outcome: Outcome, reason: str | None = None) -> None:
    # Lock the item before its offer is written: the order of this module's docstring.
    await session.execute(select(Item.id).where(Item.id == item.id).with_for_update())
    ended = await session.execute(
        update(Offer)
        .where(Offer.item_id == item.id, Offer.agent_id == agent_id, Offer.outcome.is_(None))
        .where(Offer.expires_at > func.now() if outcome == Outcome.ACCEPTED else Offer.outcome.is_(None))
        .values(outcome=outcome, ended_at=func.now(), reason=reason)
        .returning(Offer.id)
        .execution_options(synchronize_session=False)
    )
    if ended.first() is None:
        raise Conflict(_("The offer of item %d is over: its time ran out, or it was taken back.") % item.id)
    announce(session, "agents", [agent_id])


def _touch(agent_id: int, **values: Any) -> Any:
    return (
        update(Presence)
        .where(Presence.agent_id == agent_id)
        .values(values)
        .execution_options(synchronize_session=False)
    )
