"""Speaking to a server with Mastodon's API: calls, refusals, allowances, pages.

Rules: docs.joinmastodon.org/api/rate-limits, /api/guidelines (paging by Link headers), /entities/Error.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from app.connectors.answers import object_or_none, one_line
from app.connectors.base import Budget, Json, Link
from app.connectors.mastodon_app import SIGN_IN
from app.connectors.oauth import fresh
from app.connectors.text import storable_json
from app.connectors.wire import STREAM, reaching, refusal, retry_after
from app.errors import ConnectorError, Malformed, RateLimited, Refused, Unauthorized
from app.i18n import N_

PAGE = 40  # the most that timelines give at once
QUIET = 60.0  # seconds without so much as a comment: the stream is dead
_SHORTEST, _LONGEST = timedelta(seconds=1), timedelta(days=1)


class Gone(Refused):
    """What was asked for is not there, or not for us to see."""


@dataclass(frozen=True, slots=True)
class Page:
    """Entries as the server gives them, newest first; `below` is the `max_id` of the next page, None at the end."""

    entries: list[Any]
    below: str | None


class Server:
    """One server with one access token; remembers the allowance that its last answer spoke of."""

    def __init__(self, link: Link) -> None:
        """Take server, token, client and clock from the link."""
        self.base: str = link.credentials.server
        self.host = httpx.URL(self.base).host
        self.budget: Budget | None = None
        self._http = link.http
        self._now = link.now
        self._link = link

    async def get(self, path: str, **params: str | int | list[str]) -> Any:
        """The JSON at this path. Raises ConnectorError."""
        return self._json(await self._call("GET", path, params=params))

    async def get_object(self, path: str, **params: str | int | list[str]) -> Json:
        """The JSON object at this path. Raises ConnectorError."""
        return self._object(await self.get(path, **params))

    async def get_page(self, path: str, below: str | None, **params: str | int | list[str]) -> Page:
        """One page of a list, the newest or the one below this id. Raises ConnectorError."""
        if below is not None:
            params["max_id"] = below
        response = await self._call("GET", path, params={"limit": PAGE, **params})
        entries = self._json(response)
        if not isinstance(entries, list):
            raise Malformed(N_("%(host)s answered with something that is not a list of posts.") % {"host": self.host})
        return Page(entries, _next_page(response, entries, below))

    async def post(self, path: str, body: Json, key: str) -> Json:
        """Send once; `key` lets the server drop a repeat. Raises ConnectorError, MaybeSent among them."""
        response = await self._call("POST", path, json=body, headers={"Idempotency-Key": key}, sending=True)
        return self._object(self._json(response))

    async def put(self, path: str, body: Json) -> Json:
        """Change what stands at this path. Raises ConnectorError, Gone among them; a repeat is harmless."""
        return self._object(self._json(await self._call("PUT", path, json=body)))

    async def delete(self, path: str) -> Json:
        """Delete what stands at this path. Raises ConnectorError, Gone among them; a repeat is harmless."""
        return self._object(self._json(await self._call("DELETE", path)))

    async def upload(self, path: str, files: Json, data: Json) -> Json:
        """Bring a file. Raises ConnectorError."""
        return self._object(self._json(await self._call("POST", path, files=files, data=data)))

    async def token(self) -> str:
        """The access token, for where it stands in the address. Raises ConnectorError."""
        return await fresh(self._link, SIGN_IN)

    @asynccontextmanager
    async def stream(self, url: str, params: dict[str, str]) -> AsyncIterator[httpx.Response | None]:
        """An answer that goes on as server-sent events; None where the server gives none here. Raises ConnectorError."""
        headers = {"Authorization": f"Bearer {await self.token()}", "Accept": "text/event-stream"}
        timeout = httpx.Timeout(30.0, read=QUIET)
        with reaching(self.host):
            stream = self._http.stream("GET", url, params=params, headers=headers, timeout=timeout, extensions=STREAM)
            async with stream as response:
                if not response.is_success:
                    await response.aread()
                error = self._refusal(response)
                if error is not None and not isinstance(error, Refused):
                    raise error
                kind = response.headers.get("content-type", "")
                yield response if error is None and kind.startswith("text/event-stream") else None

    async def _call(
        self, method: str, path: str, *, sending: bool = False, headers: dict[str, str] | None = None, **request: Any
    ) -> httpx.Response:
        async def once(token: str) -> httpx.Response:
            signed = {"Authorization": f"Bearer {token}", "Accept": "application/json", **(headers or {})}
            with reaching(self.host, sending=sending):
                return await self._http.request(method, self.base + path, headers=signed, **request)

        token = await fresh(self._link, SIGN_IN)
        response = await once(token)
        if response.status_code == httpx.codes.UNAUTHORIZED and self._can_refresh:
            response = await once(await fresh(self._link, SIGN_IN, refused=token))
        self.budget = _budget(response) or self.budget
        error = self._refusal(response)
        if error is not None:
            raise error
        return response

    @property
    def _can_refresh(self) -> bool:
        """Mastodon's own tokens never end; those of some other makes do, and come with a refresh token."""
        return bool(self._link.credentials.refresh_token.get_secret_value())

    def _refusal(self, response: httpx.Response) -> ConnectorError | None:
        error = refusal(response, self.host, self._now)
        said = _explanation(response) if error else ""
        if isinstance(error, RateLimited):
            return RateLimited(N_("%(host)s asks us to slow down.") % {"host": self.host}, self._wait(response))
        if isinstance(error, Unauthorized):
            return Unauthorized(
                N_("%(host)s refuses our access token%(said)s. Make a new one there and reconnect.")
                % {"host": self.host, "said": said}
            )
        if isinstance(error, Refused):
            gone = response.status_code in {httpx.codes.NOT_FOUND, httpx.codes.GONE}
            kind = Gone if gone else Refused
            return kind(
                N_("%(host)s will not take this (HTTP %(status_code)s)%(said)s.")
                % {"host": self.host, "status_code": response.status_code, "said": said}
            )
        return error

    def _wait(self, response: httpx.Response) -> timedelta:
        """`Retry-After` wins; Mastodon itself only says when the allowance is full again."""
        reset = _moment(response.headers.get("x-ratelimit-reset", ""))
        if "retry-after" in response.headers or reset is None:
            return retry_after(response.headers, self._now)
        return min(max(reset - (_server_time(response) or self._now), _SHORTEST), _LONGEST)

    def _json(self, response: httpx.Response) -> Any:
        try:
            return storable_json(json.loads(response.content))
        except (ValueError, RecursionError) as error:
            raise Malformed(
                N_(
                    "%(host)s answered with something that is not JSON. Is it a server with Mastodon's API, and does no proxy answer in its place?"
                )
                % {"host": self.host}
            ) from error

    def _object(self, value: Any) -> Json:
        if not isinstance(value, dict):
            raise Malformed(
                N_("%(host)s answered with JSON of another shape than its API promises.") % {"host": self.host}
            )
        return value


def not_newer(one: str, other: str) -> bool:
    """Whether the id `one` is at most `other`: ids are numbers or ULIDs as text, so longer is newer, else compare."""
    return (len(one), one) <= (len(other), other)


def _next_page(response: httpx.Response, entries: list[Any], below: str | None) -> str | None:
    """The `max_id` that the Link header names; without that header the last entry's id, where there is one."""
    if "link" in response.headers:
        found = _max_id(response)
    else:
        last = entries[-1].get("id") if entries and isinstance(entries[-1], dict) else None
        found = last if isinstance(last, str) else None
    if found is None or (below is not None and not_newer(below, found)):
        return None  # a server that does not go down would be asked without end
    return found


def _max_id(response: httpx.Response) -> str | None:
    try:
        found = httpx.URL(response.links.get("next", {}).get("url", "")).params.get("max_id")
    except httpx.InvalidURL:
        return None
    return str(found) if found else None


def _explanation(response: httpx.Response) -> str:
    said = (object_or_none(response.content) or {}).get("error")
    return f": {one_line(said, 200)}" if said else ""


def _budget(response: httpx.Response) -> Budget | None:
    remaining = response.headers.get("x-ratelimit-remaining", "")
    limit = response.headers.get("x-ratelimit-limit", "")
    if not remaining.isascii() or not remaining.isdigit():
        return None
    return Budget(
        remaining=int(remaining),
        limit=int(limit) if limit.isascii() and limit.isdigit() else None,
        resets_at=_moment(response.headers.get("x-ratelimit-reset", "")),
    )


def _moment(value: str) -> datetime | None:
    """ISO 8601 as Mastodon writes it, or the seconds since 1970 that other makes give."""
    try:
        if value.isascii() and value.isdigit():
            return datetime.fromtimestamp(int(value), UTC)
        at = datetime.fromisoformat(value)
    except (ValueError, OverflowError, OSError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _server_time(response: httpx.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(response.headers["date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return None
