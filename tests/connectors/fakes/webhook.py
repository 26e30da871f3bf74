"""A program that delivers posts to us and takes our replies, as Standard Webhooks asks of it: repeats dropped by id."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from app.connectors import registry
from app.connectors.base import Connector, Visibility
from app.connectors.testing import Gives
from app.connectors.testing.fake import Delivery, FakeChannel, Standing
from app.connectors.webhook import WebhookCredentials, WebhookSettings

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
REPLIES = "https://shop.example/replies"


class FakeSender(FakeChannel):
    """Signs by itself, from the specification, not with our code."""

    connector: ClassVar[Connector] = registry.get("webhook")
    cannot = frozenset({"uploads"})  # pictures go with the reply
    any_answer = True
    tells_changes = True
    cannot_give: Mapping[Gives, str] = dict.fromkeys(
        (Gives.FORWARD, Gives.BACKWARD, Gives.RESTARTS, Gives.EXPIRY),
        "nothing is fetched: the sender delivers, and repeats what we did not take",
    ) | {Gives.CUT: "whatever a receiver answers with a 2xx, it has taken the reply"}

    def __init__(self) -> None:
        super().__init__()
        self.made = 0
        self.events: dict[str, dict[str, Any]] = {}
        self.gone: set[str] = set()
        self.told: list[dict[str, object]] = []  # posts and changes, as they are delivered
        self.removed: set[str] = set()
        self.edits: dict[str, dict[str, str]] = {}  # what each reply says, by the time from which it does

    @property
    def app(self) -> ASGIApp:
        return Starlette(routes=[Route("/replies", self.take, methods=["POST"])])

    def settings(self) -> WebhookSettings:
        return WebhookSettings(source="shop")

    def credentials(self) -> WebhookCredentials:
        return WebhookCredentials.model_validate({"secret": SECRET, "reply_url": REPLIES})

    async def take(self, request: Request) -> Response:
        body = await request.body()
        event_id = request.headers["webhook-id"]
        if request.headers["webhook-signature"] != signature(event_id, request.headers["webhook-timestamp"], body):
            return JSONResponse({"error": "bad signature"}, 401)
        event = json.loads(body)
        if event["type"] == "reply.edited" and event["data"]["id"] in self.gone:
            return JSONResponse({"error": "that reply is gone"}, 404)
        if event["type"] == "reply.edited":
            self.edits.setdefault(event["data"]["id"], {})[event["timestamp"]] = event["data"]["text"]
            return Response(status_code=204)
        if event["type"] == "reply.deleted":
            self.gone.add(event["data"]["id"])
            return Response(status_code=204)
        if event["data"]["in_reply_to"] in self.removed:
            return JSONResponse({"error": "that post is gone"}, 404)
        self.events.setdefault(event_id, event["data"])
        return JSONResponse({"id": f"r-{event_id}", "url": f"https://shop.example/r/{event_id}"})

    def ledger(self) -> list[Standing]:
        return [
            Standing(
                f"shop:r-{key}",
                self.said(data),
                f"shop:r-{data['after']}" if "after" in data else f"shop:{data['in_reply_to']}",
                Visibility(data["visibility"]),
                tuple((one["alt"], base64.b64decode(one["content"])) for one in data.get("media", ())),
            )
            for key, data in self.events.items()
            if data["id"] not in self.gone
        ]

    def said(self, data: dict[str, Any]) -> str:
        """What a reply says now."""
        edits = self.edits.get(data["id"], {})
        return str(edits[max(edits)] if edits else data["text"])

    def is_send(self, request: httpx.Request) -> bool:
        return request.method == "POST"

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        more = {"in_reply_to": under.removeprefix("shop:"), "thread": self.thread(under)} if under else {}
        kind = {"kind": "direct"} if direct else {}
        self.told.append(self.post(text) | {"author": {"id": by, "handle": by}} | more | kind)
        return f"shop:{self.told[-1]['id']}"

    def thread(self, name: str) -> object:
        parent = next(one for one in self.told if f"shop:{one['id']}" == name)
        return parent.get("thread", parent["id"])

    def remove(self, external_id: str) -> None:
        self.removed.add(external_id.removeprefix("shop:"))
        self.told.append(
            {"type": "post.deleted", "id": external_id.removeprefix("shop:"), "at": self.tick().isoformat()}
        )

    def rewrite(self, external_id: str, text: str) -> None:
        edited: dict[str, object] = {"type": "post.edited", "id": external_id.removeprefix("shop:"), "text": text}
        self.told.append(edited | {"at": self.tick().isoformat()})

    def pushed(self) -> list[Delivery]:
        return [self.signed(json.dumps({"posts": self.told}).encode())] if self.told else []

    def limited(self) -> httpx.Response:
        return httpx.Response(429, headers={"retry-after": f"{self.rate_wait.total_seconds():.0f}"})

    def signed(self, body: bytes) -> Delivery:
        self.made += 1
        event_id, stamp = f"msg_{self.made}", str(int(self.now.timestamp()))
        headers = {
            "Content-Type": "application/json",
            "Webhook-Id": event_id,
            "Webhook-Timestamp": stamp,
            "Webhook-Signature": signature(event_id, stamp, body),
        }
        return Delivery(headers, body)

    def delivery(self, *texts: str, broken: int = 0) -> Delivery:
        posts: list[object] = [self.post(text) for text in texts]
        return self.signed(json.dumps({"posts": [*posts, *([{"id": "x", "text": 7.5}] * broken)]}).encode())

    def post(self, text: str) -> dict[str, object]:
        self.made += 1
        return {
            "id": str(self.made),
            "text": text,
            "author": {"id": "u1", "handle": "ada"},
            "posted_at": self.tick().isoformat(),
        }


def signature(event_id: str, stamp: str, body: bytes) -> str:
    signed = event_id.encode() + b"." + stamp.encode() + b"." + body
    return "v1," + base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()


VARIANTS: dict[str, Callable[[], FakeChannel]] = {"webhook": FakeSender}
