"""Push: a program hands over posts with its token, and is told of each what became of it; in the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import Batch, IncomingPost, PostChange, Rejected
from app.connectors.text import storable_json
from app.connectors.webhook import WebhookConnector
from app.connectors.webhook_schema import read_entry
from app.errors import Conflict, NotFound
from app.flow.deliver import deliver
from app.i18n import _
from app.models.feed import Feed


class Outcome(StrEnum):
    """What became of an entry."""

    NEW = "new"
    KNOWN = "known"  # it stood here already, or stands twice among those pushed
    LEFT_OUT = "left_out"  # by the feed's rules of the house
    CHANGED = "changed"  # the edit or deletion of a post is noted
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Pushed:
    """One entry. `id` is the sender's own, as far as it could be read."""

    id: str
    outcome: Outcome
    reason: str = ""


async def taking_feed(session: AsyncSession, feed_id: int) -> Feed:
    """The feed, if programs and files may bring posts to it: one of the channel Webhook. Raises NotFound, Conflict."""
    feed = await session.get(Feed, feed_id, populate_existing=True)
    if feed is None:
        raise NotFound(_("There is no such feed."))
    if feed.channel != WebhookConnector.name:
        raise Conflict(
            _(
                "%(feed)s brings its posts by itself. Only feeds of the channel Webhook take them from programs and files."
            )
            % {"feed": feed.name}
        )
    return feed


async def push(session: AsyncSession, feed_id: int, entries: Sequence[Any], *, quiet: bool) -> list[Pushed]:
    """Store posts and changes of posts as a signed delivery would; one outcome an entry, in their order.

    An entry that is rejected is not set aside: its sender is told at once. `quiet` keeps posts as history.

    Raises:
        NotFound: there is no such feed.
        Conflict: it takes no posts from programs, or is off.
    """
    feed = await taking_feed(session, feed_id)
    if not feed.enabled:
        raise Conflict(_("The feed %(feed)s is off. Switch it on first.") % {"feed": feed.name})
    now = (await session.execute(select(func.now()))).scalar_one()
    source = str(feed.settings["source"])
    read = [read_entry(storable_json(entry), source, now) for entry in entries]
    posts: dict[str, IncomingPost] = {}
    for one in read:
        if isinstance(one, IncomingPost):
            posts.setdefault(one.external_id, one)
    changes = tuple(one for one in read if isinstance(one, PostChange))
    batch = Batch(tuple(sorted(posts.values(), key=lambda post: post.posted_at)), changes=changes)
    done = await deliver(session, feed, batch, quiet=quiet, set_aside=False)
    poison = {one.external_id: one.reason for one in done.rejected}
    said = _Said(source, done.stored, done.left_out, poison)
    return [said.of(one, entry) for one, entry in zip(read, entries, strict=True)]


class _Said:
    """What is said of each entry; of several with one id the first is the new one."""

    def __init__(self, source: str, stored: frozenset[str], left_out: frozenset[str], poison: dict[str, str]) -> None:
        self._own = len(source) + 1  # what stands before the sender's id
        self._fresh = set(stored)
        self._left_out = left_out
        self._poison = poison

    def of(self, one: IncomingPost | PostChange | Rejected, entry: Any) -> Pushed:
        if isinstance(one, Rejected):
            given = entry.get("id", "") if isinstance(entry, dict) else ""
            return Pushed(str(given)[:400], Outcome.REJECTED, one.reason)
        name = one.external_id
        if isinstance(one, PostChange):
            return Pushed(name[self._own :], Outcome.CHANGED)
        if name in self._poison:
            return Pushed(name[self._own :], Outcome.REJECTED, self._poison[name])
        if name in self._fresh:
            self._fresh.remove(name)
            return Pushed(name[self._own :], Outcome.NEW)
        return Pushed(name[self._own :], Outcome.LEFT_OUT if name in self._left_out else Outcome.KNOWN)
