"""Speaking XRPC, the AT Protocol's HTTP: the password session with its refresh, errors as our tree, what is left to us.

Sources: https://atproto.com/specs/xrpc and the lexicons `com.atproto.server.createSession` and `refreshSession`.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pydantic import SecretStr

from app.connectors.base import Budget, Json, Link
from app.connectors.bluesky_account import SIGN_IN, BlueskyCredentials
from app.connectors.oauth import fresh
from app.connectors.text import storable
from app.connectors.wire import reaching, retry_after
from app.errors import ChannelDown, ConnectorError, Malformed, RateLimited, Refused, Unauthorized
from app.i18n import N_

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
        self._nonce = ""
        self._link = link

    async def did(self) -> str:
        """Our own identity, which never changes. Signs in when it is not known yet."""
        if self.credentials.signed_in:
            return self.credentials.subject
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
        if self.credentials.signed_in:
            return await self._proved(verb, method, **request)
        if self.credentials.access_jwt is None:
            await self._renew()
        try:
            return await self._call(verb, method, token=self.credentials.access_jwt, **request)
        except _Stale:
            await self._renew()
            return await self._call(verb, method, token=self.credentials.access_jwt, **request)

    async def _proved(self, verb: str, method: str, **request: Any) -> Json:
        """The same with tokens of OAuth, which are bound to our key."""
        token = await fresh(self._link, SIGN_IN)
        try:
            return await self._call(verb, method, token=SecretStr(token), **request)
        except _Stale:
            again = await fresh(self._link, SIGN_IN, refused=token)
            return await self._call(verb, method, token=SecretStr(again), **request)

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
        if not who.app_password.get_secret_value():
            raise Unauthorized(
                N_("Nobody has signed in at %(host)s yet. Do so on the account's page.") % {"host": who.service}
            )
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
        service = self.credentials.place
        url = f"{service}/xrpc/{method}"
        headers: dict[str, str] = {}
        headers |= {"content-type": kind} if kind else {}
        headers |= {"atproto-proxy": CHAT} if method.startswith("chat.bsky.") else {}
        try:
            response = await self._requested(verb, url, token, headers, sending=sending, **request)
            if response.status_code == httpx.codes.UNAUTHORIZED and "use_dpop_nonce" in response.text:
                response = await self._requested(verb, url, token, headers, sending=sending, **request)
            self.budget = budget(response.headers) or self.budget
            return self._read(response)
        except ConnectorError as error:
            if not sending:
                error.delivered = False  # nothing but a write can leave a reply behind
            raise

    async def _requested(
        self, verb: str, url: str, token: SecretStr | None, headers: dict[str, str], *, sending: bool, **request: Any
    ) -> httpx.Response:
        """One request, and the nonce that the next proof has to hold."""
        who, given = self.credentials, token.get_secret_value() if token else ""
        if given and who.signed_in:
            proved = who.proof(verb, url, self._link.now, nonce=self._nonce, token=given)
            headers = headers | {"authorization": f"DPoP {given}"} | proved
        elif given:
            headers = headers | {"authorization": f"Bearer {given}"}
        with reaching(who.place, sending=sending):
            response = await self._link.http.request(verb, url, headers=headers, **request)
        self._nonce = response.headers.get("dpop-nonce", self._nonce)
        return response

    def _read(self, response: httpx.Response) -> Json:
        service, body = self.credentials.place, _json(response)
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
