"""Reddit's API as far as the connector meets it: listings by `after`, refusals with status 200, [deleted], allowances."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any

import httpx
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from app.connectors import registry
from app.connectors.base import IncomingAuthor, Json, SettingsModel, Visibility
from app.connectors.reddit import RedditCredentials, RedditSettings, Source
from app.connectors.testing.fake import FakeChannel, Standing

TOKEN, US, SUB = "secret-token", "northwindhelp", "ultralight"
PASSWORD = "secret-password"
CAP = 1000  # entries that a listing holds


@dataclass(slots=True)
class Piece:
    """A post (t3), comment (t1) or message (t4) in the model."""

    name: str
    by: str
    text: str
    at: datetime
    parent: str | None = None
    root: str = ""
    to_us: bool = False  # whether it is in our inbox
    edited: datetime | None = None
    gone: bool = False
    broken: bool = False


class FakeReddit(FakeChannel):
    """The model and its surface. `source` says which feed this variant is."""

    connector = registry.get("reddit")
    page_size = 10  # Reddit may give less than was asked for

    def __init__(self, source: Source = Source.INBOX) -> None:
        super().__init__()
        self.source = source
        self.shows_direct = source is Source.INBOX
        self.shows_own = source in {Source.SUBREDDIT, Source.COMMENTS}
        if source in {Source.SUBREDDIT, Source.SEARCH}:
            self.cannot = frozenset({"threads"})  # their lists hold posts, and no answers to them
        self.pieces: dict[str, Piece] = {}
        self.script = False
        self.token = TOKEN
        self.calls = 0
        self.locked: set[str] = set()
        self._numbers = count(36**3)

    @property
    def app(self) -> ASGIApp:
        routes: list[tuple[str, str, Callable[[Request], Any]]] = [
            ("GET", "/api/v1/me", lambda _: {"name": US, "id": "abc"}),
            ("GET", "/message/inbox", lambda r: self._listing(r, [p for p in self.pieces.values() if p.to_us])),
            ("GET", "/message/mentions", lambda r: self._listing(r, [p for p in self.pieces.values() if p.to_us])),
            ("GET", "/message/sent", lambda r: self._listing(r, self._mine("t4"))),
            ("GET", f"/user/{US}/comments", lambda r: self._listing(r, self._mine("t1"))),
            ("GET", f"/r/{SUB}/new", lambda r: self._listing(r, self._of("t3"))),
            ("GET", f"/r/{SUB}/comments", lambda r: self._listing(r, self._of("t1"))),
            ("GET", "/search", lambda r: self._listing(r, self._of("t3"))),
            ("GET", "/api/info", self._info),
            ("POST", "/api/comment", self._comment),
            ("POST", "/api/del", self._delete),
        ]
        made = [Route(path, partial(self._answer, run), methods=[method]) for method, path, run in routes]
        return Starlette(routes=[*made, Route("/api/v1/access_token", self._sign_in, methods=["POST"])])

    def settings(self) -> SettingsModel:
        sub = SUB if self.source in {Source.SUBREDDIT, Source.COMMENTS} else ""
        return RedditSettings(source=self.source, subreddit=sub, value="northwind")

    def credentials(self) -> SettingsModel:
        more: Json = {"password": SecretStr(PASSWORD)} if self.script else {"access_token": SecretStr(TOKEN)}
        return RedditCredentials(client_id="northwind", client_secret=SecretStr("secret-client"), username=US, **more)

    def account(self) -> IncomingAuthor:
        return IncomingAuthor(US, US)

    # -- what happens there

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        if direct:
            return self.piece("t4", by, text, to_us=True).name
        comments = self.source in {Source.INBOX, Source.MENTIONS, Source.COMMENTS}
        if not comments and under is None:
            return self.piece("t3", by, text).name
        root = self.pieces[under].root if under else f"t3_own{by}"
        kind = "t1" if comments else "t3"
        return self.piece(kind, by, text, parent=under or root, root=root, to_us=True).name

    def arrive_broken(self) -> None:
        self.pieces[self.arrive("northwind")].broken = True

    def arrive_own(self, text: str) -> str:
        kind = "t3" if self.source is Source.SUBREDDIT else "t1"
        return self.piece(kind, US, text, parent="t3_x" if kind == "t1" else None, root="t3_x").name

    def piece(self, kind: str, by: str, text: str, **more: Any) -> Piece:
        """Somebody writes."""
        made = Piece(f"{kind}_{next(self._numbers):x}", by, text, self.now, **more)
        made.root = made.root or made.name
        self.pieces[made.name] = made
        self.tick()
        return made

    def remove(self, external_id: str) -> None:
        self.pieces[external_id].gone = True

    def rewrite(self, external_id: str, text: str) -> None:
        self.pieces[external_id].text, self.pieces[external_id].edited = text, self.tick()

    def ledger(self) -> list[Standing]:
        return [
            Standing(p.name, p.text, p.parent, Visibility.DIRECT if p.name.startswith("t4") else Visibility.PUBLIC)
            for p in self.pieces.values()
            if p.by == US and p.parent and not p.gone
        ]

    def is_send(self, request: httpx.Request) -> bool:
        return request.url.path in {"/api/comment", "/api/del"}

    def limited(self) -> httpx.Response:
        headers = {"x-ratelimit-used": "1000", "x-ratelimit-remaining": "0.0",
                   "x-ratelimit-reset": str(int(self.rate_wait.total_seconds()))}  # fmt: skip
        return httpx.Response(429, headers=headers, json={"message": "Too Many Requests", "error": 429})

    def expired(self) -> httpx.Response:
        return httpx.Response(401, json={"message": "Unauthorized", "error": 401})

    # -- the surface

    async def _answer(self, run: Callable[[Request], Any], request: Request) -> Response:
        assert request.headers["user-agent"] == f"web:careline:1.0 (by /u/{US})"
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return _json({"message": "Unauthorized", "error": 401}, 401)
        self.calls += 1
        found = run(request)
        value = await found if isinstance(found, Awaitable) else found
        headers = {"x-ratelimit-used": str(self.calls), "x-ratelimit-remaining": f"{1000 - self.calls}.0",
                   "x-ratelimit-reset": "300"}  # fmt: skip
        return _json(value, 200, headers)

    async def _sign_in(self, request: Request) -> Response:
        form = await request.form()
        assert request.headers["authorization"].startswith("Basic ")
        if form.get("grant_type") != "password" or form.get("password") != PASSWORD:
            return _json({"error": "invalid_grant"}, 200)
        self.token = f"secret-{next(self._numbers)}"
        return _json({"access_token": self.token, "token_type": "bearer", "expires_in": 86400, "scope": "*"}, 200)

    def _listing(self, request: Request, found: list[Piece]) -> Json:
        """Newest first. What its author deleted is not listed; `after` goes on below an entry."""
        asked = request.query_params
        ordered = sorted(found, key=lambda p: int(p.name[3:], 16), reverse=True)[:CAP]
        if "after" in asked:
            ordered = [p for p in ordered if int(p.name[3:], 16) < int(asked["after"][3:], 16)]
        shown = [p for p in ordered if not p.gone]
        page = shown[: min(int(asked.get("limit", "25")), self.page_size)]
        after = page[-1].name if page and len(shown) > len(page) else None
        return {"kind": "Listing", "data": {"after": after, "before": None, "children": [_shown(p) for p in page]}}

    def _info(self, request: Request) -> Json:
        names = request.query_params["id"].split(",")
        assert len(names) <= 100
        found = [_shown(self.pieces[name]) for name in names if name in self.pieces]
        return {"kind": "Listing", "data": {"after": None, "before": None, "children": found}}

    async def _comment(self, request: Request) -> Json:
        form = await request.form()
        parent, text = self.pieces.get(str(form["thing_id"])), str(form["text"])
        if parent is None or parent.gone:
            return _refused("DELETED_COMMENT", "that comment has been deleted", "parent")
        if parent.name in self.locked:
            return {"json": {"ratelimit": 371.0, "errors": [["RATELIMIT", "Take a break for 6 minutes.", "ratelimit"]]}}
        if len(text) > 10_000:
            return _refused("TOO_LONG", "this is too long (max: 10000)", "text")
        kind = "t4" if parent.name.startswith("t4") else "t1"
        made = Piece(f"{kind}_{next(self._numbers):x}", US, text, self.now, parent.name, parent.root)
        self.pieces[made.name] = made
        return {"json": {"errors": [], "data": {"things": [_shown(made)]}}}

    async def _delete(self, request: Request) -> Json:
        piece = self.pieces.get(str((await request.form())["id"]))
        if piece is not None and piece.by == US:
            piece.gone = True
        return {}

    def _mine(self, kind: str) -> list[Piece]:
        return [p for p in self.pieces.values() if p.by == US and p.name.startswith(kind)]

    def _of(self, kind: str) -> list[Piece]:
        return [p for p in self.pieces.values() if p.name.startswith(kind)]


def _shown(p: Piece) -> Json:
    if p.broken:
        return {"kind": p.name[:2], "data": {"name": p.name, "created_utc": "some day"}}
    text, author = ("[deleted]", "[deleted]") if p.gone else (p.text, p.by)
    where = f"/r/{SUB}/comments/{p.root[3:]}/title/{p.name[3:]}/"
    data: Json = {"name": p.name, "id": p.name[3:], "author": author, "created_utc": p.at.timestamp()}
    data |= {"edited": p.edited.timestamp() if p.edited else False, "parent_id": p.parent}
    if p.name.startswith("t3"):
        data |= {
            "title": "A question",
            "selftext": text,
            "is_self": True,
            "permalink": f"/r/{SUB}/comments/{p.name[3:]}/x/",
        }
        data |= {"url": f"https://www.reddit.com/r/{SUB}/comments/{p.name[3:]}/x/", "link_id": p.root}
    elif p.name.startswith("t1"):
        data |= {"body": text, "context": f"{where}?context=3", "was_comment": True, "type": "comment_reply"}
        data |= {"subject": "comment reply", "link_title": "Our tents"}
    else:
        data |= {"body": text, "subject": "My order", "was_comment": False, "dest": US}
        data |= {"first_message_name": p.root if p.root != p.name else None}
    return {"kind": p.name[:2], "data": data}


def _refused(code: str, words: str, where: str) -> Json:
    return {"json": {"errors": [[code, words, where]]}}


def _json(value: Any, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(value), status, headers, media_type="application/json")


VARIANTS: dict[str, Callable[[], FakeChannel]] = {
    "reddit-inbox": FakeReddit,
    "reddit-mentions": partial(FakeReddit, Source.MENTIONS),
    "reddit-comments": partial(FakeReddit, Source.COMMENTS),
    "reddit-subreddit": partial(FakeReddit, Source.SUBREDDIT),
    "reddit-search": partial(FakeReddit, Source.SEARCH),
}
