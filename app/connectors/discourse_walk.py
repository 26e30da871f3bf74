"""Reading the forum's newest posts from the newest down to what was read before, and topics that nobody has answered.

Rules: docs.discourse.org ("List latest posts across topics"): 50 posts below the id `before`. Forums of before 2026 look at
the 50 ids below it, and give what is public among them: an empty page is no end there. The list of private messages is
`/private-posts.json`, in the same form (app/controllers/posts_controller.rb, `latest`).
"""

from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from app.connectors.base import Batch, IncomingAuthor, IncomingPost, Json, Rejected
from app.connectors.discourse_api import Forum
from app.connectors.discourse_posts import read_post, rejected
from app.connectors.discourse_topics import Topic, about, active_since, listed, narrowed
from app.connectors.paging import oldest_first, read_pages
from app.i18n import N_

PAGES = 3  # in one call, and of the backlog at the first sync
REMEMBERED = 300  # names given lately
AT_ONCE = 20  # unanswered topics that are opened in one call
REMEMBERED_TOPICS = 2000  # more than become too old in a day
IDS = 50  # that older forums look at for a page
CUT = N_("More topics changed at once than can be looked through, so posts may be missing. Poll this feed more often.")
_BACKLOG = timedelta(days=30)
_OVERLAP = timedelta(days=1)  # a list shifts while it is read, as topics get answers


def place(settings: Any) -> tuple[str, str]:
    """Where the newest posts are listed, and under which name."""
    if settings.is_direct:
        return "/private-posts.json", "private_posts"
    return "/posts.json", "latest_posts"


async def newest(forum: Forum, settings: Any, before: int | None) -> list[Any]:
    """One page of posts as they come. Raises ConnectorError."""
    path, name = place(settings)
    found = (await forum.get(path, **({} if before is None else {"before": before}))).get(name)
    if not isinstance(found, list):
        raise forum.odd()
    return found


def fits(settings: Any, post: IncomingPost) -> bool:
    """Whether a feed of new topics, or of all posts, brings it."""
    return not settings.only_topics or post.ref["number"] == 1


async def about_us(forum: Forum, settings: Any, posts: list[IncomingPost]) -> tuple[list[IncomingPost], str]:
    """Those of the feed's topics, and a word where that could not be looked up in full. Raises ConnectorError."""
    if not posts or not narrowed(settings):
        return posts, ""
    ids, whole = await active_since(forum, settings, min(post.posted_at for post in posts))
    return [post for post in posts if post.ref["topic"] in ids], "" if whole else CUT


class Walk:
    """One call's part of the way down. The cursor: scope, newest id, names given, an open walk."""

    def __init__(self, forum: Forum, me: IncomingAuthor | None, cursor: Json) -> None:
        """Go on where the cursor says; other settings start anew."""
        self.forum, self.me, self.settings = forum, me, forum.link.settings
        scope = self.settings.scope
        state: Json = cursor if cursor.get("scope") == scope else {"scope": scope}
        walk: Json = state.get("walk", {})
        self.state = state
        self.until: int | None = state.get("newest")
        self.seen: dict[int, None] = dict.fromkeys(state.get("seen", []))
        self.top: int = walk.get("top", 0)
        self.below: int | None = walk.get("below")
        self.pages: int = walk.get("pages", 0)
        self.posts: dict[str, IncomingPost] = {}
        self.rejected: list[Rejected] = []
        self.finished = False

    async def batch(self) -> Batch:
        """Walk until it is finished or this call has done enough. Raises ConnectorError and loses nothing by it."""
        await read_pages(self._page, PAGES, lambda: self.finished)
        posts, notice = await about_us(self.forum, self.settings, list(self.posts.values()))
        return Batch(
            posts=oldest_first(posts),
            cursor=self._cursor(),
            more=not self.finished,
            rejected=tuple(self.rejected),
            notice=notice,
        )

    async def _page(self) -> None:
        first = self.below is None
        found = await newest(self.forum, self.settings, self.below)
        ids = [number for raw in found if (number := _id(raw)) is not None]
        for raw in found:
            number = _id(raw)
            old = number is not None and self.until is not None and number <= self.until
            if number not in self.seen and (first or not old):
                self._take(raw)
        self.seen |= dict.fromkeys(ids)
        self.top = max(self.top, *ids, 0)
        self.pages += 1
        self._go_down(ids)

    def _go_down(self, ids: list[int]) -> None:
        lowest = min(ids, default=None)
        if self.below is not None and (lowest is None or lowest >= self.below):
            lowest = self.below - IDS if self.until is not None and self.below - IDS > self.until else None
        known = self.until is not None and lowest is not None and lowest <= self.until
        enough = self.until is None and self.pages >= PAGES
        self.below = lowest
        self.finished = lowest is None or known or enough

    def _take(self, raw: Any) -> None:
        try:
            post = read_post(raw, self.forum, self.me, direct=self.settings.is_direct)
        except ValidationError as error:
            self.rejected.append(rejected(raw, error))
            return
        if post is not None and fits(self.settings, post):
            self.posts[post.external_id] = post

    def _cursor(self) -> Json:
        state = {name: value for name, value in self.state.items() if name != "walk"}
        state |= {"seen": sorted(self.seen)[-REMEMBERED:]}
        if not self.finished:
            return state | {"walk": {"top": self.top, "below": self.below, "pages": self.pages}}
        return state | {"newest": max(self.top, self.until or 0)}


def _id(raw: Any) -> int | None:
    number = raw.get("id") if isinstance(raw, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None


class Unanswered:
    """Topics that have stood without an answer for the feed's hours, the oldest of them first."""

    def __init__(self, forum: Forum, me: IncomingAuthor | None, cursor: Json) -> None:
        """Go on where the cursor says; other settings start anew."""
        self.forum, self.me, self.settings = forum, me, forum.link.settings
        scope = self.settings.scope
        self.state: Json = cursor if cursor.get("scope") == scope else {"scope": scope}
        self.ripe = forum.link.now - timedelta(hours=self.settings.hours)
        until = self.state.get("until")
        self.since = datetime.fromisoformat(until) - _OVERLAP if until else self.ripe - _BACKLOG
        self.rejected: list[Rejected] = []

    async def batch(self, most: int = AT_ONCE) -> Batch:
        """Those that became old enough, so many of them at most. Raises ConnectorError and loses nothing by it."""
        seen: dict[int, None] = dict.fromkeys(self.state.get("seen", []))
        waiting, whole = await self._waiting(seen)
        posts = []
        for topic in waiting[:most]:
            post = await self._first(topic)
            posts += [post] if post is not None else []
            seen[topic.id] = None
        more = len(waiting) > most
        until = waiting[most - 1].created_at if more else self.ripe
        if self.state.get("until"):
            until = max(until, datetime.fromisoformat(self.state["until"]))
        cursor = self.state | {"until": until.isoformat(), "seen": list(seen)[-REMEMBERED_TOPICS:]}
        return Batch(tuple(posts), cursor, more, tuple(self.rejected), notice="" if whole else CUT)

    async def _waiting(self, seen: dict[int, None]) -> tuple[list[Topic], bool]:
        asked = about(self.settings) | {"order": "created", "max_posts": 1}
        found, whole = await listed(self.forum, "/latest.json", asked, lambda topic: topic.created_at < self.since)
        waiting = {topic.id: topic for topic in found if topic.id not in seen and self._waits(topic)}
        return sorted(waiting.values(), key=lambda topic: (topic.created_at, topic.id)), whole

    def _waits(self, topic: Topic) -> bool:
        open_still = topic.visible and not topic.closed and not topic.archived
        return open_still and topic.posts_count <= 1 and self.since <= topic.created_at <= self.ripe

    async def _first(self, topic: Topic) -> IncomingPost | None:
        """The post that a topic begins with; None when it was answered or deleted meanwhile."""
        answer = await self.forum.seen(f"/t/{topic.id}.json", include_raw="true")
        raw = first_of(answer) if answer is not None else None
        if answer is None or raw is None or answer.get("posts_count", 1) != 1:
            return None
        try:
            return read_post({"topic_title": answer.get("title"), **raw}, self.forum, self.me, direct=False)
        except ValidationError as error:
            self.rejected.append(rejected(raw, error))
            return None


def first_of(answer: Json) -> Json | None:
    """The post with which a topic's answer begins."""
    return next((raw for raw in posts_of(answer) if raw.get("post_number") == 1), None)


def posts_of(answer: Json) -> list[Json]:
    """The posts in a topic's answer."""
    stream = answer.get("post_stream")
    listed = stream.get("posts") if isinstance(stream, dict) else None
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
