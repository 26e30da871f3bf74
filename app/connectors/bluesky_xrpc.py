"""Speaking XRPC, the AT Protocol's HTTP: the password session with its refresh, errors as our tree, what is left to us.

Sources: https://atproto.com/specs/xrpc and the lexicons `com.atproto.server.createSession` and `refreshSession`.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from pydantic import Field, SecretStr, field_validator
from pydantic.config import JsonDict

from app.connectors.base import Budget, Json, Link, SettingsModel
from app.connectors.text import storable
from app.connectors.wire import reaching, retry_after
from app.errors import ChannelDown, ConnectorError, Malformed, RateLimited, Refused, Unauthorized
from app.i18n import N_, _

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_STALE = frozenset({"ExpiredToken", "InvalidToken"})
_LOCKED = {
    "AccountTakedown": N_("has been taken down by its server"),
    "AccountSuspended": N_("has been suspended by its server"),
    "AccountDeactivated": N_("is deactivated"),
}
_ABSENT = frozenset({"MethodNotImplemented", "UnknownMethod", "XRPCNotSupported"})
CHAT = "did:web:api.bsky.chat#bsky_chat"  # behind our own server (docs.bsky.app/docs/api, "chat.bsky")
_NO_MESSAGES = frozenset({"Bad token method", "Bad token scope"})  # an app password without access to them
_LONGEST_WAIT = timedelta(days=1)  # the widest of Bluesky's own windows
_HIDDEN: JsonDict = {"hidden": True}  # kept by the connector, never typed by a person


class BlueskyCredentials(SettingsModel):
    """How to sign in, and the session that was kept from the last time."""

    service: str = Field(
        default="https://bsky.social",
        title=N_("Server"),
        description=N_("Where the account was made. Leave it as it is unless you run or use another server."),
        max_length=200,
    )
    identifier: str = Field(
        title=N_("Handle"), description=N_("The account's handle."), examples=["northwind.bsky.social"], max_length=300
    )
    app_password: SecretStr = Field(
        title=N_("App password"),
        description=N_(
            "Make one in Bluesky under Settings, Privacy and security, App passwords. Not your own password."
        ),
    )
    access_jwt: SecretStr | None = Field(default=None, json_schema_extra=_HIDDEN)
    refresh_jwt: SecretStr | None = Field(default=None, json_schema_extra=_HIDDEN)
    did: str | None = Field(default=None, json_schema_extra=_HIDDEN)
    session_of: str | None = Field(default=None, json_schema_extra=_HIDDEN)

    @field_validator("service")
    @classmethod
    def _service(cls, value: str) -> str:
        parts = urlsplit(value)
        if not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment or parts.username:
            raise ValueError(_("Give the server's bare address, such as https://bsky.social."))
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise ValueError(
                _("The address must begin with https://, or the password would cross the network in clear.")
            )
        return f"{parts.scheme}://{parts.netloc}"

    @field_validator("identifier")
    @classmethod
    def _identifier(cls, value: str) -> str:
        return value.removeprefix("@")

    @property
    def name(self) -> str:
        """Whose session this is; a session kept under another name is not used."""
        return f"{self.identifier} at {self.service}"

    def with_session(self, session: Json) -> Self:
        """The same credentials with the session that a server answered. Raises Malformed."""
        access, refresh, did = (session.get(key) for key in ("accessJwt", "refreshJwt", "did"))
        if not (isinstance(access, str) and isinstance(refresh, str) and isinstance(did, str)):
            raise Malformed(
                N_("%(service)s signed us in without giving a session. Is this a Bluesky server?")
                % {"service": self.service}
            )
        kept = {"access_jwt": SecretStr(access), "refresh_jwt": SecretStr(refresh), "did": did}
        return self.model_copy(update={**kept, "session_of": self.name})


class XrpcError(Refused):
    """The server refuses; `error` is the name that the method's lexicon gives to it."""

    def __init__(self, message: str, error: str = "") -> None:
        """Keep the error's name for callers who can do something about it."""
        super().__init__(message)
        self.error = error


class NotOffered(XrpcError):
    """The server does not know the method at all."""


class _Stale(Unauthorized):
    """A token has expired or was revoked; a new session may help."""


class Xrpc:
    """The calls of one connector method, with one account. `budget` is what the last answer said is left."""

    def __init__(self, link: Link) -> None:
        """Go on with the session that was kept, if it belongs to these credentials."""
        kept: BlueskyCredentials = link.credentials
        if kept.session_of != kept.name:
            kept = kept.model_copy(update={"access_jwt": None, "refresh_jwt": None, "did": None})
        self.credentials = kept
        self.budget: Budget | None = None
        self._link = link

    async def did(self) -> str:
        """Our own identity, which never changes. Signs in when it is not known yet."""
        if self.credentials.did is None:
            await self._renew()
        return str(self.credentials.did)

    async def query(self, method: str, **params: Any) -> Json:
        """Ask (GET). Parameters that are None are left out."""
        given = {key: value for key, value in params.items() if value is not None}
        return await self._signed_in("GET", method, params=given)

    async def write(self, method: str, body: Json) -> Json:
        """Change something (POST). Raises errors with `delivered` None when it may have happened."""
        return await self._signed_in("POST", method, json=body, sending=True)

    async def upload(self, content: bytes, kind: str) -> Json:
        """Bring a blob."""
        return await self._signed_in("POST", "com.atproto.repo.uploadBlob", content=content, kind=kind)

    async def _signed_in(self, verb: str, method: str, **request: Any) -> Json:
        """Call with our session; when it has run out, renew it once and call again."""
        if self.credentials.access_jwt is None:
            await self._renew()
        try:
            return await self._call(verb, method, token=self.credentials.access_jwt, **request)
        except _Stale:
            await self._renew()
            return await self._call(verb, method, token=self.credentials.access_jwt, **request)

    async def _renew(self) -> None:
        """Refresh the session, or sign in anew, and keep the new tokens before anything is done with them.

        A server accepts a refresh token for two hours after its use, so two workers may do this at once.
        """
        session: Json | None = None
        if self.credentials.refresh_jwt is not None:
            try:
                session = await self._call(
                    "POST", "com.atproto.server.refreshSession", token=self.credentials.refresh_jwt
                )
            except _Stale:
                session = None
        self.credentials = self.credentials.with_session(session or await self._sign_in())
        await self._link.keep(self.credentials)

    async def _sign_in(self) -> Json:
        who = self.credentials
        body = {"identifier": who.identifier, "password": who.app_password.get_secret_value()}
        try:
            return await self._call("POST", "com.atproto.server.createSession", json=body)
        except _Stale as error:
            raise Unauthorized(
                N_(
                    "%(service)s does not accept the app password of %(identifier)s. Make a new one in Bluesky's settings and enter it here."
                )
                % {"service": who.service, "identifier": who.identifier}
            ) from error

    async def _call(
        self,
        verb: str,
        method: str,
        *,
        token: SecretStr | None = None,
        sending: bool = False,
        kind: str = "",
        **request: Any,
    ) -> Json:
        service = self.credentials.service
        headers = {"authorization": f"Bearer {token.get_secret_value()}"} if token else {}
        headers |= {"content-type": kind} if kind else {}
        headers |= {"atproto-proxy": CHAT} if method.startswith("chat.bsky.") else {}
        try:
            with reaching(service, sending=sending):
                response = await self._link.http.request(verb, f"{service}/xrpc/{method}", headers=headers, **request)
            self.budget = budget(response.headers) or self.budget
            return self._read(response)
        except ConnectorError as error:
            if not sending:
                error.delivered = False  # nothing but a write can leave a reply behind
            raise

    def _read(self, response: httpx.Response) -> Json:
        service, body = self.credentials.service, _json(response)
        if response.is_success and body is not None:
            return body
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            wait = _wait(response.headers, self._link.now)
            raise RateLimited(
                N_("%(service)s asks us to slow down and wait %(seconds)s s.")
                % {"service": service, "seconds": format(wait.total_seconds(), ".0f")},
                wait,
            )
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR and not _is_absent(body):
            raise ChannelDown(
                N_("%(service)s has trouble of its own (HTTP %(status_code)s). It is tried again later.")
                % {"service": service, "status_code": response.status_code}
            )
        if body is None:
            raise Malformed(
                N_(
                    "%(service)s answered HTTP %(status_code)s with something that is not JSON. Check that the address is a Bluesky server and that no proxy stands before it."
                )
                % {"service": service, "status_code": response.status_code}
            )
        raise self._refusal(response.status_code, body)

    def _refusal(self, status: int, body: Json) -> ConnectorError:
        error, said = (storable(str(body.get(key, "")))[:300] for key in ("error", "message"))
        who = self.credentials
        if error == "AuthFactorTokenRequired":
            return Unauthorized(
                N_("%(identifier)s signs in with a code by mail. Use an app password, which needs no code.")
                % {"identifier": who.identifier}
            )
        if error in _LOCKED:
            return Unauthorized(
                N_("The account %(identifier)s %(trouble)s. Sort that out on Bluesky.")
                % {"identifier": who.identifier, "trouble": _LOCKED[error]}
            )
        if error == "InvalidToken" and said in _NO_MESSAGES:
            return XrpcError(
                N_(
                    "The app password of %(identifier)s has no access to direct messages. Make one in Bluesky with 'Allow access to your direct messages' ticked, and enter it at the account."
                )
                % {"identifier": who.identifier},
                error,
            )
        if error in _STALE or status == httpx.codes.UNAUTHORIZED:
            return _Stale(
                N_("%(service)s does not accept our session as %(identifier)s: %(said)s. Reconnect it.")
                % {"service": who.service, "identifier": who.identifier, "said": said}
            )
        if _is_absent(body):
            return NotOffered(
                N_("%(service)s does not offer this (%(error)s).") % {"service": who.service, "error": error}, error
            )
        return XrpcError(
            N_("%(service)s refuses: %(said)s") % {"service": who.service, "said": said or error or f"HTTP {status}"},
            error,
        )


def _is_absent(body: Json | None) -> bool:
    return body is not None and body.get("error") in _ABSENT


def _json(response: httpx.Response) -> Json | None:
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def budget(headers: httpx.Headers) -> Budget | None:
    """What `RateLimit-Limit`, `-Remaining` and `-Reset` (seconds since 1970) say; None when they say nothing sound."""
    try:
        remaining, limit = int(headers["ratelimit-remaining"]), int(headers["ratelimit-limit"])
        resets_at = datetime.fromtimestamp(int(headers["ratelimit-reset"]), UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        return None
    return Budget(remaining=max(remaining, 0), limit=limit, resets_at=resets_at)


def _wait(headers: httpx.Headers, now: datetime) -> timedelta:
    """`Retry-After` where it is given, else until the window starts anew."""
    left = budget(headers)
    if "retry-after" in headers or left is None or left.resets_at is None:
        return retry_after(headers, now)
    return min(max(left.resets_at - now, timedelta(seconds=1)), _LONGEST_WAIT)
