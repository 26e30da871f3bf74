"""Routing: who leads, and what becomes of the kernel's decisions: fenced offers, overflows.

One router decides at a time: it holds the lease row at an epoch. Every transaction that makes offers checks the epoch
under a lock, so a router that was frozen and wakes after its lease is refused; and each offer is guarded by state,
version and load, so even two that both believe they lead cannot double-assign or overfill.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import psycopg
from sqlalchemy import ColumnElement, case, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.flow.mirror import Mirror, clock, load_all
from app.models.assignment import RouterLease
from app.models.item import ROUTER, Item, State, Verb, lane_of, move
from app.models.offering import Fence, offer_items, offer_now
from app.routing.decisions import Candidate, Decision, Match, Overflow

LEASE = timedelta(seconds=3)
MOST_OFFERS = 200  # in one transaction
MOST_TOLD = 12  # rejections kept with a decision


async def lead(session: AsyncSession, holder: str) -> int | None:
    """Take or renew the router's lease; the epoch when `holder` leads now, None when somebody else does."""
    mine = RouterLease.holder == holder
    statement = (
        update(RouterLease)
        .where(RouterLease.id == 1, mine | (RouterLease.expires_at <= func.clock_timestamp()))
        .values(
            holder=holder,
            epoch=case((_live(holder), RouterLease.epoch), else_=RouterLease.epoch + 1),
            expires_at=func.clock_timestamp() + LEASE,
        )
        .returning(RouterLease.epoch)
    )
    return await session.scalar(statement)


def _live(holder: str) -> ColumnElement[bool]:
    return (RouterLease.holder == holder) & (RouterLease.expires_at > func.clock_timestamp())


async def leads(session: AsyncSession, holder: str, epoch: int) -> bool:
    """Whether the lease is still ours; it stays so until this transaction ends.

    The server ends a transaction that falls silent for as long as the lease lasts: a router that froze inside one
    would else keep every standby waiting.
    """
    silent = f"{LEASE // timedelta(milliseconds=1)}"
    limit = func.set_config("idle_in_transaction_session_timeout", silent, True)
    still = select(RouterLease.id, limit).where(RouterLease.id == 1, RouterLease.epoch == epoch, _live(holder))
    return await session.scalar(still.with_for_update(read=True)) is not None


async def step_down(session: AsyncSession, holder: str, epoch: int) -> None:
    """Give the lease back, so that a standby need not wait for its end."""
    await session.execute(
        update(RouterLease)
        .where(RouterLease.holder == holder, RouterLease.epoch == epoch)
        .values(expires_at=func.clock_timestamp())
    )


async def decide(session: AsyncSession) -> list[Decision]:
    """Look at everything once and let a new kernel decide. A router keeps its kernel instead."""
    mirror: Mirror = await load_all(session)
    return mirror.kernel.run(await clock(session))


async def carry_out(session: AsyncSession, decisions: Sequence[Decision]) -> set[int]:
    """Make the offers and moves that were decided; returns the ids of the items for which it held."""
    held = await make_moves(session, [one for one in decisions if isinstance(one, Overflow)])
    for batch in _each_agent_once([one for one in decisions if isinstance(one, Match)]):
        held |= await offer_items(session, [_row(one) for one in batch], accepts=True)
    return held


async def make_moves(session: AsyncSession, overflows: Iterable[Overflow]) -> set[int]:
    """Move items that overflow; returns the ids of those for which it held."""
    return {one.item.id for one in overflows if await _overflow(session, one)}


async def offer_at_once(connection: psycopg.AsyncConnection[Any], fence: Fence, matches: Iterable[Match]) -> set[int]:
    """Make the offers that were decided, each batch in one statement that commits by itself while the fence stands.

    Returns the ids of the items for which it held. See `app.db.plain` for the connection.

    Raises:
        DBAPIError: the database refused or is away.
    """
    held: set[int] = set()
    for batch in _each_agent_once(matches):
        held |= await offer_now(connection, [_row(one) for one in batch], fence=fence, accepts=True)
    return held


async def make_offers(session: AsyncSession, decisions: Sequence[Decision]) -> int:
    """Carry decisions out; returns how many held."""
    return len(await carry_out(session, decisions))


def _each_agent_once(matches: Iterable[Match]) -> list[list[Match]]:
    """Batches in which no agent stands twice, and none is larger than a transaction should be."""
    batches: list[dict[int, Match]] = []
    for one in matches:
        home = next((b for b in batches if one.agent_id not in b and len(b) < MOST_OFFERS), None)
        if home is None:
            home = {}
            batches.append(home)
        home[one.agent_id] = one
    return [list(batch.values()) for batch in batches]


def _row(one: Match) -> dict[str, Any]:
    item = one.item
    return {
        "item_id": item.id,
        "version": item.version,
        "agent_id": one.agent_id,
        "over": item.emergency,
        "why": told(one),
    }


async def _overflow(session: AsyncSession, decision: Overflow) -> bool:
    """Move an item to the queue that it overflows to; its rank is kept. False when it moved on meanwhile."""
    seen = decision.item
    statement = (
        select(Item)
        .where(Item.id == seen.id, Item.version == seen.version, Item.state == State.QUEUED)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    item = await session.scalar(statement)
    if item is None:
        return False
    why = {"from": item.queue_id, "to": decision.to, "cause": decision.cause}
    lane = lane_of(decision.to, item.requirements)
    await move(session, item, Verb.OVERFLOW, State.QUEUED, ROUTER, why=why, queue_id=decision.to, lane=lane)
    return True


def told(one: Match) -> Mapping[str, Any]:
    """A decision as it is kept: who could have taken the item, in what order, and why others could not."""
    rejected, rejected_total = one.sight.some_rejected(MOST_TOLD)
    return {
        "policy": one.policy,
        "agent_id": one.agent_id,
        "preferred": one.preferred,
        "candidates": [candidate.agent_id for candidate in one.candidates],
        "parts": [_part(candidate) for candidate in one.candidates],
        "candidates_total": one.total,
        "rejected": {str(agent): reason for agent, reason in rejected.items()},
        "rejected_total": rejected_total,
        "requirements": {str(skill): level for skill, level in one.item.requirements.items()},
    }


def _part(candidate: Candidate) -> dict[str, Any]:
    return {
        "agent_id": candidate.agent_id,
        "available_since": candidate.available_since.isoformat(),
        "spare": candidate.spare,
        "margin": candidate.margin,
    }
