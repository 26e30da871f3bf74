"""The events of a server's stream: server-sent events where it has them, as Mastodon does, else over a WebSocket.

Rules: docs.joinmastodon.org/methods/streaming (a comment at least every 15 seconds; over a WebSocket `stream` and `tag`
as parameters, and events as JSON whose payload is text). GoToSocial, Pleroma and Akkoma know WebSockets alone, and take
the token as a parameter; Friendica and Pixelfed have no stream.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeAlias

import httpx
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosedError

from app.connectors.answers import object_or_none
from app.connectors.base import Json, Link
from app.connectors.mastodon_api import Server
from app.connectors.mastodon_instance import streaming_base
from app.connectors.websocket import opened
from app.connectors.wire import lines
from app.errors import Malformed, Refused, Unreachable
from app.i18n import N_

Events: TypeAlias = AsyncGenerator[tuple[str, str], None]  # name and payload of each


@asynccontextmanager
async def streaming(
    link: Link, server: Server, name: str, params: dict[str, str], instance: Json
) -> AsyncIterator[Events | None]:
    """The events of the stream of that name, while inside; None where the server has no stream. Raises ConnectorError."""
    base = f"{streaming_base(instance, server.base)}/api/v1/streaming"
    async with server.stream(f"{base}/{name}", params) as response:
        if response is not None:
            yield _sent(lines(response))
            return
    asked = {"stream": name, **params, "access_token": await server.token()}
    async with AsyncExitStack() as stack:
        line = await _line(stack, link, str(httpx.URL(base.replace("http", "ws", 1), params=asked)))
        yield None if line is None else _spoken(line, server.host)


async def _line(stack: AsyncExitStack, link: Link, url: str) -> ClientConnection | None:
    try:
        return await stack.enter_async_context(opened(link.dial, url, link.now))
    except (Refused, Malformed):
        return None


async def _sent(given: AsyncIterable[str]) -> Events:
    """Server-sent events (HTML Living Standard, 9.2.6); comments are passed over."""
    event, data = "", list[str]()
    async for line in given:
        name, _, value = line.partition(":")
        if not line:
            if event and data:
                yield event, "\n".join(data)
            event, data = "", []
        elif name == "event":
            event = value.strip()
        elif name == "data":
            data.append(value.removeprefix(" "))


async def _spoken(line: ClientConnection, host: str) -> Events:
    """Events over a WebSocket; other messages are passed over."""
    try:
        async for message in line:
            told = object_or_none(message) or {}
            if isinstance(told.get("event"), str):
                said = told.get("payload")
                yield told["event"], said if isinstance(said, str) else json.dumps(said)
    except ConnectionClosedError as error:
        raise Unreachable(
            N_("The stream of %(host)s broke off (%(error)s). It is opened again.")
            % {"host": host, "error": str(error)[:200]}
        ) from error
