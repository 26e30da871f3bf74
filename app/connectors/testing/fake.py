"""What a fake server is: an in-memory model of a channel's world behind a real HTTP surface.

The surface is an ASGI application, so that it can stand behind `httpx.ASGITransport` in tests and behind uvicorn where
real processes talk to it. `Wire` sits between the connector's client and the application and makes trouble on request.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias

import httpx

from app.connectors.base import Connector, IncomingAuthor, IncomingPost, Link, SettingsModel, Visibility
from app.connectors.testing.gives import Gives

Message: TypeAlias = MutableMapping[str, Any]
Surface: TypeAlias = Callable[  # an ASGI application
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
FOREVER = 10_000


class Trouble(StrEnum):
    """What can go wrong on the way to a channel and back."""

    RATE_LIMITED = "rate limited"  # the channel's own answer, with its own headers
    EXPIRED = "expired"  # the channel's own refusal of our credentials
    DOWN = "down"  # 503 with a page of HTML
    HTML = "html"  # 200, but a login page of some proxy
    NULL = "null"  # 200 and JSON, but of no shape that was ever promised
    TRUNCATED = "truncated"  # 200, the body cut in the middle
    NO_CONNECTION = "no connection"  # nothing left us
    RESET = "reset"  # the request left, the channel did nothing, the connection broke
    SLOW = "slow"  # the request left, the channel did nothing, no answer in time
    ANSWER_LOST = "answer lost"  # the channel did what we asked, its answer never arrived


@dataclass(frozen=True, slots=True)
class Standing:
    """One reply of ours that stands on the channel."""

    external_id: str
    text: str
    parent: str | None  # external_id of the post it answers
    visibility: Visibility = Visibility.PUBLIC
    pictures: tuple[tuple[str, bytes], ...] = ()  # each with its alternative text


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of a pushing channel."""

    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class _Planned:
    kind: Trouble
    times: int
    after: int
    sends_only: bool


class FakeChannel(ABC):
    """A channel's world. The clock stands still unless `tick` is called; every arrival takes a second."""

    connector: ClassVar[Connector]
    page_size: int = 20  # posts in one page of the channel's answers
    window: int | None = None  # how many posts the channel shows at most (an RSS document); None: all
    shows_own: bool = False  # whether this variant's feed can show what our own account wrote
    shows_direct: bool = True  # whether it can show direct messages (where the channel has them)
    lenient: bool = False  # a format that is still readable when it is cut (XML feeds)
    down_status: int = 503  # of Trouble.DOWN
    rate_wait: timedelta = timedelta(seconds=137)  # what the channel asks for when it limits us
    cannot: frozenset[str] = frozenset()  # what this variant lacks of its connector's abilities (see `conformance`)
    cannot_give: Mapping[Gives, str] = {}  # what the channel cannot give, and why: a sentence without its subject
    any_answer: bool = False  # whoever takes replies may answer anything: the status says enough (a webhook)
    tells_changes: bool = False  # edits and deletions come by themselves, as changes of a batch
    broken_arrivals: bool = True  # whether an unreadable entry can be among readable ones

    def __init__(self) -> None:
        """An empty world at START."""
        self.now = START
        self.requests: list[httpx.Request] = []
        self.kept: list[SettingsModel] = []  # refreshed credentials, newest last
        self.unknown_fields = False
        self.between_requests: Callable[[], None] | None = None
        self._planned: list[_Planned] = []

    def close(self) -> None:
        """End this world. Override to give back what it holds outside memory; the suite calls it after each check."""
        self.calm()

    # -- how to reach it

    @property
    @abstractmethod
    def app(self) -> Surface:
        """The HTTP surface."""

    @abstractmethod
    def settings(self) -> SettingsModel:
        """A feed's settings for this variant."""

    def credentials(self) -> SettingsModel | None:
        """Valid credentials, for a channel with accounts."""
        return None

    def account(self) -> IncomingAuthor | None:
        """Who we are there."""
        return None

    def link(self, **changes: Any) -> Link:
        """What the connector is given: a client whose every request goes over the wire to this world."""

        async def keep(credentials: SettingsModel) -> None:
            self.kept.append(credentials)

        @asynccontextmanager
        async def turn() -> AsyncIterator[Any]:
            yield self.kept[-1] if self.kept else self.credentials()

        parts: dict[str, Any] = {
            "settings": self.settings(),
            "credentials": self.kept[-1] if self.kept else self.credentials(),
            "http": httpx.AsyncClient(transport=Wire(self)),
            "now": self.now,
            "keep": keep,
            "account": self.account(),
            "take_turn": turn,
        }
        return Link(**(parts | changes))

    # -- what happens there

    @abstractmethod
    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        """A stranger writes something that this variant's feed must bring, perhaps under the post `under`.

        Returns the external_id that the connector has to give it. Advances the clock by a second.
        """

    def arrive_broken(self) -> None:
        """Something arrives that no connector can read as a post."""
        raise NotImplementedError

    def aside(self, text: str, *, by: str = "bob", under: str | None = None) -> str:
        """A stranger writes something that this variant's feed does not bring: it is not about us.

        Returns the external_id under which it stands above others. Needs a channel whose threads can be fetched upward.
        """
        raise NotImplementedError

    def arrive_own(self, text: str) -> str:
        """Our own account writes something that this variant's feed shows. Needs `shows_own`."""
        raise NotImplementedError

    def remove(self, external_id: str) -> None:
        """The author deletes a post."""
        raise NotImplementedError

    def rename(self, by: str) -> None:
        """A stranger takes another handle, on a channel where one can."""
        raise NotImplementedError

    def rewrite(self, external_id: str, text: str) -> None:
        """The author changes what a post says, on a channel where one can."""
        raise NotImplementedError

    def ledger(self) -> list[Standing]:
        """Our replies that stand on the channel now, oldest first."""
        return []

    def is_send(self, request: httpx.Request) -> bool:
        """Whether this request would make a reply stand."""
        return False

    def tick(self, by: timedelta = timedelta(seconds=1)) -> datetime:
        """Let time pass."""
        self.now += by
        return self.now

    # -- the channel's own way to say no

    @abstractmethod
    def limited(self) -> httpx.Response:
        """The answer to too many requests, asking for `rate_wait`."""

    def expired(self) -> httpx.Response:
        """The answer to credentials that are refused or have expired."""
        return httpx.Response(401, json={"error": "unauthorized"})

    # -- pushing channels

    def signed(self, body: bytes) -> Delivery:
        """This body as the channel would deliver it: signed, now."""
        raise NotImplementedError

    def delivery(self, *texts: str, broken: int = 0) -> Delivery:
        """One signed delivery with a post for each text and `broken` entries that cannot be read."""
        raise NotImplementedError

    def deliveries(self, *texts: str, broken: int = 0) -> list[Delivery]:
        """The same in as many deliveries as the channel needs for them."""
        return [self.delivery(*texts, broken=broken)]

    def elsewhere(self) -> tuple[SettingsModel, ...]:
        """Settings of other feeds of this channel that show what arrives here, too."""
        return ()

    def pushed(self) -> list[Delivery]:
        """The deliveries of all that arrived, on a channel whose posts are not fetched."""
        return []

    def typed(self) -> list[IncomingPost]:
        """The posts of all that arrived, on a channel where people type into a page of ours."""
        return []

    # -- trouble

    def trouble(self, kind: Trouble, *, times: int = 1, after: int = 0, sends_only: bool = False) -> None:
        """Plan trouble for the next `times` requests, once `after` of them went well."""
        self._planned.append(_Planned(kind, times, after, sends_only))

    def calm(self) -> None:
        """No more trouble."""
        self._planned.clear()

    def next_trouble(self, request: httpx.Request) -> Trouble | None:
        """Which trouble, if any, befalls this request."""
        for plan in self._planned:
            if plan.times <= 0 or (plan.sends_only and not self.is_send(request)):
                continue
            if plan.after > 0:
                plan.after -= 1
                continue
            plan.times -= 1
            return plan.kind
        return None

    def embellish(self, response: httpx.Response) -> httpx.Response:
        """The same answer with fields that nobody has documented (JSON; override for another format)."""
        if "json" not in response.headers.get("content-type", ""):
            return response
        return replaced(response, json.dumps(with_unknown_fields(response.json())).encode())


class Wire(httpx.AsyncBaseTransport):
    """The way from a connector to a fake server, with whatever trouble was planned."""

    def __init__(self, fake: FakeChannel) -> None:
        """The way to this world."""
        self.fake = fake
        self.surface = httpx.ASGITransport(app=fake.app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Bring the request there and the answer back, unless trouble befalls it."""
        fake = self.fake
        fake.requests.append(request)
        if fake.between_requests is not None:
            fake.between_requests()
        kind = fake.next_trouble(request)
        if kind is not None and kind not in {Trouble.ANSWER_LOST, Trouble.TRUNCATED}:
            return self._befall(kind, request)
        response = await self._surface(request)
        if kind is Trouble.ANSWER_LOST:
            raise httpx.ReadTimeout("no answer within the time allowed", request=request)
        if kind is Trouble.TRUNCATED:
            return replaced(response, response.content[: len(response.content) * 2 // 3])
        return fake.embellish(response) if fake.unknown_fields else response

    async def _surface(self, request: httpx.Request) -> httpx.Response:
        response = await self.surface.handle_async_request(request)
        await response.aread()
        return response

    def _befall(self, kind: Trouble, request: httpx.Request) -> httpx.Response:
        match kind:
            case Trouble.RATE_LIMITED:
                return self.fake.limited()
            case Trouble.EXPIRED:
                return self.fake.expired()
            case Trouble.DOWN:
                return httpx.Response(self.fake.down_status, html="<html><body><h1>Not available</h1></body></html>")
            case Trouble.HTML:
                return httpx.Response(
                    200, html="<!doctype html><title>Sign in</title><p>Please sign in to the network.</p>"
                )
            case Trouble.NULL:
                return httpx.Response(200, content=b"null", headers={"content-type": "application/json"})
            case Trouble.NO_CONNECTION:
                raise httpx.ConnectError("connection refused", request=request)
            case Trouble.RESET:
                raise httpx.ReadError("connection reset by peer", request=request)
            case _:
                raise httpx.ReadTimeout("no answer within the time allowed", request=request)


def replaced(response: httpx.Response, body: bytes) -> httpx.Response:
    """The same answer with another body."""
    headers = [(k, v) for k, v in response.headers.multi_items() if k not in {"content-length", "content-encoding"}]
    return httpx.Response(response.status_code, headers=headers, content=body)


def with_unknown_fields(value: Any) -> Any:
    """The same JSON with more in it than anybody documented."""
    if isinstance(value, list):
        return [with_unknown_fields(v) for v in value]
    if isinstance(value, dict):
        return {k: with_unknown_fields(v) for k, v in value.items()} | {"x_invented_2031": {"nested": [None, 1, "?"]}}
    return value
