"""A channel of our own invention, for what no built-in one has: one app, one webhook address for all its accounts.

Its deliveries are signed with the app's secret and name the loft they come from; its handshake is like Meta's.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from app.connectors.base import (
    Batch,
    Capabilities,
    Connector,
    IncomingAuthor,
    IncomingPost,
    Json,
    Link,
    SettingsModel,
)
from app.connectors.oauth import OAuth, OAuthCredentials, Paste, Places, Scope, Step
from app.errors import Unauthorized

VERIFY = "coo"


class LoftSettings(SettingsModel):
    loft: str


class LoftConnector(Connector):
    name: ClassVar[str] = "loft"
    title: ClassVar[str] = "Pigeon loft"
    capabilities: ClassVar[Capabilities] = Capabilities(hooks=True)
    Settings: ClassVar[type[SettingsModel]] = LoftSettings
    Credentials: ClassVar[type[SettingsModel] | None] = OAuthCredentials
    oauth: ClassVar[OAuth | None] = OAuth(
        authorize="https://loft.example/authorize",
        token="https://loft.example/token",
        scopes=(Scope("coo", "To hear."),),
        issuer="https://loft.example",
    )

    def guide(self, places: Places) -> tuple[Step, ...]:
        pasted = (Paste("Redirect address", places.redirect), Paste("Webhook address", places.hook))
        return (Step("Create an app", "On the loft's roof.", "https://loft.example/apps", pasted),)

    def app_of(self, credentials: Any) -> str:
        return str(credentials.client_id)

    def challenge(self, link: Link, query: Mapping[str, str]) -> str:
        if not hmac.compare_digest(query.get("hub.verify_token", ""), VERIFY):
            raise Unauthorized("The verify token is not ours.")
        return json.dumps({"said": query["crc"]}) if "crc" in query else query.get("hub.challenge", "")

    async def fetch(self, link: Link, cursor: Json) -> Batch:
        return Batch(cursor=cursor)

    def receive(self, link: Link, headers: Mapping[str, str], body: bytes) -> Batch:
        if not hmac.compare_digest(
            headers.get("x-coo", ""), signed(link.credentials.client_secret.get_secret_value(), body)
        ):
            raise Unauthorized("The signature does not fit.")
        told = json.loads(body)
        mine = [one for one in told["posts"] if one["loft"] == link.settings.loft]
        return Batch(tuple(_post(one) for one in mine), delivery_id=told["id"])


def signed(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _post(one: dict[str, str]) -> IncomingPost:
    at = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
    return IncomingPost(one["id"], one["id"], IncomingAuthor("lena", "lena"), one["text"], at)
