"""What HTTP connectors share: transport trouble told as the error tree, waiting times, bounded reading."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

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

_LONGEST_WAIT = timedelta(days=1)
_UNASKED_WAIT = timedelta(minutes=1)  # when a channel says "slow down" without saying how long


@contextmanager
def reaching(what: str, *, sending: bool = False) -> Iterator[None]:
    """Turn httpx's errors into ours: never connected is Unreachable, broken off while sending is MaybeSent."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise Unreachable(f"No connection to {what} ({_cause(error)}). It is tried again later.") from error
    except httpx.TooManyRedirects as error:
        raise Blocked(f"{what} redirects in circles. Correct its address.") from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise Blocked(f"{what} is no address that can be fetched. Correct its address.") from error
    except httpx.DecodingError as error:
        raise Malformed(f"The answer of {what} is compressed in a way that cannot be read.") from error
    except httpx.HTTPError as error:
        if sending:
            raise MaybeSent(f"{what} broke off before it answered ({_cause(error)}); it may have taken it.") from error
        raise Unreachable(f"{what} broke off before it answered ({_cause(error)}). It is tried again later.") from error


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
        return RateLimited(f"{what} asks us to slow down and wait {wait.total_seconds():.0f} s.", wait)
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        return Unauthorized(f"{what} does not let us in (HTTP {status}). Check its credentials.")
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return ChannelDown(f"{what} has trouble of its own (HTTP {status}). It is tried again later.")
    return Refused(f"{what} refuses what we ask (HTTP {status}). Check its settings.")


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
            raise Refused(f"{what} is larger than {limit // 1_000_000} MB, which is more than is read at once.")
    return bytes(body)
