"""Posts as they are written, from a Jetstream server: the network's commits as JSON over a WebSocket.

Rules: github.com/bluesky-social/jetstream-legacy, README ("Consuming Jetstream"): `/subscribe` with `wantedCollections`,
`wantedDids`, `cursor` (microseconds), which newer servers speak as well. It filters by author and collection alone, so
mentions and searches read all posts of the network; a look at a message's raw bytes leaves out nearly all of them before
any is parsed. A message names people by DID only and knows no pictures: what concerns a feed is asked of our own
server, a moment later, since that has to hear of it, too. What it does not show in time is left to the polls.
"""

import hashlib
import json
import re
from asyncio import get_running_loop, timeout
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

from app.connectors.base import Batch, IncomingPost, Json, Link, PostChange, Rejected
from app.connectors.bluesky_json import as_dict, parse_time
from app.connectors.bluesky_lists import post_views
from app.connectors.bluesky_posts import Entry, hung_on, read_post
from app.connectors.bluesky_records import COLLECTION
from app.connectors.bluesky_wanted import REPOST, Commit, Filter, Wanted, wanted
from app.connectors.bluesky_xrpc import Xrpc
from app.connectors.text import storable, storable_json
from app.connectors.websocket import opened
from app.errors import ConnectorError, Malformed, Unreachable
from app.i18n import N_

QUIET = 60.0  # seconds after which the place in the stream is kept without a post
LOOKS = (1.0, 3.0, 10.0)  # seconds until our own server is asked, once more, and for the last time
_AT_ONCE = 25  # posts
_REMEMBERED = 10_000  # posts whose changes are told; those of others are found by looking
_REWIND = timedelta(seconds=5)
_LONGEST_REPLAY = {True: timedelta(hours=20), False: timedelta(minutes=10)}  # by whether the server itself filters
_LARGEST = 200_000  # bytes of a message; a post is far smaller
_TIME = re.compile(rb'"time_us":\s*(\d{15,17})')


@dataclass(slots=True)
class _Waiting:
    """A commit that our own server is asked about."""

    commit: Commit
    found: Wanted
    at: float  # monotonic
    looks: int = 0


async def listen(api: Xrpc, link: Link, cursor: Json) -> AsyncGenerator[Batch, None]:
    """What concerns the feed, until the server ends it. Raises ConnectorError."""
    gathered = _Gathered(api, link, await wanted(api, link.settings), cursor)
    async with opened(link.dial, gathered.address(), link.now) as line:
        yield Batch(cursor=cursor)
        while True:
            ended = await gathered.read(line)
            yield await gathered.batch()
            if ended is not None:
                if isinstance(ended, ConnectionClosedOK):
                    return
                raise Unreachable(
                    N_("The stream of %(host)s broke off (%(error)s). It is opened again.")
                    % {"host": link.settings.jetstream, "error": str(ended)[:200]}
                ) from ended


async def unstreamed(api: Xrpc, link: Link) -> tuple[str, ...]:
    """Why a feed that shall have a stream has none; empty where it has one, or shall have none."""
    if not link.settings.jetstream:
        return ()
    try:
        async with aclosing(listen(api, link, {})) as stream:
            await anext(stream)
    except ConnectorError as error:
        return (error.message,)
    return ()


class _Gathered:
    """What a stream has brought and not given yet."""

    def __init__(self, api: Xrpc, link: Link, found: Filter, cursor: Json) -> None:
        self._api, self._link, self._filter, self._cursor = api, link, found, cursor
        self._opened = monotonic()
        self._last: bytes | None = None
        self._waiting: list[_Waiting] = []
        self._changes: list[PostChange] = []
        self._rejected: list[Rejected] = []
        self._given: OrderedDict[str, None] = OrderedDict()

    def address(self) -> str:
        """Where the stream is, from the place where we were if that is not long ago."""
        asked = [*self._filter.asked, ("maxMessageSizeBytes", str(_LARGEST))]
        kept = self._cursor.get("time_us")
        if isinstance(kept, int):
            longest = self._link.now - _LONGEST_REPLAY[self._filter.narrow]
            if kept > _micros(longest):
                asked.append(("cursor", str(kept - _REWIND // timedelta(microseconds=1))))
        return f"{self._link.settings.jetstream}/subscribe?{urlencode(asked)}"

    async def read(self, line: ClientConnection) -> ConnectionClosed | None:
        """Take what comes until something is due; what ended the connection, if it has ended."""
        try:
            async with timeout(self._rest()) as limit:
                while len(self._waiting) < _AT_ONCE:
                    if self._take(await line.recv(decode=False)):
                        limit.reschedule(get_running_loop().time() + self._rest())
        except TimeoutError:
            return None
        except ConnectionClosed as ended:
            return ended
        return None

    def _rest(self) -> float:
        """Seconds until something is to be given."""
        if self._changes or self._rejected:
            return 0.0
        return max(min((one.at for one in self._waiting), default=monotonic() + QUIET) - monotonic(), 0.0)

    def _take(self, frame: bytes) -> bool:
        """Whether there is something to give now."""
        self._last = frame
        if not (self._filter.concerns(frame) or (self._given and b'"delete"' in frame)):
            return False
        try:
            told = json.loads(frame)
        except (ValueError, RecursionError):
            self._rejected.append(_unreadable(frame))
            return True
        commit = Commit.read(told)
        return commit is not None and self._concerned(commit)

    def _concerned(self, commit: Commit) -> bool:
        if commit.operation == "delete":
            known = self._given.pop(commit.uri, False) is None or self._filter.narrow
            self._waiting = [one for one in self._waiting if one.commit.uri != commit.uri]
            if known and commit.collection == COLLECTION:
                self._changes.append(PostChange(storable(commit.uri), commit.at, deleted=True))
            return True
        found = self._filter.wants(commit)
        if found is not None:
            self._waiting.append(_Waiting(commit, found, monotonic() + LOOKS[0]))
        return found is not None

    async def batch(self) -> Batch:
        """All that can be given now."""
        posts = await self._shown()
        changes, rejected = tuple(self._changes), tuple(self._rejected)
        self._changes, self._rejected = [], []
        self._keep_place()
        return Batch(
            posts=tuple(sorted(posts, key=lambda post: post.posted_at)),
            changes=changes,
            cursor=self._cursor,
            rejected=rejected,
            budget=self._api.budget,
        )

    async def _shown(self) -> list[IncomingPost]:
        due = [one for one in self._waiting if one.at <= monotonic()]
        views = await post_views(self._api, list({one.found.uri: None for one in due}))
        did, now = await self._api.did(), self._now()
        posts: dict[str, IncomingPost] = {}
        for one in due:
            view = views.get(one.found.uri)
            if view is None:
                self._later(one)
                continue
            self._waiting.remove(one)
            try:
                self._read(one, view, did, now, posts)
            except Malformed as error:
                self._rejected.append(Rejected(one.found.uri, error.message, storable_json(view)))
        return list(posts.values())

    def _later(self, one: _Waiting) -> None:
        one.looks += 1
        if one.looks < len(LOOKS):
            one.at = monotonic() + LOOKS[one.looks]
        else:
            self._waiting.remove(one)

    def _read(self, one: _Waiting, view: Json, did: str, now: datetime, posts: dict[str, IncomingPost]) -> None:
        if not self._filter.narrow and _is_shut_out(view):
            return
        entry = Entry(
            view, parse_time(view.get("indexedAt")), kind=one.found.kind, repost=one.commit.collection == REPOST
        )
        post = read_post(entry, did, now)
        if one.commit.operation == "update":
            self._edited(one, view, post)
            return
        posts.setdefault(post.external_id, post)
        self._given[post.external_id] = None
        if len(self._given) > _REMEMBERED:
            self._given.popitem(last=False)

    def _edited(self, one: _Waiting, view: Json, post: IncomingPost) -> None:
        """An edit counts where the network shows it, too."""
        if view.get("cid") == one.commit.cid:
            media = tuple(hung_on(view, as_dict(view.get("record"))))
            self._changes.append(PostChange(post.external_id, one.commit.at, text=post.text, media=media))

    def _keep_place(self) -> None:
        """The place in the stream before which all has been given."""
        found = _TIME.search(self._last) if self._last else None
        times = [one.commit.time_us - 1 for one in self._waiting] + ([int(found[1])] if found else [])
        if times:
            self._cursor = {**self._cursor, "time_us": min(times)}

    def _now(self) -> datetime:
        return self._link.now + timedelta(seconds=monotonic() - self._opened)


def _is_shut_out(view: Json) -> bool:
    """Whether we have muted or blocked its author, or they us: our notifications and searches show no such post."""
    viewer = as_dict(as_dict(view.get("author")).get("viewer"))
    told = ("muted", "blockedBy", "blocking", "mutedByList", "blockingByList")
    return any(viewer.get(name) for name in told)


def _unreadable(frame: bytes) -> Rejected:
    said = storable(frame[:1000].decode(errors="replace"))
    return Rejected(
        hashlib.sha256(frame).hexdigest(), N_("The stream told something that is not JSON."), {"said": said}
    )


def _micros(when: datetime) -> int:
    return (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
