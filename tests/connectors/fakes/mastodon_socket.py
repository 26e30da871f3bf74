"""The streaming of a make that knows WebSockets alone (GoToSocial, Pleroma), over a real one on loopback."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from app.connectors.base import Link
from app.transport import GuardedDial, resolve_host
from tests.connectors.fakes.mastodon import HOST, TOKEN, FakeOtherMake

DIAL = GuardedDial(frozenset({"127.0.0.1"}), resolve_host, patience=5)


class FakeSocketMake(FakeOtherMake):
    """Tells what `told` holds, and more as the test says, then closes with this code."""

    ends: int = 1000
    missing: bool = False

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FakeSocketMake"]:
        """Listen on a free port while inside."""
        async with serve(self._serve, "127.0.0.1", 0, process_request=self._admit) as server:
            self.streaming = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            yield self

    def link(self, **changes: Any) -> Link:
        held = self.credentials().model_copy(update={"server": f"http://{HOST}"})
        return super().link(**({"dial": DIAL, "credentials": held} | changes))

    def _instance(self) -> Any:
        return super()._instance() | {"urls": {"streaming_api": self.streaming}}

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        query = parse_qs(urlsplit(request.path).query)
        if self.missing:
            return connection.respond(HTTPStatus.NOT_FOUND, "no\n")
        if query["access_token"] != [TOKEN]:
            return connection.respond(HTTPStatus.UNAUTHORIZED, "no\n")
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        query = parse_qs(urlsplit(connection.request.path).query)
        wanted = " ".join([query["stream"][0], *query.get("tag", [])])
        await connection.send("[]")
        await connection.send(json.dumps({"error": "nothing in particular"}))
        for stream, event, said in self.told:
            if stream == wanted:
                payload = said if isinstance(said, str) else json.dumps(said)
                await connection.send(json.dumps({"stream": [stream], "event": event, "payload": payload}))
        await connection.close(self.ends)
