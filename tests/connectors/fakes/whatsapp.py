"""A number of WhatsApp's Cloud API: messages by deliveries, the customer service window, templates, files."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, ClassVar

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Host, Route
from starlette.types import ASGIApp

from app.connectors import registry
from app.connectors.base import Connector, IncomingAuthor, SettingsModel, Visibility
from app.connectors.testing import Gives
from app.connectors.testing.fake import Delivery, FakeChannel, Standing
from app.connectors.whatsapp import WhatsAppCredentials
from tests.connectors.fakes.meta import APP, SECRET, TOKEN, VERIFY, Entry, FakeGraph, GraphError, gone

NUMBER, BUSINESS, SHOWN = "106540352242922", "102290129340398", "+1 555-078-3881"
PEOPLE = {"ada": "16505551234", "bob": "16505555678"}
FILES = "lookaside.fbsbx.com"
TEMPLATES = [
    {
        "name": "order_update", "language": "en_US", "status": "APPROVED", "category": "UTILITY",
        "components": [
            {"type": "HEADER", "format": "TEXT", "text": "Your order"},
            {"type": "BODY", "text": "Hello {{1}}, your order {{2}} is on its way."},
            {"type": "FOOTER", "text": "Northwind"},
        ],
    },
    {
        "name": "come_back", "language": "de", "status": "APPROVED", "category": "UTILITY", "parameter_format": "NAMED",
        "components": [{"type": "BODY", "text": "Guten Tag {{name}}, Ihre Antwort ist da."}],
    },
    {
        "name": "with_picture", "language": "en_US", "status": "APPROVED", "category": "MARKETING",
        "components": [{"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "Look!"}],
    },
]  # fmt: skip


class FakeWhatsApp(FakeGraph):
    """The number."""

    connector: ClassVar[Connector] = registry.get("whatsapp")
    object: ClassVar[str] = "whatsapp_business_account"
    owner: ClassVar[str] = BUSINESS
    cannot: frozenset[str] = frozenset({"pull", "dated", "parents", "changes"})
    shows_direct: bool = True
    cannot_give: Mapping[Gives, str] = {
        **dict.fromkeys(
            (Gives.FORWARD, Gives.BACKWARD, Gives.RESTARTS, Gives.EXPIRY, Gives.SKEW),
            "messages are delivered and cannot be fetched",
        ),
        **dict.fromkeys((Gives.DELETIONS, Gives.EDITS), "deliveries do not tell what customers delete or edit"),
        Gives.ONCE: "it knows no repeat, and what was sent cannot be looked up: a person decides",
    }

    def __init__(self) -> None:
        super().__init__()
        self.arrived: list[Entry] = []
        self.sent: dict[str, Entry] = {}
        self.files: dict[str, bytes] = {}
        self.templates: list[Entry] = list(TEMPLATES)

    @property
    def app(self) -> ASGIApp:
        files = Starlette(routes=[Route("/{name}", self.give_file)])
        return Starlette(routes=[Host(FILES, files), *super().app.routes])  # type: ignore[attr-defined]

    def settings(self) -> SettingsModel:
        return self.connector.Settings()

    def credentials(self) -> WhatsAppCredentials:
        given = {"client_id": APP, "client_secret": SECRET, "system_token": TOKEN, "verify_token": VERIFY}
        return WhatsAppCredentials.model_validate(given | {"number": NUMBER, "business": BUSINESS})

    def account(self) -> IncomingAuthor | None:
        return IncomingAuthor(NUMBER, SHOWN)

    # -- what happens there

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        return self.write({"type": "text", "text": {"body": text}}, by)

    def write(self, said: Entry, by: str = "ada") -> str:
        """A customer's message of whatever type."""
        self.tick()
        name = self.new("wamid.")
        stamp = str(int(self.now.timestamp()))
        self.arrived.append({"from": PEOPLE[by], "id": name, "timestamp": stamp, **said})
        return name

    def remove(self, external_id: str) -> None:
        """A customer who is no customer of WhatsApp's any more: what they wrote stays, and no message reaches them."""
        self.arrived = [one for one in self.arrived if one["id"] != external_id]

    def ledger(self) -> list[Standing]:
        return [
            Standing(name, _said(body), None, Visibility.DIRECT, tuple(("", content) for content in body["_pictures"]))
            for name, body in self.sent.items()
        ]

    def pushed(self) -> list[Delivery]:
        return [
            self.signed(
                json.dumps({"object": self.object, "entry": [self.entry(self.value(messages=self.arrived))]}).encode()
            )
        ]

    def value(self, **told: Any) -> Entry:
        """What a change of the field messages holds."""
        people = [{"wa_id": number, "profile": {"name": name.title()}} for name, number in PEOPLE.items()]
        about = {"display_phone_number": "15550783881", "phone_number_id": NUMBER}
        value = {"messaging_product": "whatsapp", "metadata": about, "contacts": people, **told}
        return {"changes": [{"field": "messages", "value": value}]}

    def told(self, text: str) -> Entry:
        self.arrive(text)
        return self.value(messages=self.arrived[-1:])

    def told_broken(self) -> Entry:
        return self.value(messages=[{"from": PEOPLE["ada"], "type": "text", "text": {"body": "?"}}])

    def status(self, name: str, status: str, **more: Any) -> Entry:
        """What a delivery says of a message of ours."""
        key = self.sent[name].get("biz_opaque_callback_data")
        told = {
            "id": name,
            "status": status,
            "timestamp": "1",
            "recipient_id": PEOPLE["ada"],
            "biz_opaque_callback_data": key,
        }
        return self.value(statuses=[told | more])

    # -- the surface

    def answer_get(self, path: str, query: dict[str, str]) -> Any:
        if path == NUMBER:
            return {
                "id": NUMBER,
                "display_phone_number": SHOWN,
                "verified_name": "Northwind",
                "quality_rating": "GREEN",
            }
        if path == f"{BUSINESS}/message_templates":
            listed = [{**one, "_made": n} for n, one in enumerate(self.templates)]
            return self.page(listed, query, lambda one: (one["_made"],), up=True)
        if path in self.files:
            return {"url": f"https://{FILES}/{path}", "mime_type": "image/jpeg", "id": path}
        raise gone(path)

    def answer_post(self, path: str, body: Entry, files: dict[str, bytes]) -> Any:
        if path == f"{NUMBER}/media":
            name = self.new("77")
            self.files[name] = files["file"]
            return {"id": name}
        if path == f"{NUMBER}/messages":
            return self.take(body)
        if path == f"{BUSINESS}/subscribed_apps":
            self.subscribed = "messages"
            return {"success": True}
        raise gone(path)

    def take(self, body: Entry) -> Entry:
        """A message: free within 24 hours of the customer's newest, a template at any time."""
        theirs = [one for one in self.arrived if one["from"] == body["to"]]
        if not theirs:
            raise GraphError(131026, None, "(#131026) Message undeliverable")
        age = self.now.timestamp() - float(theirs[-1]["timestamp"])
        if body["type"] != "template" and age > timedelta(hours=24).total_seconds():
            raise GraphError(131047, None, "(#131047) Re-engagement message")
        if body["type"] == "template":
            self._require_filled(body["template"])
        self.tick()
        name = self.new("wamid.")
        pictures = [self.files[body["image"]["id"]]] if body["type"] == "image" else []
        self.sent[name] = {**body, "_pictures": pictures}
        return {
            "messaging_product": "whatsapp",
            "contacts": [{"input": body["to"], "wa_id": body["to"]}],
            "messages": [{"id": name, "message_status": "accepted"}],
        }

    def _require_filled(self, sent: Entry) -> None:
        known = [
            one for one in self.templates if (one["name"], one["language"]) == (sent["name"], sent["language"]["code"])
        ]
        if not known:
            raise GraphError(132001, None, "(#132001) Template name does not exist in the translation")
        body = next(part for part in known[0]["components"] if part["type"] == "BODY")["text"]
        given = [one for part in sent.get("components", ()) for one in part["parameters"]]
        if body.count("{{") != len(given):
            raise GraphError(
                132000, None, "(#132000) Number of parameters does not match the expected number of params"
            )

    async def give_file(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return Response(status_code=401)
        return Response(self.files[request.path_params["name"]], media_type="image/jpeg")

    def is_send(self, request: httpx.Request) -> bool:
        return request.method == "POST" and request.url.path.endswith("/messages")


def _said(body: Entry) -> str:
    if body["type"] == "template":
        return str(body["template"]["name"])
    return str(body["text"]["body"] if body["type"] == "text" else body["image"]["caption"])


VARIANTS: dict[str, Callable[[], FakeChannel]] = {"whatsapp": FakeWhatsApp}
