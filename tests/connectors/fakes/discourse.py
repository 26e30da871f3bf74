"""A Discourse forum as far as the connector meets it: lists of posts and topics, topics, answers, messages, uploads.

How it lists, refuses and repeats: app/controllers/{posts,topics,list,application}_controller.rb and lib/topic_query.rb.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Any
from urllib.parse import urlencode

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from app.connectors import registry
from app.connectors.base import IncomingAuthor, Json, SettingsModel, Visibility
from app.connectors.discourse import DiscourseCredentials, DiscourseSettings, Source
from app.connectors.testing.fake import Delivery, FakeChannel, Standing

BASE, US, KEY, SECRET = "https://forum.example", "northwind_care", "secret-key", "secret-of-the-webhook"
OUR_ID = 7
PEOPLE = {"ada": 11, "bob": 12, "carol": 13}
INVALID = "You are not permitted to view the requested resource. The API username or key is invalid."
_PICTURE = re.compile(r"!\[([^|\]]*)\|\d+x\d+\]\(upload://([\w.-]+)\)")
_MEMORY = timedelta(seconds=120)  # for which the same request gets the same answer


@dataclass(slots=True)
class Piece:
    """A post."""

    id: int
    topic: "Thread"
    number: int
    by: int
    raw: str
    at: datetime
    answers: int | None = None
    kind: int = 1
    updated: datetime | None = None
    version: int = 1
    gone: bool = False
    broken: bool = False
    sent: bool = False
    more: Json = field(default_factory=dict)  # other fields than these


@dataclass(slots=True)
class Thread:
    """A topic, or a private message."""

    id: int
    title: str
    at: datetime
    category: int | None = 5
    tags: tuple[str, ...] = ()
    message: bool = False
    people: set[int] = field(default_factory=set)
    group: str = ""
    closed: bool = False
    secret: bool = False  # moved to where our user may not read
    pinned: bool = False
    bumped: datetime | None = None
    posts: list[Piece] = field(default_factory=list)


class FakeDiscourse(FakeChannel):
    """The forum. `source` says which feed this variant is."""

    connector = registry.get("discourse")
    page_size = 10  # posts in a list: a forum gives 50
    shows_own = True
    shows_direct = False  # a feed brings either private messages or posts for all, never both

    def __init__(self, source: Source = Source.POSTS, *, tag: str = "", windows: bool = False) -> None:
        super().__init__()
        self.source, self.tag, self.windows = source, tag, windows
        self.cannot = frozenset({"dated"})
        if source in {Source.TOPICS, Source.UNANSWERED, Source.MESSAGES}:
            self.cannot |= {"above"}
        if source in {Source.TOPICS, Source.UNANSWERED}:
            self.cannot |= {"threads"}
        if source is Source.UNANSWERED:
            self.cannot |= {"receive", "broken"}  # nothing is late when it is delivered
            self.page_size = 20  # topics that one call opens
            self.broken_arrivals = False
        if windows:
            self.page_size = 7  # of the 50 ids that are looked at
        self.threads: dict[int, Thread] = {}
        self.pieces: dict[int, Piece] = {}
        self.names = {OUR_ID: US, **{number: name for name, number in PEOPLE.items()}}
        self.files: dict[str, bytes] = {}
        self.key = KEY
        self.approves = False
        self.remembered: dict[str, tuple[datetime, Json]] = {}
        self.topic_page = 30
        self._topics = count(101)
        self._posts = count(1001, 7 if windows else 1)

    # -- how to reach it

    @property
    def app(self) -> ASGIApp:
        routes: list[tuple[str, str, Callable[[Request], Any]]] = [
            ("GET", "/posts.json", partial(self._newest, name="latest_posts")),
            ("GET", "/private-posts.json", partial(self._newest, name="private_posts")),
            ("GET", "/latest{_:path}", self._latest),
            ("GET", "/topics/private-messages{rest:path}", self._inbox),
            ("GET", "/t/{topic:int}.json", self._topic),
            ("DELETE", "/t/{topic:int}.json", self._delete_topic),
            ("GET", "/t/{topic:int}/posts.json", self._topic_posts),
            ("GET", "/posts/by_number/{topic:int}/{number:int}.json", self._by_number),
            ("GET", "/posts/{post:int}.json", self._one),
            ("PUT", "/posts/{post:int}.json", self._edit),
            ("DELETE", "/posts/{post:int}.json", self._delete),
            ("POST", "/posts.json", self._create),
            ("POST", "/uploads.json", self._upload),
            ("GET", "/u/{name}.json", self._user),
        ]
        return Starlette(
            routes=[Route(path, partial(self._answer, run), methods=[method]) for method, path, run in routes]
        )

    def settings(self) -> SettingsModel:
        return DiscourseSettings(source=self.source, tag=self.tag)

    def elsewhere(self) -> tuple[SettingsModel, ...]:
        if self.source is Source.MESSAGES or self.windows:
            return ()
        return tuple(
            DiscourseSettings(source=source, tag=tag)
            for source in (Source.POSTS, Source.TOPICS)
            for tag in ("", "tents")
        )

    def credentials(self) -> SettingsModel:
        given = {"server": BASE, "username": US, "key": KEY, "webhook_secret": SECRET}
        return DiscourseCredentials.model_validate(given)

    def account(self) -> IncomingAuthor:
        return IncomingAuthor(f"{BASE}/user/{OUR_ID}", US)

    # -- what happens there

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        return self._written(PEOPLE[by], text, under)

    def arrive_own(self, text: str) -> str:
        return self._written(OUR_ID, text, None)

    def arrive_broken(self) -> None:
        self.arrive("northwind")
        list(self.pieces.values())[-1].broken = True

    def aside(self, text: str, *, by: str = "bob", under: str | None = None) -> str:
        """A moderator's word: no list of posts has it, its topic does."""
        name = self._written(PEOPLE[by], text, under)
        self.named(name).kind = 2
        return name

    def _written(self, by: int, text: str, under: str | None) -> str:
        parent = self.named(under) if under else None
        late = timedelta(hours=24 if self.source is Source.UNANSWERED else 0)
        topic = parent.topic if parent else self.open(by, at=self.now - late)
        piece = self.write(topic, by, text, answers=parent.number if parent else None, at=self.now - late)
        self.tick()
        return name_of(piece)

    def open(self, by: int, **more: Any) -> Thread:
        """A topic of the kind that this variant's feed brings."""
        message = self.source is Source.MESSAGES
        known: Json = {
            "message": message,
            "category": None if message else 5,
            "people": {OUR_ID, by},
            "tags": ("tents",),
        }
        topic = Thread(next(self._topics), "Where is my order?", **({"at": self.now} | known | more))
        self.threads[topic.id] = topic
        return topic

    def write(self, topic: Thread, by: int, raw: str, **more: Any) -> Piece:
        """Somebody writes in a topic."""
        number = len(topic.posts) + 1
        piece = Piece(next(self._posts), topic, number, by, raw, **({"at": self.now} | more))
        topic.posts.append(piece)
        topic.bumped = piece.at
        self.pieces[piece.id] = piece
        return piece

    def named(self, external_id: str) -> Piece:
        """The post of that name."""
        return next(piece for piece in self.pieces.values() if name_of(piece) == external_id)

    def remove(self, external_id: str) -> None:
        self.named(external_id).gone = True

    def rename(self, by: str) -> None:
        self.names[PEOPLE[by]] = f"{by}_the_second"

    def rewrite(self, external_id: str, text: str) -> None:
        piece = self.named(external_id)
        piece.raw, piece.updated, piece.version = text, self.tick(), piece.version + 1

    def ledger(self) -> list[Standing]:
        return [self._stands(piece) for piece in self.pieces.values() if piece.sent and not piece.gone]

    def _stands(self, piece: Piece) -> Standing:
        parent = f"{BASE}/t/{piece.topic.id}/{piece.answers}" if piece.answers else None
        pictures = tuple((alt, self.files[name]) for alt, name in _PICTURE.findall(piece.raw))
        audience = Visibility.DIRECT if piece.topic.message else Visibility.PUBLIC
        return Standing(name_of(piece), piece.raw, parent, audience, pictures)

    def is_send(self, request: httpx.Request) -> bool:
        return request.method in {"PUT", "DELETE"} or (request.method == "POST" and request.url.path == "/posts.json")

    def limited(self) -> httpx.Response:
        seconds = int(self.rate_wait.total_seconds())
        body = {
            "errors": ["You've performed this action too many times, please try again later."],
            "error_type": "rate_limit",
            "extras": {"wait_seconds": seconds, "time_left": "a while"},
        }
        return httpx.Response(429, json=body, headers={"Retry-After": str(seconds)})

    def expired(self) -> httpx.Response:
        return httpx.Response(403, json={"errors": [INVALID], "error_type": "invalid_access"})

    # -- deliveries

    def signed(self, body: bytes) -> Delivery:
        return self.event(body, "post_created")

    def event(self, body: bytes, event: str) -> Delivery:
        """A delivery of this event."""
        headers = {
            "X-Discourse-Instance": BASE,
            "X-Discourse-Event-Id": "17",
            "X-Discourse-Event-Type": event.partition("_")[0],
            "X-Discourse-Event": event,
            "X-Discourse-Event-Signature": "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest(),
        }
        return Delivery(headers, body)

    def delivery(self, *texts: str, broken: int = 0) -> Delivery:
        (one,) = self.deliveries(*texts, broken=broken)
        return one

    def deliveries(self, *texts: str, broken: int = 0) -> list[Delivery]:
        """A delivery tells of one post."""
        told = [self.told(self.named(self.arrive(text)), "post_created") for text in texts]
        return told + [self.signed(json.dumps({"post": {"id": 3, "cooked": "?"}}).encode()) for _ in range(broken)]

    def told(self, piece: Piece, event: str) -> Delivery:
        """What is delivered of a post."""
        archetype = "private_message" if piece.topic.message else "regular"
        return self.event(json.dumps({"post": self._shown(piece) | {"topic_archetype": archetype}}).encode(), event)

    # -- the surface

    async def _answer(self, run: Callable[[Request], Any], request: Request) -> Response:
        if (request.headers.get("api-key"), request.headers.get("api-username")) != (self.key, US):
            return _json({"errors": [INVALID], "error_type": "invalid_access"}, 403)
        found = run(request)
        value = await found if isinstance(found, Awaitable) else found
        return value if isinstance(value, Response) else _json(value, 200)

    def _newest(self, request: Request, name: str) -> Json:
        shown = [p for p in self.pieces.values() if not p.gone and p.topic.message == (name == "private_posts")]
        shown = sorted((p for p in shown if p.kind == 1), key=lambda p: p.id, reverse=True)
        before = int(request.query_params.get("before", "0"))
        if self.windows:
            top = before or max(self.pieces, default=0)
            page = [p for p in shown if top - 50 < p.id <= top]
        else:
            page = [p for p in shown if not before or p.id < before][: self.page_size]
        return {name: [self._shown(piece) for piece in page]}

    def _latest(self, request: Request) -> Json:
        asked = request.query_params
        found = [t for t in self.threads.values() if not t.message and t.posts and not t.posts[0].gone]
        if tag := asked.get("tags[]"):
            found = [t for t in found if tag in t.tags]
        if category := asked.get("category"):
            found = [t for t in found if category in {str(t.category), "support"} and t.category == 5]
        if "max_posts" in asked:
            found = [t for t in found if _standing(t) <= int(asked["max_posts"])]
        created = asked.get("order") == "created"
        found.sort(key=lambda t: (t.at if created else t.bumped or t.at, t.id), reverse=True)
        if not created:
            found.sort(key=lambda t: not t.pinned)
        return self._page(request, found)

    def _inbox(self, request: Request) -> Json:
        kind, user, *rest = request.path_params["rest"].removesuffix(".json").split("/")
        assert user == US
        mine = [t for t in self.threads.values() if t.message and OUR_ID in t.people and not t.posts[0].gone]
        if kind == "-group":
            found = [t for t in self.threads.values() if t.group == rest[0]]
        elif kind == "-sent":
            found = [t for t in mine if t.posts[0].by == OUR_ID]
        else:
            found = [t for t in mine if not t.group and (self.shows_own or any(p.by != OUR_ID for p in t.posts))]
        return self._page(request, sorted(found, key=lambda t: (t.bumped or t.at, t.id), reverse=True))

    def _page(self, request: Request, found: list[Thread]) -> Json:
        number = int(request.query_params.get("page", "0"))
        page = found[number * self.topic_page : (number + 1) * self.topic_page]
        topics = [
            {"id": t.id, "title": t.title, "created_at": _iso(t.at), "bumped_at": _iso(t.bumped or t.at), "closed": t.closed,
             "posts_count": _standing(t), "archived": False, "visible": True, "pinned": t.pinned} for t in page
        ]  # fmt: skip
        held: Json = {"per_page": self.topic_page, "topics": topics}
        if len(found) > (number + 1) * self.topic_page:
            asked = {**request.query_params, "page": number + 1}
            held["more_topics_url"] = f"{request.url.path.removesuffix('.json')}?{urlencode(asked)}"
        return {"users": [], "topic_list": held}

    def _topic(self, request: Request) -> Json | Response:
        topic = self.threads.get(request.path_params["topic"])
        if topic is None or topic.posts[0].gone:
            return _missing()
        standing = [p for p in topic.posts if not p.gone]
        raw = "include_raw" in request.query_params
        stream = {"posts": [self._shown(p, raw=raw) for p in standing[:20]], "stream": [p.id for p in standing]}
        return {"id": topic.id, "title": topic.title, "posts_count": _standing(topic), "post_stream": stream}

    def _topic_posts(self, request: Request) -> Json:
        wanted = {int(number) for number in request.query_params.getlist("post_ids[]")}
        raw = "include_raw" in request.query_params
        topic = self.threads[request.path_params["topic"]]
        return {"post_stream": {"posts": [self._shown(p, raw=raw) for p in topic.posts if p.id in wanted]}}

    def _by_number(self, request: Request) -> Json | Response:
        topic, number = self.threads.get(request.path_params["topic"]), request.path_params["number"]
        piece = next((p for p in topic.posts if p.number == number), None) if topic else None
        return self._shown(piece) if piece is not None and not piece.gone else _missing()

    def _one(self, request: Request) -> Json | Response:
        piece = self.pieces.get(request.path_params["post"])
        if piece is not None and piece.topic.secret:
            return _json({"errors": ["You are not permitted to view that."], "error_type": "invalid_access"}, 403)
        return self._shown(piece) if piece is not None and not piece.gone else _missing()

    async def _edit(self, request: Request) -> Json | Response:
        piece = self.pieces[request.path_params["post"]]
        if piece.by != OUR_ID:
            return _json({"errors": ["You are not permitted to do that."], "error_type": "invalid_access"}, 403)
        piece.raw, piece.updated = (await request.json())["post"]["raw"], self.now
        piece.version += 1
        return {"post": self._shown(piece)}

    def _delete(self, request: Request) -> Response:
        piece = self.pieces[request.path_params["post"]]
        if piece.by != OUR_ID or piece.number == 1:
            return _json({"errors": ["You are not permitted to do that."], "error_type": "invalid_access"}, 403)
        piece.gone = True
        return Response(status_code=200)

    def _delete_topic(self, request: Request) -> Response:
        self.threads[request.path_params["topic"]].posts[0].gone = True
        return Response(status_code=200)

    async def _create(self, request: Request) -> Json | Response:
        body = await request.json()
        mark = json.dumps(body, sort_keys=True)
        at, known = self.remembered.get(mark, (self.now, {}))
        if known and self.now - at < _MEMORY:
            return known
        if self.approves:
            return {"action": "enqueued", "success": True, "pending_post": {"id": 5, "raw": body["raw"]}}
        if not 5 <= len(body["raw"]) <= 32_000:
            return _json({"action": "create_post", "errors": ["Body is too short (minimum is 5 characters)"]}, 422)
        piece = self._placed(body)
        if piece is None:
            return _json({"action": "create_post", "errors": ["The topic was closed, or you cannot see it."]}, 422)
        piece.sent = True
        self.remembered[mark] = (self.now, self._shown(piece))
        return self._shown(piece)

    def _placed(self, body: Json) -> Piece | None:
        if body.get("archetype") == "private_message":
            people = {OUR_ID, *(n for n, name in self.names.items() if name == body["target_recipients"])}
            topic = Thread(next(self._topics), body["title"], self.now, None, (), message=True, people=people)
            self.threads[topic.id] = topic
            return self.write(topic, OUR_ID, body["raw"])
        found = self.threads.get(body["topic_id"])
        if found is None or found.closed or found.posts[0].gone:
            return None
        return self.write(found, OUR_ID, body["raw"], answers=body.get("reply_to_post_number"))

    async def _upload(self, request: Request) -> Json | Response:
        async with request.form() as form:
            content = await form["file"].read()  # type: ignore[union-attr]
        name = base64.b32encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode().lower() + ".png"
        self.files[name] = content
        return {"id": 1, "url": f"/uploads/{name}", "short_url": f"upload://{name}", "width": 2, "height": 1}

    def _user(self, request: Request) -> Json | Response:
        if request.path_params["name"] != US:
            return _missing()
        avatar = "/user_avatar/forum.example/us/{size}/1.png"
        return {"user": {"id": OUR_ID, "username": US, "name": "Northwind", "avatar_template": avatar}}

    def _shown(self, p: Piece, *, raw: bool = True) -> Json:
        if p.broken:
            return {"id": p.id, "cooked": "?"}
        told: Json = {
            "id": p.id, "name": None, "username": self.names[p.by], "user_id": p.by, "avatar_template": "/a/{size}.png",
            "created_at": _iso(p.at), "updated_at": _iso(p.updated or p.at), "cooked": f"<p>{_escaped(p.raw)}</p>",
            "post_number": p.number, "post_type": p.kind, "reply_to_post_number": p.answers, "version": p.version,
            "yours": p.by == OUR_ID, "topic_id": p.topic.id, "topic_slug": "where", "topic_title": p.topic.title,
            "category_id": p.topic.category, "deleted_at": None, "user_deleted": False, "hidden": False,
        }  # fmt: skip
        return told | p.more | ({"raw": p.raw} if raw else {})


def name_of(piece: Piece) -> str:
    """The name that the connector has to give it."""
    return f"{BASE}/t/{piece.topic.id}/{piece.number}"


def _standing(topic: Thread) -> int:
    return sum(not p.gone for p in topic.posts)


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _missing() -> Response:
    return _json({"errors": ["The requested URL or resource could not be found."], "error_type": "not_found"}, 404)


def _json(value: Any, status: int) -> Response:
    return Response(json.dumps(value), status, media_type="application/json")


VARIANTS: dict[str, Callable[[], FakeChannel]] = {
    "discourse-posts": FakeDiscourse,
    "discourse-tag": partial(FakeDiscourse, tag="tents"),
    "discourse-topics": partial(FakeDiscourse, Source.TOPICS),
    "discourse-unanswered": partial(FakeDiscourse, Source.UNANSWERED),
    "discourse-messages": partial(FakeDiscourse, Source.MESSAGES),
    "discourse-of-before-2026": partial(FakeDiscourse, windows=True),
}
