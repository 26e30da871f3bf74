"""Reading comments, or what a search finds, from the newest down to what was read before.

Threads are listed by their first comment. A later reply does not bring its thread up again, so the number of replies of
the newest threads is remembered, and those of a thread that has more are read (developers.google.com/youtube/v3/docs/
commentThreads#list, comments#list, search#list).
"""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from pydantic import ValidationError

from app.connectors.base import Batch, IncomingAuthor, IncomingPost, Json, Rejected
from app.connectors.paging import oldest_first, read_pages
from app.connectors.youtube_api import LIST, SEARCH, Api, Gone, items
from app.connectors.youtube_posts import read_comment, read_video, rejected
from app.errors import ConnectorError, Refused

PAGES = 3  # in one call, and of the backlog at the first sync
THREADS = 100  # newest ones whose replies are watched
REMEMBERED = 300  # ids given lately
LATE = timedelta(hours=24)  # a search may find a video so much later than it was published
REPLY_PAGES = 5  # of one thread


class Walk:
    """One call's part of the way down. The cursor: scope, newest time, ids given, replies of threads, an open walk."""

    def __init__(self, api: Api, me: IncomingAuthor, cursor: Json) -> None:
        """Go on where the cursor says; other settings start anew."""
        self.api, self.me, self.settings = api, me, api.link.settings
        scope = f"{self.settings.source.value} {self.settings.value} {me.external_id}"
        state: Json = cursor if cursor.get("scope") == scope else {"scope": scope}
        walk: Json = state.get("walk", {})
        self.state = state
        self.until: str | None = state.get("newest")
        self.seen: dict[str, None] = dict.fromkeys(state.get("seen", []))
        self.counts: dict[str, int] = dict(state.get("counts", {}))
        self.top: str | None = walk.get("top")
        self.token: str | None = walk.get("token")
        self.pages: int = walk.get("pages", 0)
        self.again: bool = walk.get("again", False)  # begun anew: what is known already does not end it
        self.reached, self.last = False, ""
        self.posts: dict[str, IncomingPost] = {}
        self.rejected: list[Rejected] = []
        self.finished = False

    async def batch(self) -> Batch:
        """Walk until it is finished or this call has done enough. Raises ConnectorError and loses nothing by it."""
        await read_pages(self._page, PAGES, self._enough, self._stale)
        return Batch(
            posts=oldest_first(self.posts.values()),
            cursor=self._cursor(),
            more=not self.finished,
            rejected=tuple(self.rejected),
        )

    def _cost(self) -> int:
        return SEARCH if self.settings.source.value == "search" else LIST

    def _enough(self) -> bool:
        return self.finished or (self.api.left is not None and self.api.left < self._cost())

    def _stale(self, error: ConnectorError) -> bool:
        """Whether a page token ran out: the walk begins again at the top."""
        if not isinstance(error, Refused) or self.token is None:
            return False
        self.token, self.again = None, True
        return True

    async def _page(self) -> None:
        searching = self.settings.source.value == "search"
        answer = await (self._search() if searching else self._threads())
        found = items(answer)
        new = False
        for raw in found:
            fresh = await self._video(raw) if searching else await self._thread(raw)
            new = new or fresh
        self.pages += 1
        token = answer.get("nextPageToken")
        self.token = token if isinstance(token, str) and token else None
        known = self.until is not None and (self.reached or (not new and not self.again))
        enough = self.until is None and self.pages >= PAGES
        self.finished = self.token is None or not found or known or enough

    async def _search(self) -> Json:
        asked: dict[str, str | int] = {"part": "snippet", "type": "video", "order": "date", "maxResults": 50}
        asked["q"] = self.settings.value
        if self.until is not None:
            after = datetime.fromisoformat(self.until) - LATE
            asked["publishedAfter"] = after.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return await self.api.get("/search", self._at(asked), SEARCH)

    async def _threads(self) -> Json:
        asked: dict[str, str | int] = {"part": "snippet,replies", "order": "time", "textFormat": "plainText"}
        asked |= {"maxResults": 100, "allThreadsRelatedToChannelId": self.me.external_id}
        return await self.api.get("/commentThreads", self._at(asked))

    def _at(self, asked: dict[str, str | int]) -> dict[str, str | int]:
        return asked | ({"pageToken": self.token} if self.token is not None else {})

    async def _video(self, raw: Any) -> bool:
        return self._take(raw, lambda: read_video(raw, self.me))

    async def _thread(self, raw: Any) -> bool:
        """The first comment of a thread and its replies; whether it was new, or has new replies."""
        told = raw.get("snippet") if isinstance(raw, dict) else None
        snippet: Json = told if isinstance(told, dict) else {}
        video = str(snippet.get("videoId") or "")
        first = snippet.get("topLevelComment", raw)
        new = self._take(first, lambda: read_comment(first, video, self.me))
        self.reached = self.reached or (self.until is not None and self.last < self.until)
        name, count = str(raw.get("id")) if isinstance(raw, dict) else "", snippet.get("totalReplyCount")
        if not name or not isinstance(count, int) or count <= self.counts.get(name, 0):
            return new
        for reply in await self._replies(raw, name, count):
            self._take(reply, partial(read_comment, reply, video, self.me))
        self.counts[name] = count
        return True

    async def _replies(self, raw: Json, name: str, count: int) -> list[Any]:
        """The replies that came along (a few of them), or all where there are more."""
        with_it = raw.get("replies")
        along = with_it.get("comments") if isinstance(with_it, dict) else None
        if isinstance(along, list) and len(along) >= count:
            return along
        found: list[Any] = []
        asked: dict[str, str | int] = {
            "part": "snippet",
            "parentId": name,
            "textFormat": "plainText",
            "maxResults": 100,
        }
        for _ in range(REPLY_PAGES):
            try:
                answer = await self.api.get("/comments", asked)
            except Gone:
                break  # deleted meanwhile
            found += items(answer)
            token = answer.get("nextPageToken")
            if not isinstance(token, str) or not token:
                break
            asked["pageToken"] = token
        return found

    def _take(self, raw: Any, read: Any) -> bool:
        """Keep an entry; whether it was not given lately."""
        try:
            post: IncomingPost = read()
        except ValidationError as error:
            self.rejected.append(rejected(raw, error))
            self.last = self.until or ""
            return False
        at = post.posted_at.isoformat()
        self.last, self.top = at, max(self.top or at, at)
        if post.external_id in self.seen:
            return False
        self.seen[post.external_id] = None
        self.posts.setdefault(post.external_id, post)
        return self.until is None or at >= self.until or self.settings.source.value == "search"

    def _cursor(self) -> Json:
        state = {name: value for name, value in self.state.items() if name != "walk"}
        newest = list(self.seen)[-REMEMBERED:]
        counts = dict(list(self.counts.items())[-THREADS:])
        state |= {"seen": newest, "counts": counts}
        if not self.finished:
            return state | {"walk": {"top": self.top, "token": self.token, "pages": self.pages, "again": self.again}}
        top = max(self.top or "", self.until or "")
        return state | {"newest": top or self.api.link.now.astimezone(UTC).isoformat()}
