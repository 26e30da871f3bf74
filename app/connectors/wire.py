"""What HTTP connectors share: transport trouble told as the error tree, waiting times, bounded reading."""

import math
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

from app.connectors.base import Window
from app.errors import (
    Blocked,
    ChannelDown,
    ConnectorError,
    Malformed,
    MaybeSent,
    RateLimited,
    Refused,
    Unauthorized,
    Unreachable,
)
from app.i18n import N_

STREAM = {"careline_stream": True}  # extensions of a request whose answer goes on as lines (app.transport.STREAMED)
CLOCKS_APART = timedelta(minutes=2)  # how much a channel's clock and ours may differ when we look for what we sent
_LONGEST_WAIT = timedelta(days=1)
_UNASKED_WAIT = timedelta(minutes=1)  # when a channel says "slow down" without saying how long


@contextmanager
def reaching(what: str, *, sending: bool = False) -> Iterator[None]:
    """Turn httpx's errors into ours: never connected is Unreachable, broken off while sending is MaybeSent."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise Unreachable(
            N_("No connection to %(what)s (%(error)s). It is tried again later.")
            % {"what": what, "error": _cause(error)}
        ) from error
    except httpx.TooManyRedirects as error:
        raise Blocked(N_("%(what)s redirects in circles. Correct its address.") % {"what": what}) from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise Blocked(
            N_("%(what)s is no address that can be fetched. Correct its address.") % {"what": what}
        ) from error
    except httpx.DecodingError as error:
        raise Malformed(
            N_("The answer of %(what)s is compressed in a way that cannot be read.") % {"what": what}
        ) from error
    except httpx.HTTPError as error:
        if sending:
            raise MaybeSent(
                N_("%(what)s broke off before it answered (%(error)s); it may have taken it.")
                % {"what": what, "error": _cause(error)}
            ) from error
        raise Unreachable(
            N_("%(what)s broke off before it answered (%(error)s). It is tried again later.")
            % {"what": what, "error": _cause(error)}
        ) from error


@contextmanager
def uploading() -> Iterator[None]:
    """Around what is brought before a reply is posted: whatever happens here, the reply does not stand there yet."""
    try:
        yield
    except ConnectorError as error:
        error.delivered = False
        raise


def _cause(error: Exception) -> str:
    return str(error) or type(error).__name__


def retry_after(headers: httpx.Headers, now: datetime) -> timedelta:
    """How long a channel asks us to wait (RFC 9110, 10.2.3: seconds or a date), between a second and a day."""
    value = headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
        wait = timedelta(seconds=min(seconds, _LONGEST_WAIT.total_seconds())) if math.isfinite(seconds) else None
    except ValueError:
        wait = _until(value, now)
    return _UNASKED_WAIT if wait is None else min(max(wait, timedelta(seconds=1)), _LONGEST_WAIT)


def _until(value: str, now: datetime) -> timedelta | None:
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)) - now


def refusal(response: httpx.Response, what: str, now: datetime) -> ConnectorError | None:
    """The error that a status code means, None for 2xx and 304. The caller knows better about 404 and 410."""
    status = response.status_code
    if response.is_success or status == httpx.codes.NOT_MODIFIED:
        return None
    if status == httpx.codes.TOO_MANY_REQUESTS:
        wait = retry_after(response.headers, now)
        return RateLimited(
            N_("%(what)s asks us to slow down and wait %(seconds)s s.")
            % {"what": what, "seconds": format(wait.total_seconds(), ".0f")},
            wait,
        )
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        return Unauthorized(
            N_("%(what)s does not let us in (HTTP %(status)s). Check its credentials.")
            % {"what": what, "status": status}
        )
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return ChannelDown(
            N_("%(what)s has trouble of its own (HTTP %(status)s). It is tried again later.")
            % {"what": what, "status": status}
        )
    return Refused(
        N_("%(what)s refuses what we ask (HTTP %(status)s). Check its settings.") % {"what": what, "status": status}
    )


def refuse_late(window: Window | None, now: datetime) -> None:
    """Raises Refused, in the window's words, when it is over."""
    if window is not None and not window.open_at(now):
        raise Refused(window.after)


def is_web(url: str) -> bool:
    """Whether it is an http(s) address with a host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


async def read_bounded(response: httpx.Response, limit: int, what: str) -> bytes:
    """The body of a streamed response, at most `limit` bytes after decompression."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > limit:
            raise Refused(
                N_("%(what)s is larger than %(size)s MB, which is more than is read at once.")
                % {"what": what, "size": limit // 1_000_000}
            )
    return bytes(body)


async def lines(response: httpx.Response) -> AsyncGenerator[str, None]:
    """The lines of a streamed response, ended by LF or CR LF alone.

    JSON may hold other marks at which `str.splitlines`, and with it httpx, would cut it in the middle.
    """
    rest = bytearray()
    async for chunk in response.aiter_bytes():
        begun = len(rest)
        rest += chunk
        while (end := rest.find(b"\n", begun)) >= 0:
            yield rest[:end].rstrip(b"\r").decode(errors="replace")
            del rest[: end + 1]
            begun = 0
