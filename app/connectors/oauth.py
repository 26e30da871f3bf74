"""OAuth 2 for connectors: asking for consent, redeeming the code, refreshing in time (RFC 6749, 7636, 9207, 9700).

A channel says how by `Connector.oauth`, mixes `OAuthCredentials` into its own, and takes its token from `fresh`.
Plain code: what a library would add to these three requests is less than what it would ask to be wrapped.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit, urlunsplit

import httpx
from pydantic import Field, SecretStr
from pydantic.config import JsonDict

from app.connectors.answers import object_or_none, one_line
from app.connectors.base import Json, Link, SettingsModel
from app.connectors.guide import ClientAuth, OAuth, Paste, Places, Scope, Step
from app.connectors.wire import reaching, read_bounded, refusal
from app.errors import ChannelDown, Malformed, RateLimited, Refused, Unauthorized
from app.i18n import N_

__all__ = [
    "HIDDEN", "Asked", "ClientAuth", "OAuth", "OAuthCredentials", "Paste", "Places", "Scope", "Step",
    "ask", "fresh", "push", "redeem",
]  # fmt: skip

HIDDEN: JsonDict = {"hidden": True}  # kept by the connector, never typed by a person
SOON = timedelta(minutes=1)  # a token that ends within this time is refreshed first
_LARGEST_ANSWER = 1_000_000  # bytes
_LONGEST_LIFE = 10 * 365 * 86_400  # seconds that a token is believed to live at most


class OAuthCredentials(SettingsModel):
    """An app that was registered with the channel, and the tokens that signing in with it has brought."""

    client_id: str = Field(title=N_("Client id"), max_length=500)
    client_secret: SecretStr = Field(default=SecretStr(""), title=N_("Client secret"), max_length=2000)
    access_token: SecretStr = Field(default=SecretStr(""), json_schema_extra=HIDDEN)
    refresh_token: SecretStr = Field(default=SecretStr(""), json_schema_extra=HIDDEN)
    expires_at: datetime | None = Field(default=None, json_schema_extra=HIDDEN)  # of the access token
    refresh_expires_at: datetime | None = Field(default=None, json_schema_extra=HIDDEN)  # where the channel says it
    granted: str = Field(default="", json_schema_extra=HIDDEN)  # scopes, as the channel wrote them
    subject: str = Field(default="", json_schema_extra=HIDDEN)  # who signed in, where the channel says it (`sub`)

    @property
    def signed_in(self) -> bool:
        """Whether there is a token to try."""
        return bool(self.access_token.get_secret_value())

    def proof(self, method: str, url: str, now: datetime, *, nonce: str = "", token: str = "") -> dict[str, str]:
        """Headers that prove that we hold the key to which tokens are bound (RFC 9449); none where they are not."""
        return {}

    def assertion(self, now: datetime) -> dict[str, str]:
        """Parameters that show our app by a signature (RFC 7523); none where it has a secret, or is public."""
        return {}

    @property
    def ends_at(self) -> datetime | None:
        """When a person has to sign in again, as far as the channel told."""
        return self.refresh_expires_at if self.refresh_token.get_secret_value() else self.expires_at


Held = TypeVar("Held", bound=OAuthCredentials)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for consent: where the browser goes, and what has to be remembered until it comes back."""

    url: str
    state: str
    verifier: str


def ask(oauth: OAuth, client_id: str, redirect: str) -> Asked:
    """A request for consent with an unguessable state and PKCE's S256 challenge. `oauth` has its addresses filled."""
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    asked = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect,
        "scope": oauth.between.join(scope.name for scope in oauth.scopes),
        "state": state,
        **oauth.extra,
    }
    if oauth.pkce:
        asked |= {"code_challenge": challenge_of(verifier), "code_challenge_method": "S256"}
    parts = urlsplit(oauth.authorize)
    query = "&".join(one for one in (parts.query, urlencode(asked)) if one)
    return Asked(urlunsplit(parts._replace(query=query, fragment="")), state, verifier)


def challenge_of(verifier: str) -> str:
    """BASE64URL(SHA256(verifier)) without padding (RFC 7636, 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


async def redeem(link: Link, oauth: OAuth, *, code: str, redirect: str, verifier: str) -> OAuthCredentials:
    """The link's credentials with the tokens that the code stands for. Raises ConnectorError."""
    body = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect}
    if oauth.pkce:
        body["code_verifier"] = verifier
    held: OAuthCredentials = link.credentials
    return _holding(held, await _ask_token(link, oauth.at(held), held, body), link)


async def fresh(link: Link, oauth: OAuth, *, refused: str = "") -> str:
    """A valid access token: the one at hand, or a new one when it ends within a minute or is the `refused` one.

    One caller at a time refreshes (`link.turn`): with rotating refresh tokens (RFC 9700, 4.14.2) a second use of one
    would end the whole grant. New tokens are kept before they are used.

    Raises:
        Unauthorized: nobody has signed in, or the channel takes the refresh token no more.
        ConnectorError: the channel could not be asked.
    """
    held: OAuthCredentials = link.credentials
    if _is_good(held, link.now, refused):
        return held.access_token.get_secret_value()
    async with link.turn() as stored:
        now_held: OAuthCredentials = stored
        if not _is_good(now_held, link.now, refused):
            now_held = await _refreshed(link, oauth, now_held)
            await link.keep(now_held)
    return now_held.access_token.get_secret_value()


def _is_good(held: OAuthCredentials, now: datetime, refused: str) -> bool:
    token = held.access_token.get_secret_value()
    return bool(token) and token != refused and (held.expires_at is None or held.expires_at > now + SOON)


async def _refreshed(link: Link, oauth: OAuth, held: Held) -> Held:
    spare = held.refresh_token.get_secret_value()
    if not spare:
        ended = N_("The sign-in at %(host)s has ended. Sign in again on the account's page.")
        never = N_("Nobody has signed in at %(host)s yet. Do so on the account's page.")
        raise Unauthorized((ended if held.signed_in else never) % {"host": _host(oauth.at(held))})
    body = {"grant_type": "refresh_token", "refresh_token": spare}
    return _holding(held, await _ask_token(link, oauth.at(held), held, body), link)


async def _ask_token(link: Link, oauth: OAuth, held: OAuthCredentials, body: dict[str, str]) -> Json:
    """One request to the token endpoint (RFC 6749, 4.1.3 and 6). Raises ConnectorError."""
    headers = {"Accept": "application/json"}
    secret = held.client_secret.get_secret_value()
    if secret and oauth.client is ClientAuth.BASIC:
        headers["Authorization"] = _basic(held.client_id, secret)
    else:
        body = body | {"client_id": held.client_id} | ({"client_secret": secret} if secret else {})
    host = _host(oauth)
    said = await _posted(link, held, oauth.token, body, headers)
    token, kind = said.get("access_token"), str(said.get("token_type", "bearer")).lower()
    if not isinstance(token, str) or not token or kind not in {"bearer", "dpop"}:
        raise Malformed(N_("%(host)s signed us in without giving a token that Careline can use.") % {"host": host})
    return said


async def push(link: Link, endpoint: str, url: str) -> str:
    """A request for consent brought to the server beforehand (RFC 9126): where the browser goes instead of `url`.

    Raises ConnectorError.
    """
    parts, held = urlsplit(url), link.credentials
    said = await _posted(link, held, endpoint, dict(parse_qsl(parts.query)), {"Accept": "application/json"})
    pushed = said.get("request_uri")
    if not isinstance(pushed, str) or not pushed:
        host = urlsplit(endpoint).hostname or endpoint
        raise Malformed(N_("%(host)s took our sign-in without saying where it goes on.") % {"host": host})
    return urlunsplit(parts._replace(query=urlencode({"client_id": held.client_id, "request_uri": pushed})))


async def _posted(link: Link, held: OAuthCredentials, url: str, body: Json, headers: dict[str, str]) -> Json:
    """The answer to one request of ours, proved where tokens are bound to a key. Raises ConnectorError."""
    host, nonce = urlsplit(url).hostname or url, ""
    for last in (False, True):
        signed = headers | held.proof("POST", url, link.now, nonce=nonce)
        with reaching(host):
            request = link.http.stream(
                "POST", url, data=body | held.assertion(link.now), headers=signed, follow_redirects=False
            )
            async with request as response:
                content = await read_bounded(response, _LARGEST_ANSWER, host)
        nonce = response.headers.get("dpop-nonce", "")
        if last or not (nonce and b"use_dpop_nonce" in content):
            break
    return _read(response, content, host, link.now)


def _basic(client_id: str, secret: str) -> str:
    """Both parts are form-encoded first (RFC 6749, 2.3.1)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _read(response: httpx.Response, content: bytes, host: str, now: datetime) -> Json:
    """The answer (RFC 6749, 5.1), or its error (5.2) as one of ours."""
    said = object_or_none(content) or {}
    problem = refusal(response, host, now)
    if isinstance(problem, ChannelDown | RateLimited):
        raise problem
    if "error" in said:
        raise _denied(said, host)
    if response.is_redirect:
        raise Refused(N_("%(host)s redirects our sign-in elsewhere, and secrets are not passed on.") % {"host": host})
    if problem is not None:
        raise problem
    if not said:
        raise Malformed(N_("%(host)s signed us in without giving a token that Careline can use.") % {"host": host})
    return said


def _denied(said: Json, host: str) -> Unauthorized | Refused | ChannelDown:
    code = said["error"] if isinstance(said["error"], str) else ""
    told = said.get("error_description")
    why = f" ({one_line(told if isinstance(told, str) else code, 200)})" if told or code else ""
    if code == "invalid_client":
        words = N_("%(host)s does not know our client id or secret%(why)s. Copy both again to the account's page.")
        return Unauthorized(words % {"host": host, "why": why})
    if code in {"invalid_grant", "invalid_token", "unauthorized_client", "access_denied"}:
        words = N_("The sign-in at %(host)s has ended or was withdrawn%(why)s. Sign in again on the account's page.")
        return Unauthorized(words % {"host": host, "why": why})
    if code in {"temporarily_unavailable", "server_error"}:
        return ChannelDown(N_("%(host)s cannot sign us in just now. It is tried again later.") % {"host": host})
    return Refused(N_("%(host)s will not sign us in%(why)s.") % {"host": host, "why": why})


def _holding(held: Held, answer: Json, link: Link) -> Held:
    """The credentials with the answer's tokens; a refresh token that is not replaced stays (RFC 6749, 6)."""
    spare = answer.get("refresh_token")
    changes: dict[str, Any] = {
        "access_token": SecretStr(answer["access_token"]),
        "expires_at": _end(answer.get("expires_in"), link.now),
    }
    if isinstance(spare, str) and spare:
        changes["refresh_token"] = SecretStr(spare)
    if isinstance(answer.get("scope"), str):
        changes["granted"] = one_line(answer["scope"], 200)
    if isinstance(answer.get("sub"), str):
        changes["subject"] = one_line(answer["sub"], 200)
    end = _end(answer.get("refresh_token_expires_in"), link.now)
    if end is not None:
        changes["refresh_expires_at"] = end
    return held.model_copy(update=changes)


def _end(seconds: Any, now: datetime) -> datetime | None:
    """Seconds from now, also written as text, as some servers do; None for what is no sensible time."""
    try:
        whole = int(seconds)
    except (TypeError, ValueError, OverflowError):
        return None
    return now + timedelta(seconds=min(whole, _LONGEST_LIFE)) if whole > 0 else None


def _host(oauth: OAuth) -> str:
    return urlsplit(oauth.token).hostname or oauth.token
