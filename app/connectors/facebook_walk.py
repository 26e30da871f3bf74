"""What a poll of a Page reads: comments under its newest posts, visitors' posts, mentions, recommendations.

Rules: developers.facebook.com/docs/graph-api/reference/page/feed, /visitor_posts, /tagged, /ratings, and
/reference/object/comments (`filter=stream`, `order=chronological`, `since`).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from app.connectors.base import IncomingPost, Json, PostKind, Rejected
from app.connectors.facebook_posts import (
    COMMENT_FIELDS,
    POST_FIELDS,
    RATING_FIELDS,
    read_comment,
    read_post,
    read_rating,
)
from app.connectors.meta_account import Page
from app.connectors.meta_graph import moment
from app.connectors.meta_hooks import Told
from app.connectors.meta_walk import Newest
from app.errors import Malformed
from app.i18n import N_

WATCHED = 100  # of the Page's newest posts: comments under older ones come by deliveries only
_CALLS = 10  # for comments, in one fetch
_LATE = timedelta(seconds=60)  # comments may be shown late, and a time of Meta's is whole seconds
_FEED_FIELDS = "id,message,story,created_time,updated_time,permalink_url,comments.limit(0).summary(true)"


Read = Callable[[Any], IncomingPost | Rejected]


async def read_posts(found: Page, state: Json, told: Told, now: datetime) -> tuple[Json, bool]:
    """What visitors have posted on the Page."""
    edge = Newest(found.graph, f"{found.id}/visitor_posts", state, _created, fields=POST_FIELDS)
    return await _read(edge, told, lambda raw: read_post(raw, found.id, now, PostKind.POST))


async def read_mentions(found: Page, state: Json, told: Told, now: datetime) -> tuple[Json, bool]:
    """Posts of others that name the Page."""
    edge = Newest(found.graph, f"{found.id}/tagged", state, _created, fields=POST_FIELDS)
    return await _read(edge, told, lambda raw: read_post(raw, found.id, now, PostKind.MENTION))


async def read_ratings(found: Page, state: Json, told: Told, now: datetime) -> tuple[Json, bool]:
    """Recommendations of the Page."""
    edge = Newest(found.graph, f"{found.id}/ratings", state, _created, fields=RATING_FIELDS)
    return await _read(edge, told, lambda raw: read_rating(raw, now))


async def _read(edge: Newest, told: Told, read: Read) -> tuple[Json, bool]:
    for raw in await edge.entries():
        told.add(read(raw))
    return edge.state(), edge.more


def _created(raw: Any) -> datetime | None:
    return moment(raw.get("created_time")) if isinstance(raw, dict) else None


async def read_comments(found: Page, state: Json, told: Told, now: datetime) -> tuple[Json, bool]:
    """Comments under the Page's newest posts, of those posts that were commented since they were read.

    The state holds for each post when it was last updated, and the newest comment that was read under it.
    """
    listed = await found.graph.edge(f"{found.id}/feed", fields=_FEED_FIELDS, limit=WATCHED)
    posts = [one for one in listed.entries if isinstance(one, dict) and isinstance(one.get("id"), str)]
    seen: Json = state.get("seen", {})
    kept: Json = {}
    reader = _Comments(found, told, now)
    for on in posts:
        updated, mark = seen.get(on["id"], ("", ""))
        if _settled(on, updated):
            kept[on["id"]] = [updated, mark]
        elif reader.calls < _CALLS:
            mark, done = await reader.read(on, mark)
            kept[on["id"]] = [str(on.get("updated_time")) if done and _is_old(on, now) else "", mark]
            reader.more |= not done
        else:
            kept[on["id"]] = [updated, mark]
            reader.more = True
    return {"seen": kept}, reader.more


def _settled(on: Json, updated: str) -> bool:
    """Whether nothing was written under a post since it was read; one without comments need not be read."""
    if updated:
        return updated == str(on.get("updated_time"))
    comments = on.get("comments")
    summary = comments.get("summary") if isinstance(comments, dict) else None
    return isinstance(summary, dict) and summary.get("total_count") == 0


def _is_old(on: Json, now: datetime) -> bool:
    """Whether a comment of the same second would be known by now."""
    at = moment(on.get("updated_time"))
    return at is not None and at < now - _LATE


class _Comments:
    """Reads comments, oldest first, and counts its calls."""

    def __init__(self, found: Page, told: Told, now: datetime) -> None:
        self._found, self._told, self._now = found, told, now
        self.calls = 0
        self.more = False

    async def read(self, on: Json, mark: str) -> tuple[str, bool]:
        """Read under one post what is newer than `mark`; returns the newest time, and whether all was read."""
        since = moment(mark) if mark else None
        bound = {"since": int((since - _LATE).timestamp())} if since else {}
        after, newest = "", since
        while self.calls < _CALLS:
            self.calls += 1
            page = await self._found.graph.edge(
                f"{on['id']}/comments", after, filter="stream", order="chronological", fields=COMMENT_FIELDS, limit=100, **bound
            )  # fmt: skip
            for raw in page.entries:
                self._told.add(read_comment(raw, on, self._found.id, self._now))
            times = [at for at in map(_created, page.entries) if at]
            if after and page.after == after:
                raise Malformed(N_("Meta gives the same page of comments again and again."))
            after, newest = page.after, max([*times, *([newest] if newest else [])], default=None)
            if not after:
                return newest.isoformat() if newest else "", True
        return newest.isoformat() if newest else "", False
