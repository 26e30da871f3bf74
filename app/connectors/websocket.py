"""WebSockets of other servers (RFC 6455), over the guarded way: the address that was checked is the one that is spoken to.

A redirect is never followed: it would lead past the guard.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus

from app.connectors.dial import Dial
from app.connectors.wire import refusal
from app.errors import Blocked, ConnectorError, Malformed, Unreachable
from app.i18n import N_

LARGEST = 1_000_000  # bytes of a message


@asynccontextmanager
async def opened(dial: Dial, url: str, now: datetime) -> AsyncIterator[ClientConnection]:
    """The connection, while inside. Pings tell within 40 seconds when the other side is gone. Raises ConnectorError."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    line = await dial(host, parts.port or (443 if parts.scheme == "wss" else 80))
    try:
        connection = await connect(
            url, sock=line, proxy=None, open_timeout=dial.patience, close_timeout=1, max_size=LARGEST, user_agent_header="Careline"
        )  # fmt: skip
    except BaseException as error:
        line.close()
        if (told := _told(error, host, now)) is not None:
            raise told from error
        raise
    try:
        yield connection
    finally:
        await connection.close()


def _told(error: BaseException, host: str, now: datetime) -> ConnectorError | None:
    if isinstance(error, InvalidStatus):
        answer = error.response
        headers = list(answer.headers.raw_items())
        return refusal(httpx.Response(answer.status_code, headers=headers), host, now) or _no_socket(host)
    if isinstance(error, ValueError):  # of the library, for a redirect
        return Blocked(N_("%(what)s redirects elsewhere. Correct its address.") % {"what": host})
    if isinstance(error, InvalidHandshake | EOFError):
        return _no_socket(host)
    if isinstance(error, OSError | TimeoutError):
        cause = str(error) or type(error).__name__
        return Unreachable(
            N_("No connection to %(what)s (%(error)s). It is tried again later.") % {"what": host, "error": cause}
        )
    return None


def _no_socket(host: str) -> Malformed:
    return Malformed(N_("%(host)s does not answer as a WebSocket. Check its address.") % {"host": host})
