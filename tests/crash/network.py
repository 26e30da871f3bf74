"""A fake network with a ledger, as a real HTTP server on loopback: it hangs, resets, answers late, or says when to kill."""

import asyncio
import json
from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.parcels import Parcels

APPLY_AFTER = 0.05  # seconds that a slow network takes before it does what it was asked
ANSWER_AFTER = 1.2  # seconds until a late answer, longer than a worker waits for it


class Network:
    """The world behind a socket. `trouble` is the share of sends that meet some."""

    def __init__(self, world: Parcels, random: Random, trouble: float = 0.3) -> None:
        self.world = world
        self.random = random
        self.trouble = trouble
        self.moods: tuple[str, ...] = ("slow", "late", "reset", "lost")
        self.url = ""
        self._waiting: tuple[str, int, Callable[[], None]] | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        await asyncio.gather(*self._tasks)

    def at(self, point: str, nth: int, do: Callable[[], None]) -> None:
        """Do something when the nth send from now has `arrived` (nothing applied yet) or is `applied` (not answered),
        or when the nth picture is `brought`."""
        self._waiting = (point, nth, do)

    def calm(self) -> None:
        """No trouble any more."""
        self.trouble, self._waiting = 0.0, None

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                (line.split(":")[1] for line in head.lower().split("\r\n") if line[:15] == "content-length:"), 0
            )
            body = await reader.readexactly(int(length))
            method, target, _ = head.split(" ", 2)
            answer = await (self._post(target, json.loads(body)) if method == "POST" else self._look(target))
            if answer is None:
                writer.transport.abort()
                return
            content = json.dumps(answer).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\n")
            writer.write(b"content-length: %d\r\n\r\n%s" % (len(content), content))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # whoever asked was killed
        finally:
            writer.close()

    async def _look(self, target: str) -> dict[str, Any]:
        return self.world.under(parse_qs(urlsplit(target).query)["in_reply_to"][0])

    async def _post(self, target: str, body: dict[str, Any]) -> dict[str, Any] | None:
        if target == "/replies":
            return await self._send(body)
        told = self.world.bring(body)
        self._pass("brought")
        return None if "lost" in self.moods and self.random.random() < self.trouble / 2 else told

    async def _send(self, body: dict[str, Any]) -> dict[str, Any] | None:
        mood = self.random.choice(self.moods) if self.random.random() < self.trouble else "well"
        self._pass("arrived")
        if mood == "reset":
            return None
        if mood == "slow":
            await asyncio.sleep(APPLY_AFTER)
        taken = self.world.take(body)
        self._pass("applied")
        if mood == "late":
            await asyncio.sleep(ANSWER_AFTER)
        return None if mood == "lost" else taken

    def _pass(self, point: str) -> None:
        if self._waiting is None or self._waiting[0] != point:
            return
        _, left, do = self._waiting
        self._waiting = (point, left - 1, do) if left > 1 else None
        if left == 1:
            do()
