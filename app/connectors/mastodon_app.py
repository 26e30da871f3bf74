"""Getting in on a server with Mastodon's API: a pasted token, or an app of ours that is made there by program.

Rules: docs.joinmastodon.org/methods/apps and /methods/oauth. PKCE is taken since Mastodon 4.3; older servers ignore it.
"""

from typing import Annotated
from urllib.parse import urlsplit

import httpx
from pydantic import AfterValidator, Field, SecretStr

from app.connectors.answers import object_or_none
from app.connectors.base import Link, SettingsModel
from app.connectors.oauth import HIDDEN, ClientAuth, OAuth, OAuthCredentials, Scope
from app.connectors.wire import reaching, read_bounded, refusal
from app.errors import Malformed
from app.i18n import N_, _

CLIENT_NAME = "Careline"
_LARGEST_ANSWER = 1_000_000  # bytes
SIGN_IN = OAuth(
    authorize="{server}/oauth/authorize",
    token="{server}/oauth/token",  # noqa: S106 - an address
    scopes=(
        Scope("read", N_("To bring mentions, direct messages, searches and the threads around them.")),
        Scope("write:statuses", N_("To answer, and to delete an answer.")),
        Scope("write:media", N_("To send pictures with an answer.")),
    ),
    client=ClientAuth.POST,
)


def _server_address(value: str) -> str:
    """Scheme and host only, so that paths can be put behind it."""
    try:
        url = httpx.URL(value if "://" in value else f"https://{value}")
    except httpx.InvalidURL as error:
        message = _("This is no web address.")
        raise ValueError(message) from error
    if url.scheme not in {"https", "http"} or not url.host or url.userinfo:
        message = _("Give the address that you sign in at, like https://mastodon.example.")
        raise ValueError(message)
    return str(url.copy_with(path="/", query=None, fragment=None)).rstrip("/")


class _Place(SettingsModel):
    """Comes first on the form."""

    server: Annotated[str, AfterValidator(_server_address)] = Field(
        title=N_("Server"),
        description=N_("Where the account lives."),
        max_length=300,
        examples=["https://mastodon.example"],
        json_schema_extra={"format": "url"},
    )


class MastodonCredentials(OAuthCredentials, _Place):
    """How to get in."""

    client_id: str = Field(default="", json_schema_extra=HIDDEN)
    client_secret: SecretStr = Field(default=SecretStr(""), json_schema_extra=HIDDEN)
    access_token: SecretStr = Field(
        default=SecretStr(""),
        title=N_("Access token"),
        description=N_("Not needed where you sign in on the server. Else: Preferences, Development, New application."),
    )
    made_for: str = Field(default="", json_schema_extra=HIDDEN)  # the redirect address that our app was made with


async def made_app(link: Link, redirect: str) -> MastodonCredentials:
    """The credentials with an app of ours at their server (`POST /api/v1/apps`), made once. Raises ConnectorError."""
    held: MastodonCredentials = link.credentials
    if held.client_id and held.made_for == redirect:
        return held
    host = urlsplit(held.server).hostname or held.server
    scopes = " ".join(scope.name for scope in SIGN_IN.scopes)
    body = {"client_name": CLIENT_NAME, "redirect_uris": redirect, "scopes": scopes}
    with reaching(host):
        request = link.http.stream("POST", held.server + "/api/v1/apps", json=body, follow_redirects=False)
        async with request as response:
            problem = refusal(response, host, link.now)
            content = await read_bounded(response, _LARGEST_ANSWER, host)
    if problem is not None:
        raise problem
    client, secret = _read(content, host)
    return held.model_copy(update={"client_id": client, "client_secret": SecretStr(secret), "made_for": redirect})


def _read(content: bytes, host: str) -> tuple[str, str]:
    said = object_or_none(content) or {}
    client, secret = said.get("client_id"), said.get("client_secret")
    if not (isinstance(client, str) and client and isinstance(secret, str) and secret):
        raise Malformed(
            N_("%(host)s did not make an app for us. Is it a server with Mastodon's API? A pasted token works as well.")
            % {"host": host}
        )
    return client, secret
