"""The simulated network as a web server: an API like any channel's, and a public page where our answers stand.

API (JSON; `Authorization: Bearer <token>`, `X-RateLimit-*` on every answer, 429 with `Retry-After`):

    GET  /api/me                         who we are
    GET  /api/inbox?after=&limit=        what concerns us, oldest first: {"me", "posts": [...], "last", "more"}
    GET  /api/posts/{id}/parents?limit=  the posts above one, the topmost first: {"me", "posts": [...]}; none if it is gone
    GET  /api/changes?after=             posts edited and deleted since: {"changes": [{"uri", "text" or null, "at"}], "last", "more"}
    POST /api/media                      a PNG or JPEG, its bytes: {"id"}
    POST /api/posts                      {"text", "in_reply_to", "visibility", "media": [{"id", "alt"}]} with an
                                         Idempotency-Key: {"post"}
    PUT /api/posts/{id}                  {"text"}: our post says this from now on: {"post"}; 404 where DELETE gives it, or once it is gone
    DELETE /api/posts/{id}               our post goes: {}; 404 for one that is not ours, or never was
    GET  /api/sent?key=                  our post with that Idempotency-Key: {"post" or null}
"""

import json
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from hmac import compare_digest
from pathlib import Path
from typing import Any

import regex
from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from app.demo.ledger import Memory
from app.demo.people import US, Person, person
from app.demo.pictures import face, picture
from app.demo.posts import NetPost, conversations
from app.demo.world import Gone, Pace, World

TITLE = "Townsquare"
LIMIT = 500  # graphemes of a post
PAGE = 40  # posts in one page of the inbox, at most
_CALLS = 600  # allowed in `_WINDOW`
_WINDOW = timedelta(minutes=5)
_SHOWN = 60  # conversations on the public page
_LONGEST_BODY = 100_000
_LARGEST_PICTURE = 2_000_000
_MOST_PICTURES = 4
_KINDS = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg"}

_pages = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)


class Network:
    """One network: its ledger, its world, its clock."""

    def __init__(self, ledger: Memory, clock: Callable[[], datetime], pace: Pace | None = None) -> None:
        """Wake the world that the ledger remembers."""
        self.ledger = ledger
        self.clock = clock
        self.world = World(ledger.identity.seed, ledger.rows, pace)
        self.calls: deque[datetime] = deque()
        self.app = Starlette(
            routes=[
                Route("/", self.page),
                Route("/posts/{number:int}", self.one_thread),
                Route("/faces/{handle}.png", self.face),
                Route("/pictures/{name}.png", self.picture),
                Route("/ours/{name}", self.ours),
                Route("/api/media", self.keep_picture, methods=["POST"]),
                Route("/api/me", self.me),
                Route("/api/inbox", self.inbox),
                Route("/api/changes", self.changes),
                Route("/api/posts", self.take, methods=["POST"]),
                Route("/api/posts/{number:int}", self.rewrite, methods=["PUT"]),
                Route("/api/posts/{number:int}/parents", self.parents),
                Route("/api/posts/{number:int}", self.take_down, methods=["DELETE"]),
                Route("/api/sent", self.sent),
            ],
            exception_handlers={HTTPException: _as_json},
        )

    def tick(self) -> None:
        """Let the customers do what is due, and write it down."""
        self.ledger.append(self.world.advance(self.clock()))

    # -- the API

    async def me(self, request: Request) -> Response:
        """Who we are."""
        return self._answer(request, lambda: _person(request, US))

    async def inbox(self, request: Request) -> Response:
        """What concerns us, oldest first."""
        after, limit = _number(request, "after", 0), min(_number(request, "limit", PAGE), PAGE)

        def read() -> dict[str, Any]:
            posts, more = self.world.since(after, max(limit, 1))
            last = posts[-1].id if posts else after
            shown = [self.shown(request, post) for post in posts]
            return {"me": US.handle, "posts": shown, "last": last, "more": more}

        return self._answer(request, read)

    async def changes(self, request: Request) -> Response:
        """What became of posts later, oldest change first; a text that is null says that the post is gone."""
        after = _number(request, "after", 0)

        def read() -> dict[str, Any]:
            found, more = self.world.changed_since(after, PAGE)
            told = [{"uri": self.uri(one.post), "text": one.text, "at": one.at.isoformat()} for one in found]
            return {"changes": told, "last": found[-1].number if found else after, "more": more}

        return self._answer(request, read)

    async def parents(self, request: Request) -> Response:
        """What stands above a post, the topmost first: the nearest `limit` of it."""
        limit = max(_number(request, "limit", PAGE), 1)

        def read() -> dict[str, Any]:
            chain = self.world.above(request.path_params["number"])[-limit:]
            return {"me": US.handle, "posts": [self.shown(request, post) for post in chain]}

        return self._answer(request, read)

    async def sent(self, request: Request) -> Response:
        """Our post with that key, or null."""
        key = request.query_params.get("key", "")

        def read() -> dict[str, Any]:
            post = self.world.posts.get(self.world.by_key.get(key, 0))
            return {"post": self.shown(request, post) if post else None}

        return self._answer(request, read)

    async def take(self, request: Request) -> Response:
        """Take a post of ours, once for each Idempotency-Key."""
        asked = await _body(request)
        key = request.headers.get("idempotency-key", "")

        def write() -> dict[str, Any]:
            text, parent = _acceptable(asked)
            direct = asked.get("visibility") == "direct"
            media = self._known_pictures(asked.get("media", []))
            try:
                post, rows = self.world.reply(self.clock(), key, text, parent, direct=direct, media=media)
            except (Gone, KeyError) as error:
                raise HTTPException(404, "The post that you answer is gone.") from error
            self.ledger.append(rows)
            return {"post": self.shown(request, post)}

        return self._answer(request, write)

    async def rewrite(self, request: Request) -> Response:
        """Change what a post of ours says; the same again changes nothing."""
        number, asked = request.path_params["number"], await _body(request)

        def write() -> dict[str, Any]:
            text = _sayable(asked)
            if number not in self.world.ours or number not in self.world.posts:
                raise HTTPException(404, "You have no such post.")
            if self.world.posts[number].text != text:
                self.ledger.append(self.world.edit(number, text, self.clock()))
            return {"post": self.shown(request, self.world.posts[number])}

        return self._answer(request, write)

    async def take_down(self, request: Request) -> Response:
        """Delete a post of ours, as often as it is asked."""
        number = request.path_params["number"]

        def write() -> dict[str, Any]:
            if number not in self.world.ours:
                raise HTTPException(404, "You have no such post.")
            if number in self.world.posts:
                self.ledger.append(self.world.remove(number, self.clock()))
            return {}

        return self._answer(request, write)

    async def keep_picture(self, request: Request) -> Response:
        """Take a picture that a post of ours will carry."""
        content = await request.body()

        def write() -> dict[str, Any]:
            if len(content) > _LARGEST_PICTURE or _kind_of(content) is None:
                raise HTTPException(422, "A picture is a PNG or a JPEG of at most 2 MB.")
            name, rows = self.world.keep_picture(content)
            self.ledger.append(rows)
            return {"id": name}

        return self._answer(request, write)

    def _known_pictures(self, asked: Any) -> tuple[tuple[str, str], ...]:
        """The pictures that a post names, or 422."""
        try:
            named = tuple((str(one["id"]), str(one.get("alt", ""))) for one in asked)
        except (TypeError, KeyError, AttributeError):
            named = (("", ""),)
        if len(named) > _MOST_PICTURES or any(name not in self.world.pictures for name, _ in named):
            raise HTTPException(422, "media names up to four pictures that were brought before.")
        return named

    def _answer(self, request: Request, make: Callable[[], dict[str, Any]]) -> Response:
        """Who asks, how often, and then the answer."""
        _, _, token = request.headers.get("authorization", "").partition(" ")
        if not compare_digest(token.encode(), self.ledger.identity.token.encode()):
            raise HTTPException(401, "The token is not known here.")
        now = self.clock()
        while self.calls and self.calls[0] <= now - _WINDOW:
            self.calls.popleft()
        if len(self.calls) >= _CALLS:
            wait = str(int((self.calls[0] + _WINDOW - now).total_seconds()) + 1)
            raise HTTPException(429, "Too many requests.", {"retry-after": wait, **self._allowance(now)})
        self.calls.append(now)
        return JSONResponse(make(), headers=self._allowance(now))

    def _allowance(self, now: datetime) -> dict[str, str]:
        resets = (self.calls[0] if self.calls else now) + _WINDOW
        left = _CALLS - len(self.calls)
        return {
            "x-ratelimit-limit": str(_CALLS),
            "x-ratelimit-remaining": str(left),
            "x-ratelimit-reset": resets.isoformat(),
        }

    def uri(self, number: int) -> str:
        """The id of a post, which no other network has."""
        return f"tag:townsquare.invalid,2026:{self.ledger.identity.network}/{number}"

    def shown(self, request: Request, post: NetPost) -> dict[str, Any]:
        """A post as the API gives it."""
        base = str(request.base_url)
        media = [{"url": f"{base}pictures/{post.picture}.png", "alt": post.alt}] if post.picture else []
        media += [{"url": f"{base}ours/{name}", "alt": alt} for name, alt in post.media]
        return {
            "id": post.id,
            "uri": self.uri(post.id),
            "url": None if post.direct else f"{base}posts/{post.id}",
            "thread": self.uri(post.thread),
            "in_reply_to": self.uri(post.in_reply_to) if post.in_reply_to else None,
            "author": _person(request, person(post.handle)),
            "text": post.text,
            "language": post.language or None,
            "visibility": "direct" if post.direct else "public",
            "mentions_us": f"@{US.handle}" in post.text,
            "created_at": post.at.isoformat(),
            "media": media,
        }

    # -- the public face

    async def page(self, request: Request) -> Response:
        """The newest conversations that everybody may read."""
        public = (post for post in self.world.posts.values() if not post.direct)
        return _page(conversations(public, _SHOWN))

    async def one_thread(self, request: Request) -> Response:
        """The conversation that a post stands in."""
        post = self.world.posts.get(request.path_params["number"])
        if post is None or post.direct:
            raise HTTPException(404, "There is no such post.")
        standing = [one for one in self.world.posts.values() if one.thread == post.thread and not one.direct]
        return _page([standing])

    async def face(self, request: Request) -> Response:
        """Somebody's picture."""
        return _png(face(request.path_params["handle"]))

    async def ours(self, request: Request) -> Response:
        """A picture that we sent."""
        content = self.world.pictures.get(request.path_params["name"], b"")
        kind = _kind_of(content)
        if kind is None:
            raise HTTPException(404, "There is no such picture.")
        return Response(content, media_type=kind, headers={"cache-control": "public, max-age=86400"})

    async def picture(self, request: Request) -> Response:
        """What somebody photographed."""
        try:
            return _png(picture(request.path_params["name"]))
        except KeyError as error:
            raise HTTPException(404, "There is no such picture.") from error


async def _as_json(_: Request, error: Exception) -> Response:
    status, words, headers = (
        (error.status_code, error.detail, error.headers) if isinstance(error, HTTPException) else (500, "", None)
    )
    return JSONResponse({"error": words}, status, headers=dict(headers or {}))


def _kind_of(content: bytes) -> str | None:
    return next((kind for magic, kind in _KINDS.items() if content.startswith(magic)), None)


def _number(request: Request, name: str, default: int) -> int:
    given = request.query_params.get(name, "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 16 else default  # noqa: PLR2004 - digits


async def _body(request: Request) -> dict[str, Any]:
    body = await request.body()
    try:
        asked = json.loads(body) if len(body) <= _LONGEST_BODY else None
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise HTTPException(400, "Send one JSON object of at most 100 kB.")
    return asked


def _acceptable(asked: dict[str, Any]) -> tuple[str, int]:
    """The text and the number of the post that is answered, or 422."""
    text, parent = _sayable(asked), asked.get("in_reply_to")
    if not isinstance(parent, int):
        raise HTTPException(422, "in_reply_to is the number of a post.")
    return text, parent


def _sayable(asked: dict[str, Any]) -> str:
    """The text of a post, or 422."""
    text = asked.get("text")
    if not isinstance(text, str) or not text.strip():
        raise HTTPException(422, "A post needs a text.")
    length = len(regex.findall(r"\X", text))
    if length > LIMIT:
        raise HTTPException(422, f"The text has {length} characters; {LIMIT} are allowed.")
    return text


def _person(request: Request, who: Person) -> dict[str, Any]:
    base = str(request.base_url)
    return {
        "id": who.handle,
        "handle": who.handle,
        "name": who.name,
        "followers": who.followers,
        "url": f"{base}#{who.handle}",
        "avatar": f"{base}faces/{who.handle}.png",
    }


def _page(threads: list[list[NetPost]]) -> Response:
    template = _pages.get_template("page.html")
    shown = template.render(title=TITLE, us=US, threads=threads, name=lambda handle: person(handle).name)
    policy = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'"
    return HTMLResponse(shown, headers={"content-security-policy": policy})


def _png(content: bytes) -> Response:
    return Response(content, media_type="image/png", headers={"cache-control": "public, max-age=86400"})
