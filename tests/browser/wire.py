"""The wire between Careline and the simulated network: a loopback proxy that refuses our replies or loses the answers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

LONGEST_HEAD = 64_000  # bytes


class Trouble(StrEnum):
    """What happens to a reply of ours on its way."""

    NONE = "none"
    REFUSED = "refused"  # the network answers that it does not take it, and says why
    ANSWER_LOST = "answer lost"  # the network takes it, and the connection breaks before its answer


@dataclass
class Wire:
    """A proxy; `trouble` is about replies and what becomes of them only, everything else goes through."""

    upstream: str
    url: str = ""
    trouble: Trouble = Trouble.NONE
    why: str = "This account is muted until tomorrow."
    sent: list[str] = field(default_factory=list)  # the Idempotency-Key of each reply that set out

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one request and its answer, then close."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            headers = {name.strip().lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            is_reply = lines[0].startswith("POST /api/posts ")
            if is_reply:
                self.sent.append(headers["idempotency-key"])
            changes = is_reply or lines[0].startswith(("PUT /api/posts/", "DELETE /api/posts/"))
            if changes and self.trouble == Trouble.REFUSED:
                writer.write(self._refusal())
            else:
                answer = await self._carried(head, body)
                if not (is_reply and self.trouble == Trouble.ANSWER_LOST):
                    writer.write(answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the caller went away: an idle connection, or the end of the test
        finally:
            writer.close()

    def _refusal(self) -> bytes:
        body = json.dumps({"error": self.why}).encode()
        head = f"HTTP/1.1 422 Unprocessable Entity\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        return head.encode() + b"connection: close\r\n\r\n" + body

    async def _carried(self, head: bytes, body: bytes) -> bytes:
        there = urlsplit(self.upstream)
        reader, writer = await asyncio.open_connection(there.hostname, there.port)
        kept = [one for one in head.split(b"\r\n") if one and not one.lower().startswith(b"connection:")]
        writer.write(b"\r\n".join([*kept, b"connection: close", b"", b""]) + body)
        try:
            return await reader.read()
        finally:
            writer.close()


@asynccontextmanager
async def wire(upstream: str) -> AsyncIterator[Wire]:
    """A proxy to `upstream` on a free loopback port."""
    made = Wire(upstream)
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0, limit=LONGEST_HEAD)
    made.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with listening:
        yield made
