"""The guarded transport, against real little servers on loopback that misbehave in every way we could think of."""

import asyncio
import contextlib
import gzip
import socket
import ssl
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.addresses import is_public
from app.connectors.wire import STREAM
from app.errors import Blocked, ChannelDown, ConnectorError, Malformed, MaybeSent, Unreachable
from app.settings import Settings
from app.transport import GuardedBackend, GuardedClient, guarded_client, resolve_host

Handler = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """A server that keeps the requests it got; `host` names it, and is allowed by the operator unless said."""

    port: int
    requests: list[str] = field(default_factory=list)

    def url(self, path: str = "/", host: str = "friend.example", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(0)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            server.requests.append(head)
            await handler(head, writer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    running = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    server.port = running.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        running.close()
        await running.wait_closed()


def answer(body: bytes, *headers: str, status: str = "200 OK") -> Handler:
    async def handle(_: str, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    return handle


def redirect(to: str, status: str = "302 Found") -> Handler:
    return answer(b"", f"Location: {to}", status=status)


async def at_home(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


def client(allow: str = "friend.example,other.example", **options: Any) -> GuardedClient:
    return guarded_client(Settings(allow_hosts=allow), **{"resolve": at_home, "timeout": 5.0, **options})


async def fetch(url: str, method: str = "GET", **options: Any) -> bytes:
    headers = options.pop("headers", {})
    async with client(**options) as http:
        return (await http.request(method, url, headers=headers)).content


async def test_an_allowed_host_is_reached_under_its_own_name_and_as_careline() -> None:
    async with serving(answer(b"hello")) as server:
        assert await fetch(server.url("/feed?a=1")) == b"hello"
    head = server.requests[0]
    assert head.startswith("GET /feed?a=1 HTTP/1.1")
    assert f"Host: friend.example:{server.port}" in head
    assert "User-Agent: Careline/" in head


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "2130706433", "0177.0.0.1", "0x7f.1", "127.1", "0", "[::1]", "[::ffff:127.0.0.1]"],
)
async def test_this_machine_is_blocked_however_it_is_spelt(host: str) -> None:
    async with serving(answer(b"secret")) as server:
        with pytest.raises((Blocked, Unreachable)) as told:
            await fetch(server.url(host=host), resolve=resolve_host)
    assert server.requests == []
    assert isinstance(told.value, Blocked) or "not known" in told.value.message


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "192.88.99.1",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::127.0.0.1",
        "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "2001:db8::1", "no address",
    ],
)  # fmt: skip
def test_addresses_of_inner_networks_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:4700::1111", "::ffff:93.184.216.34", "64:ff9b::93.184.216.34"]
)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


class Recorder(httpcore.AsyncMockBackend):
    """The wire's end of the backend: notes where a connection would have gone, and refuses it."""

    def __init__(self) -> None:
        super().__init__([])
        self.tried: list[str] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.tried.append(host)
        raise httpcore.ConnectError("refused")


async def test_a_name_that_changes_its_address_after_the_check_gains_nothing() -> None:
    answers = [["93.184.216.34"], ["127.0.0.1"]]

    async def rebinding(_host: str, _port: int) -> list[str]:
        return answers.pop(0)

    wire = Recorder()
    backend = GuardedBackend(frozenset(), rebinding, wire)
    with pytest.raises(Unreachable):
        await backend.connect_tcp("rebinding.example", 80)
    assert wire.tried == ["93.184.216.34"]  # the address that was checked, not the name
    with pytest.raises(Blocked, match="not on the public internet"):
        await backend.connect_tcp("rebinding.example", 80)
    assert wire.tried == ["93.184.216.34"]


async def test_of_mixed_addresses_only_the_public_ones_are_tried() -> None:
    async def mixed(_host: str, _port: int) -> list[str]:
        return ["10.0.0.1", "93.184.216.34", "::1", "93.184.216.35"]

    wire = Recorder()
    with pytest.raises(Unreachable):
        await GuardedBackend(frozenset(), mixed, wire).connect_tcp("mixed.example", 80)
    assert wire.tried == ["93.184.216.34", "93.184.216.35"]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://friend.example/", "file:///etc/passwd", "gopher://friend.example/", "//friend.example/", "friend.example",
        "http:///path", "http://user:pass@friend.example/", "http://friend.example@127.0.0.1/", "http://[::1", "",
    ],
)  # fmt: skip
async def test_only_plain_http_addresses_are_fetched(url: str) -> None:
    with pytest.raises(Blocked):
        await fetch(url)


async def test_a_redirect_is_checked_like_a_first_request() -> None:
    async with serving(answer(b"secret")) as inside:
        for target in (inside.url(host="127.0.0.1"), inside.url(host="inside.example"), "file:///etc/passwd"):
            async with serving(redirect(target)) as friend:
                with pytest.raises(Blocked):
                    await fetch(friend.url())
    assert inside.requests == []


@pytest.mark.parametrize("target", ["http://user:pass@friend.example/", "http://[::1", "http://a:b:c/"])
async def test_a_redirect_to_no_address_is_an_error_of_ours(target: str) -> None:
    async with serving(redirect(target)) as friend:
        with pytest.raises((Blocked, Malformed)):
            await fetch(friend.url())


async def test_redirects_in_a_circle_end_after_five() -> None:
    async with serving(redirect("/again")) as friend:
        with pytest.raises(Blocked, match="more than 5 times"):
            await fetch(friend.url())
    assert len(friend.requests) == 6


async def test_secrets_stay_with_the_first_origin() -> None:
    async with serving(answer(b"thanks")) as other, serving(redirect(other.url(host="other.example"))) as friend:
        headers = {"Authorization": "Bearer secret", "Cookie": "a=b"}
        assert await fetch(friend.url(), headers=headers) == b"thanks"
    assert "Bearer secret" in friend.requests[0]
    assert "secret" not in other.requests[0]
    assert "cookie" not in other.requests[0].lower()


async def test_what_we_send_is_not_passed_on_to_another_origin() -> None:
    async with serving(answer(b"")) as other, serving(redirect(other.url(), status="307 Temporary Redirect")) as friend:
        with pytest.raises(Blocked, match="would be passed on"):
            await fetch(friend.url(), method="POST")
    assert other.requests == []


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"hello" * 9, mtime=0)),
        ("x-gzip", gzip.compress(b"hello" * 9, mtime=0)),
        ("deflate", zlib.compress(b"hello" * 9)),
        ("deflate", zlib.compress(b"hello" * 9, wbits=-15)),
        ("identity", b"hello" * 9),
    ],
)
async def test_compressed_answers_are_unpacked(encoding: str, packed: bytes) -> None:
    async with serving(answer(packed, f"Content-Encoding: {encoding}")) as server:
        assert await fetch(server.url()) == b"hello" * 9


async def test_a_bomb_is_stopped_at_the_limit_and_not_in_memory() -> None:
    bomb = gzip.compress(bytes(200_000_000))
    assert len(bomb) < 250_000
    async with serving(answer(bomb, "Content-Encoding: gzip")) as server:
        with pytest.raises(Malformed, match="larger than 1,000,000 bytes"):
            await fetch(server.url(), max_bytes=1_000_000)


async def test_an_endless_answer_is_stopped_at_the_limit() -> None:
    async def endless(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not writer.is_closing():
            writer.write(bytes(65_536))
            await writer.drain()

    async with serving(endless) as server:
        with pytest.raises(Malformed, match="larger than"):
            await fetch(server.url(), max_bytes=1_000_000)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("br", b"x"),
        ("gzip, gzip", gzip.compress(b"x", mtime=0)),
        ("gzip", b"this is not gzip"),
        ("gzip", gzip.compress(b"hello" * 99, mtime=0)[:-12]),
    ],
)
async def test_an_answer_that_cannot_be_unpacked_is_malformed(encoding: str, body: bytes) -> None:
    async with serving(answer(body, f"Content-Encoding: {encoding}")) as server:
        with pytest.raises(Malformed):
            await fetch(server.url())


async def drip(_: str, writer: asyncio.StreamWriter) -> None:
    """One byte at a time: no single read ever takes long."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _byte in range(1000):
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.02)


async def say_nothing(_: str, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3)


async def reset(_: str, writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def hang_up(_: str, writer: asyncio.StreamWriter) -> None:
    """Close without a word."""


async def cut_off(_: str, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")


async def talk_nonsense(_: str, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


@pytest.mark.parametrize("handler", [drip, say_nothing, reset, hang_up, cut_off, talk_nonsense])
@pytest.mark.parametrize(("method", "error"), [("GET", ChannelDown), ("POST", MaybeSent)])
async def test_what_breaks_after_the_request_left_may_have_been_sent(
    handler: Handler, method: str, error: type[ConnectorError]
) -> None:
    async with serving(handler) as server:
        with pytest.raises(error) as told:
            await fetch(server.url(), method=method, timeout=0.4)
    assert told.value.delivered is None


async def test_what_never_connected_was_certainly_not_sent() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(Unreachable) as told:
        await fetch(f"http://friend.example:{port}/", method="POST")
    assert told.value.delivered is False


async def test_a_name_that_nobody_knows_is_unreachable() -> None:
    async def unknown(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(Unreachable, match=r"lost\.example is not known"):
        await fetch("http://lost.example/", method="POST", resolve=unknown)


async def test_a_name_server_that_takes_too_long_is_unreachable() -> None:
    async def slow(_host: str, _port: int) -> list[str]:
        await asyncio.sleep(5)
        return []

    with pytest.raises(Unreachable, match="took too long"):
        await fetch("http://friend.example/", method="POST", resolve=slow, timeout=0.2)


async def streamed(server: Server, **options: Any) -> int:
    """The bytes of an answer that was asked for as a stream, until the server ends it."""
    async with client(**options) as http, http.stream("GET", server.url(), extensions=STREAM) as response:
        return sum([len(piece) async for piece in response.aiter_bytes()])


async def test_a_stream_may_last_longer_than_an_answer_and_be_larger() -> None:
    async def lines(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _line in range(5):
            writer.write(b"x" * 600 + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0.15)

    async with serving(lines) as server:
        assert await streamed(server, timeout=0.4, max_bytes=1000) == 5 * 602
        with pytest.raises((ChannelDown, Malformed)):
            await fetch(server.url(), timeout=0.4, max_bytes=1000)


async def test_a_stream_without_end_of_line_is_stopped_at_the_limit() -> None:
    async def endless(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nfirst\r\n")
        while not writer.is_closing():
            writer.write(bytes(65_536))
            await writer.drain()

    async with serving(endless) as server:
        with pytest.raises(Malformed, match="larger than"):
            await streamed(server, max_bytes=1_000_000)


async def test_a_stream_that_falls_silent_breaks_off() -> None:
    async def begin(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nfirst\r\n")
        await writer.drain()
        await asyncio.sleep(3)

    async with serving(begin) as server:
        with pytest.raises(ChannelDown):
            await streamed(server, timeout=0.2)


async def test_a_refused_stream_is_an_answer_like_any_other() -> None:
    async with serving(answer(b"x" * 2000, status="403 Forbidden")) as server:
        with pytest.raises(Malformed, match="larger than"):
            await streamed(server, max_bytes=1000)


async def test_the_time_is_for_all_hops_together() -> None:
    async def slow_circle(_: str, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.25)
        await redirect("/again")("", writer)

    async with serving(slow_circle) as server:
        with pytest.raises(ChannelDown, match="took too long"):
            await fetch(server.url(), timeout=0.6)
    assert len(server.requests) <= 3


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answer(b"from the proxy")) as proxy, serving(answer(b"direct")) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url(host="127.0.0.1"))
        assert await fetch(server.url()) == b"direct"


def certificate(folder: Path, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(signed.public_bytes(pem) + private)
    return path


async def test_tls_is_checked_against_the_name_although_the_connection_goes_to_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path, "friend.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(path)
    names: list[str | None] = []
    tls.sni_callback = lambda _socket, name, _context: names.append(name)
    async with serving(answer(b"hello"), tls=tls) as server:
        assert await fetch(server.url(scheme="https")) == b"hello"
        with pytest.raises(Unreachable, match="certificate"):
            await fetch(server.url(scheme="https", host="other.example"), method="POST")
    assert names == ["friend.example", "other.example"]
