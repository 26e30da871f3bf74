"""A channel made for tests, in three makes: one that drops repeats by their key, one whose ledger can be read, a blind one.

The connectors speak HTTP like any other; `Parcels` is the world behind it, and `FakeParcels` puts it behind the wire.
"""

import base64
import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

import httpx
import pytest
from pydantic import Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from app.connectors import registry
from app.connectors.base import (
    Batch,
    Budget,
    Capabilities,
    Connector,
    IncomingAuthor,
    IncomingPost,
    Json,
    Link,
    OutgoingReply,
    Picture,
    Pictures,
    PostKind,
    Rejected,
    Sent,
    SettingsModel,
    Visibility,
)
from app.connectors.testing.fake import FakeChannel, Standing
from app.connectors.wire import reaching, refusal, uploading
from app.errors import Malformed, Refused

LIMIT = 200  # characters of a reply
URL = "http://parcels.example"
PICTURES = Pictures(most=4, bytes=100_000, pixels=1_000_000, alt=200)


class ParcelSettings(SettingsModel):
    url: str = Field(title="Address")


class Keyed(Connector):
    """Sends under the reply's key; a repeat is answered with what stands already."""

    name: ClassVar[str] = "parcels-keyed"
    title: ClassVar[str] = "Parcels, keyed"
    capabilities: ClassVar[Capabilities] = Capabilities(
        reply=True, threads=True, idempotent=True, length_limit=LIMIT, pictures=PICTURES
    )
    Settings: ClassVar[type[SettingsModel]] = ParcelSettings

    async def fetch(self, link: Link, cursor: Json) -> Batch:
        said = await _call(link, "GET", f"/posts?after={cursor.get('after', 0)}")
        read = [_read(raw) for raw in said["posts"]]
        return Batch(
            posts=tuple(one for one in read if isinstance(one, IncomingPost)),
            rejected=tuple(one for one in read if isinstance(one, Rejected)),
            cursor={"after": said["last"]},
            more=said["more"],
            budget=_budget(said),
            notice=said.get("notice", ""),
        )

    def prepare(self, link: Link, reply: OutgoingReply) -> Json:
        if "too rude" in reply.text:
            raise Refused("Parcels does not carry this. Write it politely.")
        return {"text": reply.text, "in_reply_to": reply.to["id"], "seal": secrets.token_hex(8)}

    async def send(self, link: Link, reply: OutgoingReply) -> Sent:
        named: Json = {"key": reply.key} if self.capabilities.idempotent else {}
        with uploading():
            brought = [await _bring(link, picture) for picture in reply.pictures]
        return _sent(
            await _call(link, "POST", "/replies", reply.prepared | named | ({"pictures": brought} if brought else {}))
        )


class Listed(Keyed):
    """Knows no keys, but its ledger can be read."""

    name: ClassVar[str] = "parcels-listed"
    capabilities: ClassVar[Capabilities] = Capabilities(
        reply=True, threads=True, find_sent=True, length_limit=LIMIT, pictures=PICTURES
    )

    async def find_sent(self, link: Link, reply: OutgoingReply) -> Sent | None:
        said = await _call(link, "GET", f"/replies?in_reply_to={reply.to['id']}")
        mine = [entry for entry in said["replies"] if entry["text"] == reply.prepared["text"]]
        return _sent(mine[0]) if mine else None


class Blind(Keyed):
    """Knows no keys and shows nothing."""

    name: ClassVar[str] = "parcels-blind"
    capabilities: ClassVar[Capabilities] = Capabilities(reply=True, threads=True, length_limit=LIMIT, pictures=PICTURES)


CONNECTORS = {one.name: f"tests.parcels:{one.__name__}" for one in (Keyed, Listed, Blind)}


def register(patch: pytest.MonkeyPatch) -> None:
    """Make the three connectors known."""
    for name, where in CONNECTORS.items():
        patch.setitem(registry.BUILT_IN, name, where)


async def _bring(link: Link, picture: Picture) -> str:
    said = await _call(link, "POST", "/pictures", {"content": base64.b64encode(picture.content).decode()})
    return str(said["id"])


async def _call(link: Link, method: str, path: str, body: Json | None = None) -> Json:
    with reaching("Parcels", sending=method == "POST"):
        response = await link.http.request(method, link.settings.url + path, json=body)
    if response.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
        raise Refused("Parcels refuses: the post is gone.")
    error = refusal(response, "Parcels", link.now)
    if error is not None:
        raise error
    try:
        said = json.loads(response.content)
    except ValueError as wrong:
        raise Malformed("Parcels answered with something that is no JSON. Check its address.") from wrong
    return dict(said)


def _read(raw: Json) -> IncomingPost | Rejected:
    if "text" not in raw:
        return Rejected(raw["id"], "It has no text.", raw)
    author = raw.get("by", "ada")
    return IncomingPost(
        external_id=raw["id"],
        thread_id=str(raw.get("thread", raw["id"])),
        author=IncomingAuthor(author, author, author.title(), followers=raw.get("followers")),
        text=raw["text"],
        posted_at=datetime.now(UTC),
        kind=PostKind.MENTION,
        ref={"id": raw["id"]},
        payload=raw,
    )


def _sent(said: Json) -> Sent:
    return Sent(external_id=said["id"], url=f"{URL}/r/{said['id']}", budget=_budget(said))


def _budget(said: Json) -> Budget | None:
    told = said.get("budget")
    return Budget(told["remaining"], told["limit"], datetime.fromisoformat(told["resets_at"])) if told else None


@dataclass
class Parcels:
    """The world: posts that wait to be fetched, and the ledger of replies that stand."""

    keyed: bool = True
    page: int = 20
    posts: list[Json] = field(default_factory=list)
    ledger: list[Json] = field(default_factory=list)
    extra: Json = field(default_factory=dict)  # more fields of every answer
    pictures: dict[str, str] = field(default_factory=dict)  # brought, by id
    gone: set[str] = field(default_factory=set)  # posts that cannot be answered any more

    def write(self, text: str | None, **more: Any) -> str:
        """A stranger writes; no text: something that cannot be read."""
        name = more.pop("id", f"p{len(self.posts) + 1}")
        self.posts.append({"id": name, **({} if text is None else {"text": text}), **more})
        return str(name)

    def fetched(self, after: int) -> Json:
        shown = self.posts[after : after + self.page]
        last = after + len(shown)
        return {"posts": shown, "last": last, "more": last < len(self.posts), **self.extra}

    def bring(self, body: Json) -> Json:
        """A picture comes; each time it is another one."""
        name = f"i{len(self.pictures) + 1}"
        self.pictures[name] = body["content"]
        return {"id": name}

    def take(self, body: Json) -> Json | None:
        """A reply comes; None when its post is gone."""
        if body["in_reply_to"] in self.gone:
            return None
        known = [entry for entry in self.ledger if self.keyed and entry["key"] == body.get("key")]
        if not known:
            entry = {"id": f"r{len(self.ledger) + 1}", "key": None, **body}
            self.ledger.append(entry)
            known = [entry]
        return known[0] | self.extra

    def under(self, parent: str) -> Json:
        return {"replies": [entry for entry in self.ledger if entry["in_reply_to"] == parent]}


class FakeParcels(FakeChannel):
    """The world behind the wire, where trouble can be planned."""

    connector: ClassVar[Connector] = Keyed()

    def __init__(self, channel: str = "parcels-keyed") -> None:
        super().__init__()
        self.channel = channel
        self.world = Parcels(keyed=channel == "parcels-keyed")

    @property
    def app(self) -> ASGIApp:
        return Starlette(
            routes=[
                Route("/posts", self._posts),
                Route("/replies", self._replies, methods=["GET"]),
                Route("/replies", self._take, methods=["POST"]),
                Route("/pictures", self._bring, methods=["POST"]),
            ]
        )

    async def _posts(self, request: Request) -> Response:
        return JSONResponse(self.world.fetched(int(request.query_params["after"])))

    async def _replies(self, request: Request) -> Response:
        return JSONResponse(self.world.under(request.query_params["in_reply_to"]))

    async def _take(self, request: Request) -> Response:
        taken = self.world.take(await request.json())
        return JSONResponse(taken) if taken else JSONResponse({"error": "gone"}, 422)

    async def _bring(self, request: Request) -> Response:
        return JSONResponse(self.world.bring(await request.json()))

    def settings(self) -> ParcelSettings:
        return ParcelSettings(url=URL)

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        return self.world.write(text, by=by, **({"thread": under} if under else {}))

    def ledger(self) -> list[Standing]:
        return [
            Standing(entry["id"], entry["text"], entry["in_reply_to"], Visibility.PUBLIC) for entry in self.world.ledger
        ]

    def is_send(self, request: httpx.Request) -> bool:
        return request.method == "POST" and request.url.path == "/replies"

    def limited(self) -> httpx.Response:
        return httpx.Response(429, headers={"retry-after": f"{self.rate_wait.total_seconds():.0f}"})
