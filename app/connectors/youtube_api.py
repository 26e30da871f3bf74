"""Speaking to the YouTube Data API v3: calls, what each costs in quota units, refusals.

Rules: developers.google.com/youtube/v3/docs/errors (errors by `reason`), /determine_quota_cost (a list 1, a search 100,
a write 50; full again at midnight Pacific time), checked against the discovery document of the API.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from app.connectors.answers import json_object, object_or_none, one_line
from app.connectors.base import Json, Link, Spent
from app.connectors.oauth import OAuth, fresh
from app.connectors.wire import reaching, refusal, retry_after
from app.errors import ConnectorError, Malformed, RateLimited, Refused, Unauthorized
from app.i18n import N_

HOST = "youtube.googleapis.com"
BASE = f"https://{HOST}/youtube/v3"
UNITS = "units"
LIST, SEARCH, WRITE = 1, 100, 50  # units
_PACIFIC = ZoneInfo("America/Los_Angeles")
_USED_UP = {"quotaExceeded", "dailyLimitExceeded"}
_TOO_FAST = {"rateLimitExceeded", "userRateLimitExceeded", "servingLimitExceeded", "concurrentLimitExceeded"}
_SIGN_IN = {"authError", "keyInvalid", "keyExpired", "accessNotConfigured", "insufficientPermissions", "required"}


class Gone(Refused):
    """What was asked for is not there."""


class Api:
    """The calls of one connector method, by OAuth where the account signed in, else by API key (reading only)."""

    def __init__(self, link: Link, oauth: OAuth) -> None:
        """Take credentials, client and clock from the link. `left` is how many units this call may still use."""
        self.link = link
        self.left: int | None = link.room.get(UNITS)
        self._oauth = oauth

    async def get(self, path: str, params: Mapping[str, str | int], cost: int = LIST) -> Json:
        """The JSON object at this path. Raises ConnectorError."""
        return json_object(await self._call("GET", path, cost, params=dict(params)), HOST)

    async def post(self, path: str, params: Mapping[str, str], body: Json) -> Json:
        """Write. Raises ConnectorError, MaybeSent among them."""
        return json_object(await self._call("POST", path, WRITE, params=dict(params), json=body, sending=True), HOST)

    async def delete(self, path: str, params: Mapping[str, str]) -> None:
        """Delete; only an empty answer is a certain one. Raises ConnectorError."""
        response = await self._call("DELETE", path, WRITE, params=dict(params))
        if response.status_code != httpx.codes.NO_CONTENT:
            raise Malformed(N_("YouTube did not say whether it deleted the comment. It is tried again."))

    async def _call(self, method: str, path: str, cost: int, **request: Any) -> httpx.Response:
        held = self.link.credentials
        if not held.signed_in and not held.client_id:
            if method != "GET":
                raise Refused(N_("The account has an API key only, which reads. Sign in with it to answer."))
            request["params"]["key"] = held.api_key.get_secret_value()
            return await self._once(method, path, cost, {}, **request)
        token = await fresh(self.link, self._oauth)
        try:
            return await self._once(method, path, cost, _bearer(token), **request)
        except Unauthorized:
            if not held.refresh_token.get_secret_value():
                raise
            newer = await fresh(self.link, self._oauth, refused=token)
            return await self._once(method, path, cost, _bearer(newer), **request)

    async def _once(
        self, method: str, path: str, cost: int, headers: dict[str, str], *, sending: bool = False, **request: Any
    ) -> httpx.Response:
        with reaching(HOST, sending=sending):
            response = await self.link.http.request(method, BASE + path, headers=headers, **request)
        error = _problem(response, self.link)
        if not isinstance(error, RateLimited):  # YouTube counts what fails as well
            await self.link.note(Spent(UNITS, cost))
            self.left = None if self.left is None else self.left - cost
        if error is not None:
            raise error
        return response


def midnight(now: datetime) -> timedelta:
    """How long it is until the day's quota is full again."""
    local = now.astimezone(_PACIFIC)
    ends = local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return max(ends.astimezone(UTC) - now.astimezone(UTC), timedelta(minutes=1))


def items(answer: Json) -> list[Any]:
    """What a list brings. Raises Malformed."""
    found = answer.get("items")
    if not isinstance(found, list):
        raise Malformed(N_("%(host)s answered with JSON of another shape than its API promises.") % {"host": HOST})
    return found


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _problem(response: httpx.Response, link: Link) -> ConnectorError | None:
    """What a refusal means. YouTube says 403 for much; the reason beside it tells what is meant."""
    error = refusal(response, HOST, link.now)
    if error is None:
        return None
    reasons, said = _explanation(response)
    if reasons & _USED_UP:
        return RateLimited(N_("YouTube's quota of the day is used up."), midnight(link.now), UNITS)
    if reasons & _TOO_FAST or isinstance(error, RateLimited):
        wait = retry_after(response.headers, link.now)
        return RateLimited(N_("%(host)s asks us to slow down.") % {"host": HOST}, wait)
    if reasons & _SIGN_IN or response.status_code == httpx.codes.UNAUTHORIZED:
        return Unauthorized(
            N_("YouTube does not let us in: %(said)s Sign in again, or correct the API key, on the account's page.")
            % {"said": said or response.status_code}
        )
    if isinstance(error, Refused | Unauthorized):
        kind = Gone if response.status_code == httpx.codes.NOT_FOUND else Refused
        return kind(N_("YouTube refuses this: %(said)s") % {"said": said or f"HTTP {response.status_code}"})
    return error


def _explanation(response: httpx.Response) -> tuple[set[str], str]:
    """The reasons, as words of the API, and its sentence for people."""
    told = (object_or_none(response.content) or {}).get("error")
    if not isinstance(told, dict):
        return set(), ""
    errors = told.get("errors")
    found = errors if isinstance(errors, list) else []
    reasons = {str(one.get("reason")) for one in found if isinstance(one, dict)}
    return reasons, one_line(told.get("message", ""), 300)
