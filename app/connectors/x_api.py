"""Speaking to X's API v2: calls, refusals, allowances by endpoint, what a read costs.

Rules: docs.x.com, "Rate limits" (a window for each endpoint, told by x-rate-limit-*), "Response codes and errors"
(problem documents), "Usage" (a post counts once a UTC day, however often it is read); the X API v2 OpenAPI description.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from app.connectors.answers import json_object, object_or_none, one_line
from app.connectors.base import Allowance, Budget, Json, Link, Period, Quota, Spent
from app.connectors.oauth import OAuth, fresh
from app.connectors.wire import reaching, refusal, retry_after
from app.errors import ConnectorError, Malformed, MaybeSent, RateLimited, Refused, Unauthorized
from app.i18n import N_

HOST = "api.x.com"
BASE = f"https://{HOST}"
READS = "reads"
_SHORTEST, _LONGEST = timedelta(seconds=1), timedelta(days=1)
_DUPLICATE = "duplicate content"
_TITLES = {
    READS: N_("Posts read in a month"),
    "mentions": N_("Calls for mentions"),
    "search": N_("Calls for searches"),
    "timeline": N_("Calls for our own posts"),
    "messages": N_("Calls for messages"),
    "lookup": N_("Calls for single posts"),
    "post": N_("Posts written"),
    "post-day": N_("Posts written in a day"),
    "message": N_("Messages written"),
    "media": N_("Pictures uploaded"),
    "delete": N_("Deletions"),
    "me": N_("Calls for our own account"),
}


class Gone(Refused):
    """What was asked for is not there, or not for us to see."""


def allowance(name: str) -> Allowance:
    """An endpoint's window, whose rest X tells."""
    return Allowance(name, _TITLES[name])


def reads(limit: int) -> Allowance:
    """What may be read in a month: X does not tell it to a user's token, so it is counted."""
    return Allowance(READS, _TITLES[READS], Quota(limit, Period.MONTH))


class Api:
    """The calls of one connector method, signed in as our account."""

    def __init__(self, link: Link, oauth: OAuth) -> None:
        """Take credentials, client and clock from the link."""
        self.link = link
        self._oauth = oauth

    async def get(self, endpoint: str, path: str, params: Mapping[str, str | int]) -> Json:
        """The JSON object at this path; `endpoint` names its allowance. Raises ConnectorError."""
        return read_object(await self._signed("GET", path, endpoint, params=dict(params)))

    async def send(self, method: str, endpoint: str, path: str, body: Json | None = None, **request: Any) -> Json:
        """Change something. Raises ConnectorError, MaybeSent among them."""
        if body is not None:
            request["json"] = body
        return read_object(await self._signed(method, path, endpoint, sending=True, **request))

    async def upload(self, path: str, **request: Any) -> Json:
        """Bring a picture, or words for one. Raises ConnectorError."""
        response = await self._signed("POST", path, "media", **request)
        return read_object(response) if response.content else {}

    async def paid(self, answer: Json) -> None:
        """Count what an answer cost: its posts, each once a day."""
        names = [str(one["id"]) for one in entries(answer) if isinstance(one, dict) and one.get("id")]
        if names:
            await self.link.note(Spent(READS, len(names), once=tuple(names)))

    async def _signed(self, method: str, path: str, endpoint: str, **request: Any) -> httpx.Response:
        token = await fresh(self.link, self._oauth)
        try:
            return await self.call(method, path, endpoint, token, **request)
        except Unauthorized:
            if not self.link.credentials.refresh_token.get_secret_value():
                raise
            newer = await fresh(self.link, self._oauth, refused=token)
            return await self.call(method, path, endpoint, newer, **request)

    async def call(
        self, method: str, path: str, endpoint: str, token: str, *, sending: bool = False, **request: Any
    ) -> httpx.Response:
        """One request with this token. Raises ConnectorError."""
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        with reaching(HOST, sending=sending):
            response = await self.link.http.request(method, BASE + path, headers=headers, **request)
        for told in budgets(response, endpoint):
            await self.link.note(told)
        error = problem(response, endpoint, self.link.now)
        if error is not None:
            raise error
        return response


def read_object(response: httpx.Response) -> Json:
    """The JSON object that was answered. Raises Malformed."""
    return json_object(response, HOST)


def entries(answer: Json) -> list[Any]:
    """What a list brings; X leaves `data` out of an empty one. Raises Malformed for an answer of no known shape."""
    found = answer.get("data", [] if "meta" in answer or "errors" in answer else None)
    if not isinstance(found, list):
        raise Malformed(N_("%(host)s answered with JSON of another shape than its API promises.") % {"host": HOST})
    return found


def budgets(response: httpx.Response, endpoint: str) -> list[Budget]:
    """What the headers tell of the endpoint's window, and of the day where writing has a second limit."""
    found = [_budget(response, "x-rate-limit-", endpoint)]
    if endpoint == "post":
        found.append(_budget(response, "x-user-limit-24hour-", "post-day"))
    return [one for one in found if one is not None]


def _budget(response: httpx.Response, prefix: str, name: str) -> Budget | None:
    numbers = [response.headers.get(prefix + one, "") for one in ("remaining", "limit", "reset")]
    if not all(number.isascii() and number.isdigit() for number in numbers):
        return None
    remaining, limit, reset = map(int, numbers)
    try:
        return Budget(remaining, limit, datetime.fromtimestamp(reset, UTC), name)
    except (ValueError, OverflowError, OSError):
        return None


def problem(response: httpx.Response, endpoint: str, now: datetime) -> ConnectorError | None:
    """What a refusal of X means, in its own words. Its 403 says whether credentials, text or parent are wrong."""
    error = refusal(response, HOST, now)
    if error is None:
        return None
    kind, said = _explanation(response)
    if isinstance(error, RateLimited):
        return _limited(response, endpoint, kind, now)
    if response.status_code == httpx.codes.FORBIDDEN:
        return _forbidden(kind, said)
    told = {"host": HOST, "status": response.status_code, "said": f": {said}" if said else ""}
    if isinstance(error, Unauthorized):
        return Unauthorized(
            N_("%(host)s refuses our access token%(said)s. Sign in again on the account's page.") % told
        )
    if isinstance(error, Refused):
        kind_of = Gone if response.status_code == httpx.codes.NOT_FOUND else Refused
        return kind_of(N_("%(host)s will not take this (HTTP %(status)s)%(said)s.") % told)
    return error


def _forbidden(kind: str, said: str) -> ConnectorError:
    if _DUPLICATE in said.casefold():
        return MaybeSent(N_("X says that this very text stands there already: %(said)s") % {"said": said})
    if kind in {"unsupported-authentication", "client-forbidden"}:
        return Unauthorized(
            N_("X does not let our app do this: %(said)s. Check its plan and its scopes, then sign in again.")
            % {"said": said or kind}
        )
    return Refused(N_("X refuses this: %(said)s") % {"said": said or N_("it gives no reason")})


def _limited(response: httpx.Response, endpoint: str, kind: str, now: datetime) -> RateLimited:
    """The window that is used up, the one of the day, or the month's reads (`usage-capped`)."""
    if kind == "usage-capped":
        return RateLimited(N_("The posts that X lets us read are used up."), _LONGEST, READS)
    told = [one for one in budgets(response, endpoint) if one.remaining == 0 and one.resets_at is not None]
    resets = max((one.resets_at for one in told if one.resets_at is not None), default=None)
    if "retry-after" in response.headers or resets is None:
        wait = retry_after(response.headers, now)
    else:
        wait = min(max(resets - now, _SHORTEST), _LONGEST)
    return RateLimited(N_("%(host)s asks us to slow down.") % {"host": HOST}, wait, endpoint)


def _explanation(response: httpx.Response) -> tuple[str, str]:
    """The kind of problem (last part of its `type`), and X's words for it."""
    value = object_or_none(response.content) or {}
    errors = value.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    said = first.get("message") or value.get("detail") or first.get("detail") or value.get("title") or ""
    return str(value.get("type", "")).rpartition("/")[2], one_line(said, 300)
