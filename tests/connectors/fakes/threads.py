"""A profile on Threads: one post of ours with a conversation under it, and posts elsewhere that mention us.

From the Threads API's documentation and Meta's own collection of requests, not from our code.
"""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qs

import httpx
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from app.connectors import registry
from app.connectors.base import Connector, IncomingAuthor
from app.connectors.testing import Gives
from app.connectors.testing.fake import Delivery, FakeChannel, Standing
from app.connectors.threads import ThreadsSettings
from app.connectors.threads_account import ThreadsCredentials
from tests.connectors.fakes.meta import APP, SECRET, VERIFY, Entry, FakeGraph, GraphError, gone, graph_time

US, US_NAME = "31001", "northwind"
TOKEN = "threads-secret-token"


def notified(field: str, value: Entry) -> Entry:
    """What a delivery says of one post ("Webhooks for Threads")."""
    topic = {"replies": "moderate", "mentions": "interaction"}[field]
    told = {"app_id": APP, "topic": topic, "target_id": value.get("id", ""), "time": 1_723_226_877}
    return told | {"subscription_id": "2", "has_uid_field": False, "values": {"value": value, "field": field}}


class FakeThreads(FakeGraph):
    """What stands under our post."""

    connector: ClassVar[Connector] = registry.get("threads")
    bring: ClassVar[dict[str, bool]] = {"replies": True, "mentions": False}
    shows_own: bool = True

    def __init__(self) -> None:
        super().__init__()
        self.tokens = {TOKEN}
        self.root = self.write(US_NAME, "Our winter sale has begun")
        self.containers: dict[str, Entry] = {}
        self.statuses: list[str] = []  # of a container, before it is finished
        self.replied = 3  # of our thousand replies of 24 hours
        self.renewed = 0

    @property
    def app(self) -> ASGIApp:
        return Starlette(
            routes=[
                Route("/oauth/access_token", self.by_code, methods=["POST"]),
                Route("/access_token", self.exchange, methods=["GET"]),
                Route("/refresh_access_token", self.exchange, methods=["GET"]),
                Route("/{version}/{path:path}", self.serve, methods=["GET", "POST", "DELETE"]),
            ]
        )

    def settings(self) -> ThreadsSettings:
        return ThreadsSettings(**self.bring)

    def credentials(self) -> ThreadsCredentials:
        return ThreadsCredentials(
            client_id=APP,
            client_secret=SecretStr(SECRET),
            access_token=SecretStr(TOKEN),
            verify_token=SecretStr(VERIFY),
            expires_at=self.now + timedelta(days=59),
            user_id=US,
            user_name=US_NAME,
        )

    def account(self) -> IncomingAuthor | None:
        return IncomingAuthor(US, US_NAME)

    # -- tokens

    async def by_code(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        if (form["client_id"], form["client_secret"]) != (APP, SECRET):
            return self.json(GraphError(101, None, "Error validating application. Invalid application ID.").body, 400)
        self.tokens.add("short-secret")
        return self.json({"access_token": "short-secret", "user_id": int(US)})

    async def exchange(self, request: Request) -> Response:
        query = request.query_params
        grant = {"/access_token": "th_exchange_token", "/refresh_access_token": "th_refresh_token"}[request.url.path]
        if query["grant_type"] != grant or query["access_token"] not in self.tokens:
            return self.json(GraphError(190, 463, "Session has expired.", 401).body, 401)
        if grant == "th_exchange_token" and query["client_secret"] != SECRET:
            return self.json(GraphError(1, None, "Error validating client secret.").body, 400)
        self.renewed += 1
        self.tokens.add(f"long-secret-{self.renewed}")
        return self.json(
            {"access_token": f"long-secret-{self.renewed}", "token_type": "bearer", "expires_in": 5_183_944}
        )

    def require_token(self, request: Request) -> None:
        if request.query_params.get("access_token") not in self.tokens:
            raise GraphError(190, 463, "Error validating access token: Session has expired.", 401)

    # -- what happens there

    def write(self, by: str, text: str, under: str = "", **more: Any) -> str:
        """Somebody writes a post, or an answer to one."""
        self.tick()
        name = self.new("180")
        above = self.things.get(under, {})
        root = above.get("root_post", {}).get("id") or under
        thing: Entry = {
            "id": name,
            "username": by,
            "text": text,
            "timestamp": graph_time(self.now),
            "permalink": f"https://www.threads.net/@{by}/post/{name}",
            "media_type": "TEXT_POST",
            "is_reply": bool(under),
        }
        if under:
            owned = by == US_NAME
            reply = {"root_post": {"id": root}, "replied_to": {"id": under}, "hide_status": "NOT_HUSHED"}
            thing |= reply | {"is_reply_owned_by_me": owned}
        own = {"_kind": "thread", "_made": self.made, "_at": self.now, "_root": root, "_by": by}
        self.things[name] = thing | more | own
        return name

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        return self.write(by, text, under or self.root)

    def arrive_own(self, text: str) -> str:
        return self.write(US_NAME, text, self.root)

    def arrive_broken(self) -> None:
        del self.things[self.arrive("?", by="bob")]["timestamp"]

    def remove(self, external_id: str) -> None:
        del self.things[external_id]

    def rewrite(self, external_id: str, text: str) -> None:
        self.tick()
        self.things[external_id]["text"] = text

    def ledger(self) -> list[Standing]:
        sent = [one for one in self.things.values() if one.get("_sent")]
        return [Standing(one["id"], one["text"], one["replied_to"]["id"]) for one in sent]

    # -- the surface

    def answer_get(self, path: str, query: dict[str, str]) -> Any:
        name, _, edge = path.partition("/")
        newest = {"threads": self.listed("thread", root="", by=US_NAME), "mentions": self.mentioning()}
        newest["replies"] = [one for one in self.listed("thread", by=US_NAME) if one["is_reply"]]
        if name == "me" or path == US:
            return {"id": US, "username": US_NAME}
        if edge == "threads_publishing_limit":
            config = {"quota_total": 1000, "quota_duration": 86400}
            return {"data": [{"reply_quota_usage": self.replied, "reply_config": config}]}
        if name == US:
            return self.page([self.seen(one) for one in newest[edge]], query, lambda one: (one["_made"],))
        if edge == "conversation":
            self.thing(name)
            return self.page(self.listed("thread", root=name), query, lambda one: (one["_made"],))
        if name in self.containers:
            return {"status": self.statuses.pop(0) if self.statuses else "FINISHED", "id": name}
        raise gone(name)

    def seen(self, thing: Entry) -> Entry:
        return thing | {"has_replies": bool(self.listed("thread", root=thing["id"]))}

    def mentioning(self) -> list[Entry]:
        return [one for one in self.listed("thread") if f"@{US_NAME}" in one["text"] and one["_by"] != US_NAME]

    def page(
        self, entries: list[Entry], query: dict[str, str], key: Callable[[Entry], tuple[Any, ...]], *, up: bool = False
    ) -> Entry:
        """Without a word of whether there is another page ("Mentions", Pagination)."""
        answer = super().page(entries, query, key, up=up)
        answer.get("paging", {}).pop("next", None)
        return answer

    def answer_post(self, path: str, body: Entry, files: dict[str, bytes]) -> Any:
        name, _, edge = path.partition("/")
        if edge == "threads":
            self.thing(body["reply_to_id"])
            assert body["media_type"] == "TEXT"
            made = self.new("170")
            self.containers[made] = body
            return {"id": made}
        if edge == "threads_publish":
            asked = self.containers.pop(body["creation_id"])
            made = self.write(US_NAME, asked["text"], asked["reply_to_id"], _sent=True)
            self.replied += 1
            return {"id": made}
        if edge == "manage_reply":
            if self.thing(name)["replied_to"] != self.thing(name)["root_post"]:
                raise GraphError(100, None, "Only top-level replies can be hidden")
            self.thing(name)["hide_status"] = "HIDDEN" if body["hide"] else "UNHUSHED"
            return {"success": True}
        raise gone(path)

    def is_send(self, request: httpx.Request) -> bool:
        return request.method == "DELETE" or request.url.path.endswith("/threads_publish")

    # -- deliveries

    def delivery(self, *texts: str, broken: int = 0) -> Delivery:
        told = [self.told(text) for text in texts]
        other = notified("replies", {"id": "5", "text": "?", "root_post": {"id": "4", "owner_id": "555"}})
        return self.signed(json.dumps([*told, other, *[self.told_broken() for _ in range(broken)]]).encode())

    def told(self, text: str) -> Entry:
        shown = self.shown(self.things[self.arrive(text)])
        root = {"id": shown["root_post"]["id"], "owner_id": US, "username": US_NAME}
        self.tick()
        return notified("replies", shown | {"root_post": root})

    def told_broken(self) -> Entry:
        return notified("replies", {"text": "?", "root_post": {"id": self.root, "owner_id": US}})


class FakeMentions(FakeThreads):
    """Posts elsewhere that mention us. What becomes of them is not ours to ask for."""

    bring: ClassVar[dict[str, bool]] = {"replies": False, "mentions": True}
    shows_own: bool = False
    cannot: frozenset[str] = frozenset({"dated", "changes", "receive"})
    cannot_give: Mapping[Gives, str] = dict.fromkeys(
        (Gives.DELETIONS, Gives.EDITS), "what others published is not ours to ask for"
    )

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        return self.write(by, f"@{US_NAME} {text}", under or "")


VARIANTS: dict[str, Callable[[], FakeChannel]] = {
    "threads-replies": FakeThreads,
    "threads-mentions": FakeMentions,
}
