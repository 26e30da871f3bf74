"""Speaking to a forum that runs Discourse: calls signed with an API key, refusals, waiting times.

Rules: docs.discourse.org (its OpenAPI description). How a forum refuses (403 for a bad key as for what is not ours to see,
422 with `errors`, 429 with `extras.wait_seconds`, 503 `read_only`): app/controllers/application_controller.rb there.
"""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from app.connectors.answers import object_or_none
from app.connectors.base import IncomingAuthor, Json, Link
from app.connectors.text import storable_json
from app.connectors.wire import reaching, refusal, retry_after
from app.errors import ChannelDown, ConnectorError, Malformed, RateLimited, Refused, Unauthorized, Unreachable
from app.i18n import N_

_LONGEST_WAIT = 86_400.0  # seconds


class Gone(Refused):
    """What was asked for is not there."""


class Forum:
    """One forum, called as one user of it."""

    def __init__(self, link: Link) -> None:
        """Take address, key, client and clock from the link."""
        self.link = link
        self.base: str = link.credentials.server
        self.host = urlsplit(self.base).netloc
        self.username: str = link.credentials.username

    async def get(self, path: str, **params: str | int | list[int]) -> Json:
        """The JSON object at this path. Raises ConnectorError."""
        return self._read(await self._call("GET", path, params=params))

    async def follow(self, place: str) -> Json:
        """The next page of a list, at the address that the forum gave for it. Raises ConnectorError."""
        return self._read(await self._call("GET", place, whole=True))

    async def seen(self, path: str, **params: str | int | list[int]) -> Json | None:
        """The same; None when there is no such thing, or we may not see it. Raises ConnectorError.

        A forum refuses a bad key in the same words as what is not for us, so the key is tried elsewhere first.
        """
        try:
            return await self.get(path, **params)
        except Gone:
            return None
        except Unauthorized:
            await self.me()
            return None

    async def post(self, path: str, body: Json) -> Json:
        """Send once. Raises ConnectorError, MaybeSent among them."""
        return self._read(await self._call("POST", path, json=body, sending=True))

    async def upload(self, path: str, files: Json, data: Json) -> Json:
        """Bring a file. Raises ConnectorError."""
        return self._read(await self._call("POST", path, files=files, data=data))

    async def put(self, path: str, body: Json) -> Json:
        """Change what stands there; a repeat is harmless. Raises ConnectorError."""
        return self._read(await self._call("PUT", path, json=body, ours=True))

    async def delete(self, path: str) -> None:
        """Delete what stands there; a repeat is harmless. Raises ConnectorError, Gone among them."""
        response = await self._call("DELETE", path, ours=True)
        if response.content.strip():
            raise Malformed(
                N_("%(host)s did not say whether it deleted the post. It is tried again.") % {"host": self.host}
            )

    async def me(self) -> IncomingAuthor:
        """Whom we call as. Raises ConnectorError."""
        user = (await self.get(f"/u/{self.username}.json")).get("user")
        name = user.get("id") if isinstance(user, dict) else None
        if not isinstance(user, dict) or not isinstance(name, int):
            raise Malformed(N_("%(host)s did not say who this user is.") % {"host": self.host})
        handle = str(user.get("username") or self.username)
        return self.author(name, handle, str(user.get("name") or ""), str(user.get("avatar_template") or ""))

    def author(self, number: int, handle: str, name: str = "", avatar: str = "") -> IncomingAuthor:
        """A user of this forum. Names can be changed there, the number cannot."""
        picture = self.absolute(avatar.replace("{size}", "96")) if avatar else None
        return IncomingAuthor(f"{self.base}/user/{number}", handle, name, f"{self.base}/u/{handle}", picture)

    def absolute(self, url: str) -> str:
        """An address as the forum writes it, made whole."""
        try:
            return urljoin(self.base, url)
        except ValueError:
            return ""

    async def _call(
        self, method: str, path: str, *, sending: bool = False, ours: bool = False, whole: bool = False, **request: Any
    ) -> httpx.Response:
        """`ours`: what is not allowed is no fault of the key. Redirects are not followed: the key is for this host."""
        held = self.link.credentials
        headers = {
            "Api-Key": held.key.get_secret_value(),
            "Api-Username": self.username,
            "Accept": "application/json",
        }
        url = self.absolute(path) if whole else self.base + path
        if urlsplit(url).netloc != urlsplit(self.base).netloc:
            raise Malformed(N_("%(host)s names another host for its next page.") % {"host": self.host})
        with reaching(self.host, sending=sending):
            response = await self.link.http.request(method, url, headers=headers, follow_redirects=False, **request)
        error = self._refusal(response, ours=ours)
        if error is not None:
            raise error
        return response

    def _refusal(self, response: httpx.Response, *, ours: bool) -> ConnectorError | None:
        error = refusal(response, self.host, self.link.now)
        if error is None:
            return None
        body = object_or_none(response.content) or {}
        told = {"host": self.host, "status": response.status_code, "said": _said(body)}
        if isinstance(error, RateLimited):
            wait = _wait(body) or retry_after(response.headers, self.link.now)
            return RateLimited(N_("%(host)s asks us to slow down.") % told, wait)
        if isinstance(error, ChannelDown):
            if body.get("error_type") != "read_only":
                return error
            error = Unreachable(N_("%(host)s is in read-only mode and takes nothing. It is tried again later.") % told)
        elif isinstance(error, Unauthorized) and not ours:
            error = Unauthorized(
                N_("%(host)s refuses our API key, or what we ask is not for this user%(said)s. Check both.") % told
            )
        elif response.is_redirect:
            error = Refused(N_("%(host)s stands elsewhere now. Correct the forum's address.") % told)
        elif response.is_client_error:
            gone = response.status_code in {httpx.codes.NOT_FOUND, httpx.codes.GONE}
            error = (Gone if gone else Refused)(N_("%(host)s will not take this (HTTP %(status)s)%(said)s.") % told)
        return error

    def _read(self, response: httpx.Response) -> Json:
        try:
            value = storable_json(json.loads(response.content))
        except (ValueError, RecursionError) as error:
            raise Malformed(
                N_("%(host)s answered with something that is not JSON. Is it a forum that runs Discourse?")
                % {"host": self.host}
            ) from error
        if not isinstance(value, dict):
            raise self.odd()
        return value

    def odd(self) -> Malformed:
        """For an answer of another shape than the description promises."""
        return Malformed(
            N_("%(host)s answered with JSON of another shape than its API promises.") % {"host": self.host}
        )


def _said(body: Json) -> str:
    errors = body.get("errors")
    words = " ".join(" ".join(str(one) for one in errors).split())[:300] if isinstance(errors, list) else ""
    return f": {words}" if words else ""


def _wait(body: Json) -> timedelta | None:
    extras = body.get("extras")
    seconds = extras.get("wait_seconds") if isinstance(extras, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    return timedelta(seconds=min(max(float(seconds), 1.0), _LONGEST_WAIT))
