"""A Jetstream server over a real WebSocket on loopback, which tells what happens in a `FakeBluesky`.

As the real one: a replay of what is not older than the cursor, filters by collection and author, which accounts' events
pass whatever the collections, `options_update`, `requireHello`, 400 before the upgrade for what it does not understand,
and an end for who reads too slowly.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from app.connectors.base import Json
from tests.connectors.fakes.bluesky import FakeBluesky

TOO_SLOW = "consumer too slow"


class FakeJetstream:
    """One server, whose clock is the network's."""

    def __init__(self, network: FakeBluesky) -> None:
        self.network = network
        self.events: list[Json] = []
        self.asked: list[dict[str, list[str]]] = []  # the query of each connection
        self.refuses: HTTPStatus | None = None
        self.elsewhere = ""  # where a redirect leads
        self.url = ""
        self._listened = asyncio.Event()
        self._open: dict[ServerConnection, _Subscriber] = {}

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FakeJetstream"]:
        """Listen on a free port while inside."""
        async with serve(self._serve, "127.0.0.1", 0, process_request=self._admit) as server:
            self.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            yield self

    # -- what happens

    async def create(self, uri: str) -> None:
        record = self.network.records[uri]
        await self._commit(uri, "create", {"record": record.value, "cid": record.cid})

    async def update(self, uri: str, *, shown: bool) -> None:
        """The author changes the record; whether the network shows the new version is its own affair."""
        record = self.network.records[uri]
        value = record.value | {"text": f"{record.value['text']}, edited"}
        cid = f"{record.cid}2"
        if shown:
            record.value, record.cid = value, cid
        await self._commit(uri, "update", {"record": value, "cid": cid})

    async def delete(self, uri: str) -> None:
        await self._commit(uri, "delete", {})

    async def repost(self, uri: str, did: str) -> None:
        record = {"$type": "app.bsky.feed.repost", "subject": {"uri": uri, "cid": self.network.records[uri].cid}}
        await self._commit(f"at://{did}/app.bsky.feed.repost/3lrepost", "create", {"record": record, "cid": "bafy"})

    async def identity(self, did: str) -> None:
        await self.tell(
            {"did": did, "time_us": self._now(), "kind": "identity", "identity": {"did": did, "handle": "x.example"}}
        )

    async def tell(self, event: Json | str) -> None:
        if isinstance(event, dict):
            self.events.append(event)
        for subscriber in list(self._open.values()):
            await subscriber.send(event)

    async def drop(self, code: int = 1008, reason: str = TOO_SLOW) -> None:
        """End every connection."""
        for connection in list(self._open):
            await connection.close(code, reason)

    async def _commit(self, uri: str, operation: str, more: Json) -> None:
        did, collection, rkey = uri.removeprefix("at://").split("/")
        commit = {"rev": "3lrev", "operation": operation, "collection": collection, "rkey": rkey, **more}
        await self.tell({"did": did, "time_us": self._now(), "kind": "commit", "commit": commit})

    def _now(self) -> int:
        self.network.tick()
        return int(self.network.now.timestamp() * 1_000_000)

    # -- the surface

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        path, query = urlsplit(request.path).path, parse_qs(urlsplit(request.path).query)
        self.asked.append(query)
        if self.elsewhere:
            return Response(302, "Found", Headers({"Location": self.elsewhere}))
        if self.refuses:
            return connection.respond(self.refuses, "no\n")
        if path != "/subscribe":
            return connection.respond(HTTPStatus.NOT_FOUND, "not found\n")
        if any(not one.startswith("did:") for one in query.get("wantedDids", ())):
            return connection.respond(HTTPStatus.BAD_REQUEST, "invalid did\n")
        if any(not one.isdigit() for one in query.get("cursor", ())):
            return connection.respond(HTTPStatus.BAD_REQUEST, "invalid cursor\n")
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        query = parse_qs(urlsplit(connection.request.path).query)
        subscriber = _Subscriber(connection, query)
        cursor = int(query["cursor"][0]) if "cursor" in query else None
        if query.get("requireHello") == ["true"]:
            subscriber.update(json.loads(await connection.recv()))
        if cursor is not None:
            for event in [one for one in self.events if one["time_us"] >= cursor]:
                await subscriber.send(event)
        self._open[connection] = subscriber
        self._listened.set()
        try:
            async for message in connection:
                subscriber.update(json.loads(message))
        except ConnectionClosed:
            pass
        finally:
            del self._open[connection]
            if not self._open:
                self._listened.clear()

    async def connected(self) -> None:
        """Wait until somebody listens."""
        await self._listened.wait()


class _Subscriber:
    """One connection and what it wants."""

    def __init__(self, connection: ServerConnection, query: dict[str, list[str]]) -> None:
        self._connection = connection
        self._collections = query.get("wantedCollections", [])
        self._dids = query.get("wantedDids", [])
        self._largest = int(query.get("maxMessageSizeBytes", ["0"])[0])

    def update(self, message: Any) -> None:
        if message.get("type") == "options_update":
            wanted = message["payload"]
            self._collections, self._dids = wanted.get("wantedCollections", []), wanted.get("wantedDids", [])

    async def send(self, event: Json | str) -> None:
        frame = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        if isinstance(event, dict) and not self._wants(event):
            return
        if not self._largest or len(frame) <= self._largest:
            with suppress(ConnectionClosed):
                await self._connection.send(frame)

    def _wants(self, event: Json) -> bool:
        if self._dids and event["did"] not in self._dids:
            return False
        return "commit" not in event or not self._collections or event["commit"]["collection"] in self._collections
