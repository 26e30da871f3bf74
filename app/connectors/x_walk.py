"""Reading a list of X from its newest entry down to what was read before, and paying for each post once.

Lists are asked for what is newer than the newest known post and, page by page, older than the last one read: ids hold
still while pages shift, and a walk that a call cannot finish goes on at the next one, from the cursor.
Rules: docs.x.com, "Post timelines", "Search recent posts", "Direct Messages lookup"; the OpenAPI description.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from app.connectors.base import Batch, IncomingAuthor, IncomingPost, Json, Rejected
from app.connectors.paging import oldest_first, read_pages
from app.connectors.x_api import READS, Api, entries
from app.connectors.x_posts import (
    DM_FIELDS,
    FIELDS,
    Included,
    moment_of,
    name_at,
    newest,
    read_message,
    read_post,
    rejected,
)

PAGES = 3  # in one call
MOST = 100  # entries on a page
KEPT = timedelta(days=7)  # how far back recent search goes; it refuses an older `since_id`
LATE = timedelta(minutes=2)  # a post may be listed so much later than it was written
FRESH = timedelta(minutes=10)  # after the newest post, in which later ones of the same time are still looked for
THREADS = 10  # of our own posts whose answers are searched for: a query of X is short
OWN_EVERY = timedelta(hours=1)

Read = Callable[[Any, Included, IncomingAuthor | None], IncomingPost]


def scope_of(settings: Any) -> str:
    """What a cursor is about; other settings start anew."""
    return f"{settings.source.value} {settings.value} {settings.include_reposts} {settings.include_own}"


class Walk:
    """One call's part of the way down. The cursor: scope, newest id, the walk that is not finished."""

    def __init__(self, api: Api, me: IncomingAuthor, cursor: Json) -> None:
        """Go on where the cursor says."""
        self.api, self.me, self.link = api, me, api.link
        self.settings = api.link.settings
        scope = scope_of(self.settings)
        state: Json = cursor if cursor.get("scope") == scope else {"scope": scope}
        walk: Json = state.get("walk", {})
        self.state = state
        self.since: str | None = state.get("newest")
        self.top: str | None = walk.get("top")
        self.below: str | None = walk.get("below")
        self.token: str | None = walk.get("token")
        self.taken: int = walk.get("taken", 0)
        self.room: int | None = api.link.room.get(READS)
        self.posts: dict[str, IncomingPost] = {}
        self.rejected: list[Rejected] = []
        self.finished = False

    async def batch(self) -> Batch:
        """Walk until it is finished or this call has done enough. Raises ConnectorError and loses nothing by it."""
        threads = await self._threads() if self.settings.source.value == "replies" else ()
        await read_pages(
            lambda: self._page(threads), PAGES, lambda: self.finished or (self.room is not None and self.room <= 0)
        )
        return Batch(
            posts=oldest_first(self.posts.values()),
            cursor=self._cursor(),
            more=not self.finished,
            rejected=tuple(self.rejected),
        )

    async def _page(self, threads: tuple[str, ...]) -> None:
        if self.settings.source.value == "messages":
            await self._messages()
            return
        query = query_of(self.settings, self.me, threads)
        if query is None and self.settings.source.value != "mentions":
            self.finished = True  # no post of ours is there to be answered
            return
        if query is None:
            answer = await self.api.get("mentions", f"/2/users/{self.me.external_id}/mentions", self._bounds(5))
        else:
            bounds = self._bounds(10)
            answer = await self.api.get("search", "/2/tweets/search/recent", {"query": query, **bounds})
        found = entries(answer)
        await self.api.paid(answer)
        self._take(found, Included(answer), read_post)
        self._counted(len(found))
        more = isinstance(answer.get("meta"), dict) and answer["meta"].get("next_token")
        self.finished = not more or not found or self._enough()

    def _bounds(self, fewest: int) -> dict[str, str | int]:
        left = [MOST, *([self.room] if self.room is not None else []), *([self._backlog()] if not self.since else [])]
        bounds: dict[str, str | int] = {**FIELDS, "max_results": max(fewest, min(left))}
        since = self._since()
        if since is not None:
            bounds["since_id"] = since
        if self.below is not None:
            bounds["until_id"] = self.below
        return bounds

    def _since(self) -> str | None:
        """The id from which on posts are asked for.

        While the newest known post is fresh, others of its time may still turn up in the list; on the same day they
        cost nothing when they are read again. Later, nothing is asked for twice.
        """
        if self.since is None:
            return None
        at, now = moment_of(self.since), self.link.now.astimezone(UTC)
        if self.settings.source.value != "mentions" and at < now - KEPT + timedelta(minutes=1):
            return None
        if timedelta(0) <= now - at < FRESH and (at - LATE).date() == now.date():
            return name_at(at - LATE)
        return self.since

    async def _messages(self) -> None:
        """Messages have no `since_id`: their list is read down to the newest known one. They are not counted."""
        asked: dict[str, str | int] = {**DM_FIELDS, "max_results": MOST}
        if self.token is not None:
            asked["pagination_token"] = self.token
        answer = await self.api.get("messages", "/2/dm_events", asked)
        found = entries(answer)
        old = newest([self.since or "0"]) or "0"
        new = [one for one in found if not _name(one) or int(_name(one)) > int(old)]
        self._take(new, Included(answer), read_message)
        self.taken += len(new)
        meta = answer.get("meta")
        self.token = meta.get("next_token") if isinstance(meta, dict) else None
        self.finished = not self.token or len(new) < len(found) or not found or self._enough()

    def _take(self, found: list[Any], included: Included, read: Read) -> None:
        for raw in found:
            try:
                post = read(raw, included, self.me)
            except ValidationError as error:
                self.rejected.append(rejected(raw, error))
                continue
            if (self.settings.include_reposts or not post.repost) and (self.settings.include_own or not post.own):
                self.posts.setdefault(post.external_id, post)
        names = [_name(one) for one in found if _name(one)]
        self.top = newest([*names, self.top or "0"])
        lowest = min(names, key=int, default=None)
        self.below = lowest or self.below

    def _counted(self, number: int) -> None:
        self.taken += number
        if self.room is not None:
            self.room -= number

    def _backlog(self) -> int:
        most: int = self.settings.backlog
        return max(most - self.taken, 1)

    def _enough(self) -> bool:
        """At the first sync each post of the backlog is paid for, too."""
        return self.since is None and bool(self.taken >= self.settings.backlog)

    def _cursor(self) -> Json:
        state = {name: value for name, value in self.state.items() if name != "walk"} | {"me": self.me.external_id}
        if not self.finished:
            walk = {"top": self.top, "below": self.below, "token": self.token, "taken": self.taken}
            return state | {"walk": walk}
        top = newest([self.top or "0", self.since or "0"])
        return state | {"newest": top if top != "0" else name_at(self.link.now - LATE)}

    async def _threads(self) -> tuple[str, ...]:
        """Our newest posts that began a conversation, asked for every hour; what is known is not read again."""
        known: list[str] = self.state.get("threads", [])
        asked_at = self.state.get("asked_at")
        if asked_at is not None and self.link.now - datetime.fromisoformat(asked_at) < OWN_EVERY:
            return tuple(known)
        asked: dict[str, str | int] = {"max_results": THREADS, "exclude": "replies,retweets", "tweet.fields": "id"}
        if known:
            asked["since_id"] = known[0]
        answer = await self.api.get("timeline", f"/2/users/{self.me.external_id}/tweets", asked)
        found = sorted((_name(one) for one in entries(answer) if _name(one)), key=int, reverse=True)
        await self.api.paid(answer)
        threads = [*found, *(one for one in known if one not in found)][:THREADS]
        self.state = {**self.state, "threads": threads, "asked_at": self.link.now.isoformat()}
        return tuple(threads)


def query_of(settings: Any, me: IncomingAuthor, threads: tuple[str, ...]) -> str | None:
    """The search of a feed; None where there is none, or nothing to search for. Own posts and reposts cost as well."""
    if settings.source.value == "search":
        asked = f"({settings.value})"
    elif settings.source.value == "replies" and threads:
        asked = "(" + " OR ".join(f"conversation_id:{one}" for one in threads) + ")"
    else:
        return None
    asked += "" if settings.include_reposts else " -is:retweet"
    return asked + ("" if settings.include_own else f" -from:{me.external_id}")


def _name(raw: Any) -> str:
    name = raw.get("id") if isinstance(raw, dict) else None
    return name if isinstance(name, str) and name.isascii() and name.isdigit() else ""
