"""Speaking to Reddit's API: signing in as a script or a web app, calls, refusals, the allowance of 100 calls a minute.

Rules: github.com/reddit-archive/reddit/wiki/OAuth2, /wiki/API (a User-Agent of one's own that names the account),
support.reddithelp.com "Reddit Data API Wiki" (x-ratelimit-*: used, remaining, seconds until reset).
"""

import base64
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
from pydantic import SecretStr

from app.connectors.answers import json_object, object_or_none, one_line
from app.connectors.base import Budget, Json, Link
from app.connectors.oauth import OAuth, fresh
from app.connectors.wire import reaching, refusal, retry_after
from app.errors import ConnectorError, Malformed, RateLimited, Refused, Unauthorized
from app.i18n import N_

HOST = "oauth.reddit.com"
BASE = f"https://{HOST}"
TOKEN = "https://www.reddit.com/api/v1/access_token"  # noqa: S105 - an address
SOON = timedelta(minutes=1)
_SHORTEST, _LONGEST = timedelta(seconds=1), timedelta(days=1)


class Gone(Refused):
    """What was asked for is not there, or not for us to see."""


class Api:
    """The calls of one connector method, signed in as our account."""

    def __init__(self, link: Link, oauth: OAuth) -> None:
        """Take credentials, client and clock from the link."""
        self.link = link
        self._oauth = oauth
        self._agent = {"User-Agent": f"web:careline:1.0 (by /u/{link.credentials.username})"}

    async def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Json:
        """The JSON object at this path; text in it is not escaped. Raises ConnectorError."""
        return json_object(await self._signed("GET", path, params={"raw_json": 1, **(params or {})}), HOST)

    async def post(self, path: str, form: Mapping[str, str]) -> Json:
        """Change something. Raises ConnectorError, MaybeSent among them."""
        return json_object(await self._signed("POST", path, data={"raw_json": "1", **form}, sending=True), HOST)

    async def _signed(self, method: str, path: str, **request: Any) -> httpx.Response:
        token = await self._token()
        try:
            return await self._once(method, path, token, **request)
        except Unauthorized:
            held = self.link.credentials
            if not (held.refresh_token.get_secret_value() or held.is_script):
                raise
            return await self._once(method, path, await self._token(refused=token), **request)

    async def _token(self, refused: str = "") -> str:
        """A web app's token is refreshed; a script signs in with its own name and password each hour."""
        held = self.link.credentials
        if not held.is_script:
            return await fresh(self.link, self._oauth, refused=refused)
        token: str = held.access_token.get_secret_value()
        if token and token != refused and held.expires_at is not None and held.expires_at > self.link.now + SOON:
            return token
        async with self.link.turn() as stored:
            return await self._password(stored)

    async def _password(self, held: Any) -> str:
        pair = f"{held.client_id}:{held.client_secret.get_secret_value()}"
        headers = {**self._agent, "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        form = {"grant_type": "password", "username": held.username, "password": held.password.get_secret_value()}
        with reaching(HOST):
            response = await self.link.http.post(TOKEN, data=form, headers=headers)
        error = _problem(response, self.link)
        if error is not None:
            raise error
        said = json_object(response, HOST)
        token, seconds = said.get("access_token"), said.get("expires_in")
        if not isinstance(token, str) or not token:
            raise Unauthorized(N_("Reddit refuses the script's name or password. Correct them on the account's page."))
        ends = self.link.now + timedelta(seconds=seconds if isinstance(seconds, int) else 3600)
        await self.link.keep(held.model_copy(update={"access_token": SecretStr(token), "expires_at": ends}))
        return token

    async def _once(
        self, method: str, path: str, token: str, *, sending: bool = False, **request: Any
    ) -> httpx.Response:
        headers = {**self._agent, "Authorization": f"Bearer {token}"}
        with reaching(HOST, sending=sending):
            response = await self.link.http.request(method, BASE + path, headers=headers, **request)
        told = _budget(response, self.link)
        if told is not None:
            await self.link.note(told)
        error = _problem(response, self.link)
        if error is not None:
            raise error
        return response


def listing(answer: Json) -> tuple[list[Any], str | None]:
    """A listing's entries, and the name after which the next page begins. Raises Malformed."""
    data = answer.get("data")
    children = data.get("children") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(children, list):
        raise Malformed(N_("%(host)s answered with JSON of another shape than its API promises.") % {"host": HOST})
    after = data.get("after")
    return children, after if isinstance(after, str) and after else None


def _number(value: str) -> float | None:
    try:
        return max(float(value), 0.0)
    except ValueError:
        return None


def _budget(response: httpx.Response, link: Link) -> Budget | None:
    remaining = _number(response.headers.get("x-ratelimit-remaining", ""))
    used = _number(response.headers.get("x-ratelimit-used", ""))
    reset = _number(response.headers.get("x-ratelimit-reset", ""))
    if remaining is None or used is None or reset is None:
        return None
    ends = link.now + min(timedelta(seconds=min(reset, 86_400.0)), _LONGEST)
    return Budget(int(remaining), int(remaining + used), ends)


def _problem(response: httpx.Response, link: Link) -> ConnectorError | None:
    error = refusal(response, HOST, link.now)
    if error is None:
        return None
    said = _explanation(response)
    if isinstance(error, RateLimited):
        reset = _number(response.headers.get("x-ratelimit-reset", ""))
        told = "retry-after" in response.headers or reset is None
        wait = retry_after(response.headers, link.now) if told else timedelta(seconds=min(reset or 0.0, 86_400.0))
        return RateLimited(N_("%(host)s asks us to slow down.") % {"host": HOST}, max(wait, _SHORTEST))
    if response.status_code == httpx.codes.FORBIDDEN:
        return Refused(N_("Reddit refuses this%(said)s. Is it private, or are we banned there?") % {"said": said})
    if isinstance(error, Unauthorized):
        return Unauthorized(
            N_("Reddit refuses our sign-in%(said)s. Sign in again on the account's page.") % {"said": said}
        )
    if isinstance(error, Refused):
        kind = Gone if response.status_code == httpx.codes.NOT_FOUND else Refused
        told_status = {"status": response.status_code, "said": said}
        return kind(N_("Reddit will not take this (HTTP %(status)s)%(said)s.") % told_status)
    return error


def _explanation(response: httpx.Response) -> str:
    value = object_or_none(response.content) or {}
    said = value.get("explanation") or value.get("reason") or value.get("message") or value.get("error")
    return f": {one_line(said, 200)}" if said else ""
