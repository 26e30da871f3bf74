"""Servers on loopback that behave well until they are told to misbehave, each in its own way, and then do so for good."""

import asyncio
import json
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SHOWN = 20  # entries of a feed
FAR = timedelta(hours=6)  # that a limit asks us to wait
SLOW_NAMES = ".slow.test"  # hosts whose name server is silent

Act: TypeAlias = Callable[["Server", asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Server:
    """One host with one feed; what it published, and when."""

    number: int
    way: str = ""  # how it misbehaves once `sick`; empty: never
    sick: bool = False
    published: list[tuple[str, float]] = field(default_factory=list)  # names and times (of time.time)

    @property
    def address(self) -> str:
        """A host of its own."""
        return f"127.0.{1 + self.number // 200}.{1 + self.number % 200}"

    def publish(self) -> None:
        """Somebody writes."""
        self.published.append((f"https://news{self.number}.example/{len(self.published)}", time.time()))

    def document(self) -> bytes:
        """The feed as it stands."""
        newest = [
            {
                "id": name,
                "url": name,
                "content_text": f"Where is my order? I wrote to you before, at {at}.",
                "authors": [{"name": f"Customer {self.number}-{name.rpartition('/')[2]}"}],
                "date_published": datetime.fromtimestamp(at, UTC).isoformat(),
            }
            for name, at in reversed(self.published[-SHOWN:])
        ]
        return json.dumps({"version": "https://jsonfeed.org/version/1.1", "title": "News", "items": newest}).encode()


def answer(body: bytes, status: str = "200 OK", kind: str = "application/feed+json", more: str = "") -> bytes:
    """A whole answer, after which the connection ends."""
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n{more}\r\n"
    )
    return head.encode() + body


async def _says(writer: asyncio.StreamWriter, said: bytes) -> None:
    writer.write(said)
    await writer.drain()


async def well(server: Server, writer: asyncio.StreamWriter) -> None:
    """As it should be."""
    await _says(writer, answer(server.document()))


async def hangs(_: Server, __: asyncio.StreamWriter) -> None:
    """Takes the request and is silent."""
    await asyncio.sleep(3600)


async def hangs_after_its_head(_: Server, writer: asyncio.StreamWriter) -> None:
    """Begins to answer and is silent."""
    await _says(writer, answer(bytes(1000))[:60])
    await asyncio.sleep(3600)


async def drips(server: Server, writer: asyncio.StreamWriter) -> None:
    """A byte, and another, and another."""
    for byte in answer(server.document() + bytes(4000)):
        await _says(writer, bytes([byte]))
        await asyncio.sleep(0.5)


async def is_down(_: Server, writer: asyncio.StreamWriter) -> None:
    """An error of its own."""
    await _says(writer, answer(b"<h1>Unavailable</h1>", "503 Service Unavailable", "text/html"))


async def shows_a_page(_: Server, writer: asyncio.StreamWriter) -> None:
    """A page of HTML in place of the feed, with status 200."""
    await _says(writer, answer(b"<!doctype html><title>Sign in</title><p>Please sign in.", kind="text/html"))


async def ends_too_early(server: Server, writer: asyncio.StreamWriter) -> None:
    """Half of the answer that it announced."""
    whole = answer(server.document() + bytes(4000))
    await _says(writer, whole[: len(whole) // 2])


async def cuts_its_document(server: Server, writer: asyncio.StreamWriter) -> None:
    """An answer that is whole, and a document that is not."""
    await _says(writer, answer(server.document()[:-30]))


async def resets(_: Server, writer: asyncio.StreamWriter) -> None:
    """The connection breaks."""
    line = writer.get_extra_info("socket")
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def limits(_: Server, writer: asyncio.StreamWriter) -> None:
    """Asks for a long wait."""
    wait = f"retry-after: {FAR.total_seconds():.0f}\r\n"
    await _says(writer, answer(b"slow down", "429 Too Many Requests", "text/plain", wait))


async def lets_nobody_in(_: Server, writer: asyncio.StreamWriter) -> None:
    """A token that has expired."""
    await _says(writer, answer(b'{"error": "token expired"}', "401 Unauthorized", "application/json"))


async def says_too_much(_: Server, writer: asyncio.StreamWriter) -> None:
    """A body without an end."""
    await _says(writer, b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n")
    while True:
        await _says(writer, b"[" * 100_000)


async def redirects_in_circles(_: Server, writer: asyncio.StreamWriter) -> None:
    """From one place to another and back."""
    await _says(writer, answer(b"", "302 Found", "text/plain", "location: /feed.json\r\n"))


WAYS: dict[str, tuple[Act, str]] = {  # how it misbehaves, and what its feed's health has to name (a pattern)
    "hangs": (hangs, r"took too long"),
    "hangs after its head": (hangs_after_its_head, r"took too long"),
    "drips": (drips, r"took too long"),
    "503": (is_down, r"HTTP 503"),
    "HTML": (shows_a_page, r"web page"),
    "ends too early": (ends_too_early, r"broke off|closed|incomplete"),
    "cut document": (cuts_its_document, r"no feed|not JSON|cannot be read|JSON"),
    "resets": (resets, r"broke off|reset|disconnected"),
    "429": (limits, rf"slow down.* {FAR.total_seconds():.0f} s"),
    "401": (lets_nobody_in, r"does not let us in \(HTTP 401\)"),
    "endless": (says_too_much, r"larger than"),
    "redirects": (redirects_in_circles, r"redirects"),
    "bad TLS": (well, r"certificate|TLS|SSL"),
    "silent name server": (well, r"name server"),
}


class Servers:
    """All of them, on one port; TLS with a certificate that nobody vouches for on another."""

    def __init__(self, servers: list[Server]) -> None:
        """Known by their addresses."""
        self._by_address = {server.address: server for server in servers}
        self.port = self.tls_port = 0
        self._open: set[asyncio.Task[None]] = set()

    def _opened(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(10):
                await reader.readuntil(b"\r\n\r\n")
            server = self._by_address[writer.get_extra_info("sockname")[0]]
            await (WAYS[server.way][0] if server.sick else well)(server, writer)
        except (OSError, EOFError, TimeoutError):
            pass  # they left
        finally:
            writer.close()

    @asynccontextmanager
    async def running(self, folder: Path) -> AsyncIterator[None]:
        """Answer while inside."""
        plain = await asyncio.start_server(self._opened, "0.0.0.0", 0, backlog=500)
        secured = await asyncio.start_server(self._opened, "0.0.0.0", 0, ssl=_nobodys(folder))
        self.port, self.tls_port = (one.sockets[0].getsockname()[1] for one in (plain, secured))
        try:
            yield
        finally:
            for one in (plain, secured):
                one.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)


def _nobodys(folder: Path) -> ssl.SSLContext:
    """A certificate that signs itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody.test")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    chain, secret = folder / "nobody.pem", folder / "nobody.key"
    chain.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, secret)
    return context
