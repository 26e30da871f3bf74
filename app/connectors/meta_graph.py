"""Speaking to Meta's Graph API: calls, pages of edges, its errors and the share of its limits that is used.

Rules: developers.facebook.com/docs/graph-api, "Handling Errors", "Rate Limits", "Paginated Results", "Secure Graph API
Calls" (appsecret_proof); codes of WhatsApp: "Cloud API error codes".
"""

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import httpx

from app.connectors.base import Budget, Json, Link
from app.connectors.text import storable, storable_json
from app.connectors.wire import is_web, reaching, read_bounded, refusal
from app.errors import ChannelDown, ConnectorError, Malformed, RateLimited, Refused, Unauthorized
from app.i18n import N_

HOST = "graph.facebook.com"
VERSION = "v24.0"  # of October 2025; Meta serves a version for two years at least
_FILE_HOSTS = ("lookaside.fbsbx.com", ".fbcdn.net", ".whatsapp.net")
_UNASKED_WAIT = timedelta(minutes=5)  # limits are counted over the last hour, and Meta seldom says when they end
_LONGEST_WAIT = timedelta(days=1)
_TIGHT = 90  # per cent used from which on polls rest, so that replies still go
_LIMITED = frozenset({4, 17, 32, 341, 613, 130429, 131048, 131056, 133016, *range(80000, 80015)})
_SIGNED_OUT = frozenset({102, 104, 190, 463, 467})
_FORBIDDEN = frozenset({3, 10, *range(200, 300)})
_TRANSIENT = frozenset({1, 2, 131000, 131016})
_INVALID = 100  # "Invalid parameter"
_LATE_MESSAGE = 2018278  # a subcode: "outside the allowed window"
_LATE_TEXT = 131047  # WhatsApp's "Re-engagement message"
_NOT_THERE = {33, 803, 2018218}  # subcodes and codes of an object that is gone, or not for us


class Gone(Refused):
    """What was asked for is not there (any more), or not for us to see."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One page of an edge; `after` asks for the next one, empty at the end."""

    entries: list[Any]
    after: str


class Graph:
    """The Graph API with one token; remembers what its last answer said of the limits."""

    host: ClassVar[str] = HOST

    def __init__(self, link: Link, token: str) -> None:
        """Take client, clock, app secret and version from the link."""
        self.budget: Budget | None = None
        self._base = f"https://{self.host}/{link.credentials.version}"
        self._http = link.http
        self._now = link.now
        signed, self._query = self.signed(link, token)
        self._headers = {"Accept": "application/json", **signed}

    def signed(self, link: Link, token: str) -> tuple[dict[str, str], dict[str, str]]:
        """Headers and parameters that let a call in."""
        secret = link.credentials.client_secret.get_secret_value()
        return {"Authorization": f"Bearer {token}"}, {"appsecret_proof": proof(secret, token)}

    async def get(self, path: str, **params: str | int) -> Json:
        """The object at this path. Raises ConnectorError."""
        return await self._call("GET", path, params=params)

    async def edge(self, path: str, after: str = "", **params: str | int) -> Edge:
        """One page of an edge, the first or the one after this cursor. Raises ConnectorError."""
        return page_of(await self.get(path, **params, **({"after": after} if after else {})))

    async def post(self, path: str, body: Json, *, files: Any = None) -> Json:
        """Send once: JSON, or a form with files. Raises ConnectorError, MaybeSent among them."""
        sent = {"json": body} if files is None else {"data": body, "files": files}
        return await self._call("POST", path, sending=True, **sent)

    async def ask(self, path: str, body: Json) -> Json:
        """A question whose secrets do not belong into an address. Raises ConnectorError."""
        return await self._call("POST", path, json=body)

    async def file(self, name: str, number: str, most: int) -> bytes:
        """A file of WhatsApp's, by its id. Raises ConnectorError, Refused when it is larger than `most` bytes.

        Our token goes to no other host than those of Meta that keep files.
        """
        url = str((await self.get(name, phone_number_id=number)).get("url") or "")
        host = httpx.URL(url).host if is_web(url) else ""
        if not host.endswith(_FILE_HOSTS):
            raise Refused(N_("%(host)s keeps no files of Meta's.") % {"host": host})
        with reaching(host):
            signed = {"Authorization": self._headers["Authorization"]}
            async with self._http.stream("GET", url, headers=signed, follow_redirects=False) as response:
                error = refusal(response, host, self._now)
                if error is not None:
                    raise error
                return await read_bounded(response, most, host)

    async def delete(self, path: str) -> Json:
        """Delete what stands at this path. Raises ConnectorError, Gone among them; a repeat is harmless."""
        return await self._call("DELETE", path)

    async def _call(
        self, method: str, path: str, *, params: dict[str, str | int] | None = None, sending: bool = False, **body: Any
    ) -> Json:
        query = {**(params or {}), **self._query}
        with reaching(self.host, sending=sending):
            response = await self._http.request(
                method, f"{self._base}/{path}", params=query, headers=self._headers, follow_redirects=False, **body
            )
        self.budget = budget_of(response.headers, self._now) or self.budget
        answer = _read(response)
        error = refused(response, answer, self._now, self.host)
        if error is not None:
            raise error
        if not isinstance(answer, dict):
            raise Malformed(N_("%(host)s answered with something other than its API promises.") % {"host": self.host})
        return answer


def proof(secret: str, token: str) -> str:
    """What shows that the app itself calls with this token."""
    return hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()


def page_of(answer: Json) -> Edge:
    """A page of an edge out of an answer, or out of a field that holds one. Raises Malformed."""
    entries = answer.get("data")
    if not isinstance(entries, list):
        raise Malformed(N_("%(host)s answered with something that is no list.") % {"host": HOST})
    paging = answer.get("paging")
    cursors = paging.get("cursors") if isinstance(paging, dict) and paging.get("next") else None
    after = cursors.get("after") if isinstance(cursors, dict) else None
    return Edge(entries, after if isinstance(after, str) else "")


def moment(value: Any) -> datetime | None:
    """A time as Meta writes it: ISO 8601 (`+0000`), or seconds or milliseconds since 1970."""
    try:
        if isinstance(value, int | float) or str(value).isdigit():
            seconds = float(value)
            return datetime.fromtimestamp(seconds / 1000 if seconds > 10**11 else seconds, UTC)
        at = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _read(response: httpx.Response) -> Any:
    """The answer's JSON; None for anything else."""
    try:
        return storable_json(json.loads(response.content))
    except (ValueError, RecursionError):
        return None


def refused(response: httpx.Response, answer: Any, now: datetime, host: str = HOST) -> ConnectorError | None:
    """The error that an answer means. Meta tells it by `error.code`, not by the status."""
    said = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(said, dict):
        return told(said, wait_of(response.headers))
    if response.is_success and answer is None:
        return Malformed(
            N_("%(host)s answered with something that is not JSON. Does a proxy answer in its place?") % {"host": host}
        )
    return refusal(response, host, now)


def told(said: Json, wait: timedelta | None) -> ConnectorError:
    """One of our errors for an error of Meta's, with its own words, code and trace id."""
    code, sub = _number(said.get("code")), _number(said.get("error_subcode"))
    words = {"said": _words(said)}
    if code in _LIMITED:
        return RateLimited(N_("Meta asks us to slow down: %(said)s") % words, wait or _UNASKED_WAIT)
    if code in _TRANSIENT or said.get("is_transient") is True:
        return ChannelDown(N_("Meta has trouble of its own: %(said)s It is tried again later.") % words)
    if code in _SIGNED_OUT:
        return Unauthorized(_ended(sub) % words)
    return _refusal(code, sub, words)


def _refusal(code: int, sub: int, words: Json) -> ConnectorError:
    if code in _NOT_THERE or (code == _INVALID and sub in _NOT_THERE):
        return Gone(N_("It is not there any more, or not for us to see: %(said)s") % words)
    if sub == _LATE_MESSAGE or code == _LATE_TEXT:
        return Refused(N_("The time for free answers is over: %(said)s") % words)
    if code in _FORBIDDEN:
        return Unauthorized(N_("A permission is missing: %(said)s Give it to the app, then connect again.") % words)
    return Refused(N_("Meta will not take this: %(said)s") % words)


def _ended(sub: int) -> str:
    """Why a token is worth nothing any more ("Handling Errors", subcodes)."""
    return {
        458: N_("Our app was removed there: %(said)s Connect the account again."),
        460: N_("The password was changed there: %(said)s Connect the account again."),
        463: N_("The access token has ended: %(said)s Connect the account again."),
    }.get(sub, N_("Meta refuses our access token: %(said)s Connect the account again."))


def _words(said: Json) -> str:
    """What Meta said, with what its support asks for."""
    words = said.get("error_user_msg") or said.get("message") or ""
    details = said.get("error_data")
    if isinstance(details, dict) and details.get("details"):
        words = details["details"]
    shown = " ".join(storable(str(words)).split())[:300]
    codes = "/".join(str(said[key]) for key in ("code", "error_subcode") if said.get(key) is not None)
    trace = f", {said['fbtrace_id']}" if isinstance(said.get("fbtrace_id"), str) else ""
    return f"{shown} ({codes}{trace})"


def _number(value: Any) -> int:
    return value if isinstance(value, int) else int(value) if isinstance(value, str) and value.isdigit() else 0


def budget_of(headers: httpx.Headers, now: datetime) -> Budget | None:
    """What is left, in per cent: the tightest of all limits that the answer speaks of ("Rate Limits", headers)."""
    used = [use for use, _wait in _uses(headers)]
    if not used:
        return None
    left = max(0, 100 - round(max(used)))
    rest = wait_of(headers) or _UNASKED_WAIT
    return Budget(left, 100, now + rest if left <= 100 - _TIGHT else None)


def wait_of(headers: httpx.Headers) -> timedelta | None:
    """How long until calls are taken again, where Meta estimates it."""
    minutes = max((wait for _use, wait in _uses(headers)), default=0.0)
    return min(timedelta(minutes=minutes), _LONGEST_WAIT) if minutes > 0 else None


def _uses(headers: httpx.Headers) -> Iterator[tuple[float, float]]:
    """Per cent used of each limit, and the minutes that Meta estimates until it lets us in again."""
    for name in ("x-app-usage", "x-page-usage", "x-business-use-case-usage", "x-ad-account-usage"):
        try:
            value = json.loads(headers.get(name, "null"))
        except (ValueError, RecursionError):
            continue
        for one in _limits(value):
            shares = [one.get(key) for key in ("call_count", "total_cputime", "total_time")]
            wait = one.get("estimated_time_to_regain_access")
            use = max((float(share) for share in shares if isinstance(share, int | float)), default=0.0)
            yield use, float(wait) if isinstance(wait, int | float) else 0.0


def _limits(value: Any) -> Iterator[Json]:
    """The limits in a header: one object, or lists of them by business."""
    if not isinstance(value, dict):
        return
    nested = [one for many in value.values() if isinstance(many, list) for one in many]
    yield from (one for one in nested or [value] if isinstance(one, dict))
