"""Deliver: what a channel pushed to us, once, however often it is repeated; in the caller's one transaction."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import registry
from app.connectors.base import Batch, Rejected
from app.db import announce
from app.flow.change import keep_changes
from app.flow.hide import keep_hidings
from app.flow.outbox import keep_fates
from app.flow.poll import ingest_apart, quarantine
from app.models.feed import Delivery, Feed, Health


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a delivery came to. A repeat brings nothing new."""

    taken: int = 0  # posts and changes that stand here now
    new: int = 0  # of the posts, not known before
    rejected: tuple[Rejected, ...] = ()
    repeated: bool = False
    stored: frozenset[str] = frozenset()  # external ids of those new posts
    left_out: frozenset[str] = frozenset()  # external ids, by the rules of the house


async def deliver(
    session: AsyncSession, feed: Feed, batch: Batch, *, quiet: bool = False, set_aside: bool = True
) -> Delivered:
    """Store a delivery's posts and changes; what cannot be read or stored is told to the sender, and set aside.

    A delivery of which nothing was taken is not remembered, so that it may be corrected and sent again. `quiet` keeps
    posts as history; `set_aside` False leaves what was rejected to the sender alone.
    """
    brought = len(batch.posts) + len(batch.changes) + len(batch.hidings) + len(batch.fates)
    if brought and batch.delivery_id is not None and not await _first_time(session, feed.id, batch.delivery_id):
        return Delivered(repeated=True)
    ingested, poison = await ingest_apart(session, feed, batch.posts, quiet=quiet)
    rejected = (*batch.rejected, *poison)
    await keep_changes(session, feed, batch.changes)
    await keep_hidings(session, feed, batch.hidings)
    await keep_fates(session, feed.channel, batch.fates)
    if set_aside:
        await quarantine(session, feed.id, rejected)
    changes = _well(feed)
    if ingested.posts:
        changes["post_at"] = func.now()
    await session.execute(
        update(Feed).where(Feed.id == feed.id).values(changes).execution_options(synchronize_session=False)
    )
    announce(session, "feeds", [feed.id])
    taken = brought - len(poison)
    return Delivered(taken, ingested.posts, rejected, stored=ingested.stored, left_out=ingested.left_out)


def _well(feed: Feed) -> dict[str, Any]:
    """A delivery shows that the feed works, unless it is fetched as well: how that goes, only its polls know."""
    if not registry.get(feed.channel).capabilities.push:
        return {"ok_at": func.now()}
    synced = func.coalesce(Feed.synced_at, func.now())
    return {"health": Health.OK, "trouble": "", "failures": 0, "ok_at": func.now(), "synced_at": synced}


async def _first_time(session: AsyncSession, feed_id: int, delivery_id: str) -> bool:
    """Remember the delivery; one that arrives twice at once waits here for the other, and is then a repeat."""
    row = insert(Delivery).values(feed_id=feed_id, delivery_id=delivery_id)
    kept = await session.execute(row.on_conflict_do_nothing().returning(Delivery.delivery_id))
    return kept.first() is not None
