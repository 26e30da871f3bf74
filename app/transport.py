"""The one outgoing HTTP transport for everything an admin or a post can aim: feeds, webhooks, media, APIs.

A host is resolved once for a connection, every address that is not public is refused unless the operator allows the
host by name (CARELINE_ALLOW_HOSTS), and the connection goes to the very address that was checked. Each redirect is
checked like a first request. Size is counted after decompression, time over all hops. Failures are the error tree:
what broke before the request left is Unreachable; what broke after it is MaybeSent, or ChannelDown when asking
again does no harm.
"""

import asyncio
import socket
import ssl
import typing
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import httpcore
import httpx

from app.addresses import is_public
from app.errors import Blocked, ChannelDown, ConnectorError, Malformed, MaybeSent, Refused, Unreachable
from app.i18n import N_
from app.lookups import addresses_of
from app.settings import Settings
from app.unpack import Unpacker

USER_AGENT = "Careline/0.1 (self-hosted customer care)"
MAX_REDIRECTS = 5
MAX_CONNECTIONS = 200  # more than streams and slow calls of a process can take together
MAX_ADDRESSES = 4  # tried one after the other when a host has many
CONNECT_SECONDS = 10.0
IDLE_SECONDS = 2.0  # shorter than servers keep one open, so that a send rarely meets a connection just closed
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
STREAMED = "careline_stream"  # a request's extension: its answer goes on for as long as lines come
SECRET_HEADERS = ("authorization", "cookie", "proxy-authorization")

Resolver: TypeAlias = Callable[[str, int], Awaitable[list[str]]]


def guarded_client(
    settings: Settings,
    *,
    timeout: float = 20.0,
    max_bytes: int = 10_000_000,
    resolve: Resolver | None = None,
    also: frozenset[str] = frozenset(),
) -> "GuardedClient":
    """A client that only reaches the public internet, and the hosts that the operator allows.

    `timeout` is in seconds for the whole exchange with its redirects and its body, `max_bytes` is for the body
    after decompression. An answer that is asked for as a stream (`STREAMED`) has that time to begin and that size for a
    line; between its parts it may be silent for the request's read timeout. `also` are hosts that the
    operator named in another setting. Raises Blocked, Unreachable, ChannelDown, MaybeSent, Malformed and Refused.
    """
    allowed, resolve = settings.allowed_hosts | also, resolve or resolve_host
    backend = GuardedBackend(allowed, resolve)
    transport = GuardedTransport(backend, httpx.create_ssl_context(), timeout=timeout, max_bytes=max_bytes)
    return GuardedClient(
        dial=GuardedDial(allowed, resolve, patience=timeout),
        transport=transport,
        timeout=httpx.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS)),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip, deflate"},
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS + 1,  # ours counts first and says it in our words
        trust_env=False,
    )


async def resolve_host(host: str, port: int) -> list[str]:
    """Ask the system's resolver for a host's addresses."""
    return await addresses_of(host, port)


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections to checked addresses only."""

    def __init__(
        self, allowed: frozenset[str], resolve: Resolver, inner: httpcore.AsyncNetworkBackend | None = None
    ) -> None:
        """Keep the names that may be private; `inner` does the connecting."""
        self._allowed = allowed
        self._resolve = resolve
        self._inner = inner or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check, and connect to what was checked. Raises Blocked and Unreachable."""
        trouble: Exception | None = None
        for address in (await self._checked(host, port))[:MAX_ADDRESSES]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                trouble = error
        raise Unreachable(
            N_("No connection to %(host)s (%(trouble)s). It is tried again later.")
            % {"host": host, "trouble": _words(trouble)}
        )

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Never."""
        raise Blocked(N_("Sockets of this machine are not reached from here."))

    async def sleep(self, seconds: float) -> None:
        """Wait, for httpcore's retries."""
        await self._inner.sleep(seconds)

    async def _checked(self, host: str, port: int) -> list[str]:
        return await checked_addresses(host, port, self._allowed, self._resolve)


async def checked_addresses(host: str, port: int, allowed: frozenset[str], resolve: Resolver) -> list[str]:
    """The addresses of a host that may be connected to. Raises Unreachable (no such host) and Blocked (not public)."""
    try:
        found = await resolve(host, port)
    except TimeoutError as error:
        raise Unreachable(
            N_("The name server does not say where %(host)s is. It is tried again later.") % {"host": host}
        ) from error
    except (OSError, UnicodeError) as error:
        raise Unreachable(
            N_("The host %(host)s is not known. Check its spelling, or the name server.") % {"host": host}
        ) from error
    if host.lower().rstrip(".") in allowed:
        return found
    public = [address for address in found if is_public(address)]
    if not public:
        raise Blocked(
            N_(
                "%(host)s is not on the public internet. If it should be reached, the operator adds its name to CARELINE_ALLOW_HOSTS."
            )
            % {"host": host}
        )
    return public


class GuardedTransport(httpx.AsyncBaseTransport):
    """One request to one checked address, bounded in time and size."""

    def __init__(
        self, backend: httpcore.AsyncNetworkBackend, tls: ssl.SSLContext, *, timeout: float, max_bytes: int
    ) -> None:
        """Open nothing yet."""
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            network_backend=backend,
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=20,
            keepalive_expiry=IDLE_SECONDS,
        )
        self._timeout = timeout
        self._max_bytes = max_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and return a response whose body is decompressed and counted as it is read."""
        check_url(request.url)
        deadline = self._follow(request)
        exchange = _Exchange(request, deadline)
        async with exchange.told():
            answer = await self._pool.handle_async_request(exchange.for_httpcore())
        stream = typing.cast("AsyncIterable[bytes]", answer.stream)
        exchange.goes_on = bool(request.extensions.get(STREAMED)) and httpx.codes.is_success(answer.status)
        body = _Body(stream, exchange, Unpacker(answer.headers, request.url.host), self._max_bytes)
        plain = [(k, v) for k, v in answer.headers if k.lower() not in {b"content-encoding", b"content-length"}]
        return httpx.Response(answer.status, headers=plain, stream=body, extensions=answer.extensions)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()

    def _follow(self, request: httpx.Request) -> float:
        """Count hops, drop secrets on a change of origin; return the deadline that all hops share (loop time)."""
        told = request.extensions
        origin = (request.url.scheme, request.url.host, request.url.port)
        first = told.setdefault("careline_first", (origin, asyncio.get_running_loop().time() + self._timeout))
        told["careline_hops"] = hops = told.get("careline_hops", -1) + 1
        if hops > MAX_REDIRECTS:
            raise Blocked(
                N_("%(host)s redirects more than %(max_redirects)s times. Correct its address.")
                % {"host": request.url.host, "max_redirects": MAX_REDIRECTS}
            )
        if origin != first[0]:
            if request.method not in SAFE:
                raise Blocked(
                    N_("What we send would be passed on to %(host)s. Correct the address.") % {"host": request.url.host}
                )
            for name in SECRET_HEADERS:
                request.headers.pop(name, None)
        return float(first[1])


class GuardedDial:
    """Opens plain connections to checked addresses only, for what does not speak HTTP (mail)."""

    def __init__(self, allowed: frozenset[str], resolve: Resolver, *, patience: float) -> None:
        """`patience` is in seconds, for the connection and for each answer over it."""
        self._allowed = allowed
        self._resolve = resolve
        self.patience = patience

    async def __call__(self, host: str, port: int) -> socket.socket:
        """A connected socket, not blocking. Raises Blocked and Unreachable."""
        trouble: Exception | None = None
        for address in (await checked_addresses(host, port, self._allowed, self._resolve))[:MAX_ADDRESSES]:
            try:
                return await self._connected(address, port)
            except OSError as error:
                trouble = error
        raise Unreachable(
            N_("No connection to %(host)s (%(trouble)s). It is tried again later.")
            % {"host": host, "trouble": _words(trouble)}
        )

    async def _connected(self, address: str, port: int) -> socket.socket:
        line = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            line.setblocking(False)
            async with asyncio.timeout(min(self.patience, CONNECT_SECONDS)):
                await asyncio.get_running_loop().sock_connect(line, (address, port))
        except BaseException:
            line.close()
            raise
        return line


class GuardedClient(httpx.AsyncClient):
    """httpx's client, with what it raises by itself told as the error tree; `dial` is for what is no HTTP."""

    def __init__(self, *args: Any, dial: GuardedDial, **kwargs: Any) -> None:
        """As in httpx."""
        super().__init__(*args, **kwargs)
        self.dial = dial

    def build_request(self, *args: Any, **kwargs: Any) -> httpx.Request:
        """As in httpx. Raises Blocked for an address that is none."""
        try:
            return super().build_request(*args, **kwargs)
        except httpx.InvalidURL as error:
            raise Blocked(N_("That is no address that can be fetched. Correct it.")) from error

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """As in httpx, with redirects to nowhere told as Malformed or Blocked."""
        try:
            return await super().send(request, **options)
        except (httpx.InvalidURL, httpx.TooManyRedirects) as error:
            raise Blocked(
                N_("%(host)s redirects to where nothing is. Correct its address.") % {"host": request.url.host}
            ) from error
        except httpx.RemoteProtocolError as error:
            raise Malformed(
                N_("%(host)s answers with a redirect that cannot be read.") % {"host": request.url.host}
            ) from error


def check_url(url: httpx.URL) -> None:
    """Raise Blocked unless this is a plain http(s) address without a name and password in it."""
    if url.scheme not in {"http", "https"}:
        raise Blocked(
            N_("Only http and https addresses are fetched, not %(scheme)s: Correct it.")
            % {"scheme": url.scheme or N_("one without")}
        )
    if not url.host:
        raise Blocked(N_("The address names no host. Correct it."))
    if url.userinfo:
        raise Blocked(
            N_("The address of %(host)s has a user name in it. Put credentials where they belong.") % {"host": url.host}
        )


class _Exchange:
    """One request under way: its deadline, and whether it has left."""

    def __init__(self, request: httpx.Request, deadline: float) -> None:
        self.request = request
        self.deadline = deadline
        self.left = False
        self.goes_on = False  # a stream, which has begun

    def for_httpcore(self) -> httpcore.Request:
        url = self.request.url
        return httpcore.Request(
            method=self.request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=self.request.headers.raw,
            content=self.request.stream,
            extensions={"timeout": self.request.extensions.get("timeout", {}), "trace": self._trace},
        )

    async def _trace(self, event: str, _details: object) -> None:
        self.left = self.left or event.endswith("send_request_headers.started")

    @asynccontextmanager
    async def told(self) -> AsyncIterator[None]:
        """Turn what breaks, and what takes too long, into the error tree."""
        try:
            async with asyncio.timeout_at(None if self.goes_on else self.deadline):
                yield
        except TimeoutError as error:
            raise self._trouble(N_("it took too long")) from error
        except httpcore.LocalProtocolError as error:
            raise Refused(
                N_("The request to %(host)s cannot be written (%(error)s).")
                % {"host": self.request.url.host, "error": _words(error)}
            ) from error
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            raise self._trouble(_words(error)) from error

    def _trouble(self, error: str) -> ConnectorError:
        host = self.request.url.host
        if not self.left:
            return Unreachable(
                N_("The connection to %(host)s broke off (%(error)s). It is tried again later.")
                % {"host": host, "error": error}
            )
        if self.request.method in SAFE:
            return ChannelDown(
                N_("%(host)s broke off (%(error)s) before it had answered. It is tried again later.")
                % {"host": host, "error": error}
            )
        return MaybeSent(
            N_("%(host)s broke off (%(error)s) before it had answered; it may have taken what we sent. Look there.")
            % {"host": host, "error": error}
        )


class _Body(httpx.AsyncByteStream):
    """A response's body: decompressed piece by piece, counted, under the exchange's deadline."""

    def __init__(self, stream: AsyncIterable[bytes], exchange: _Exchange, unpacker: Unpacker, limit: int) -> None:
        self._stream = stream
        self._exchange = exchange
        self._unpacker = unpacker
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        unpacker, total = self._unpacker, 0
        unpacker.check()
        raw = aiter(self._stream)
        while (chunk := await self._next(raw)) is not None:
            for piece in unpacker.feed(chunk):
                total, taken = self._counted(total, piece), 0 if self._exchange.goes_on else unpacker.taken
                if max(total, taken) > self._limit:
                    host = self._exchange.request.url.host
                    raise Malformed(
                        N_("The answer of %(host)s is larger than %(limit)s bytes; it is not read.")
                        % {"host": host, "limit": format(self._limit, ",")}
                    )
                yield piece
        unpacker.finish()

    def _counted(self, total: int, piece: bytes) -> int:
        """Bytes of the whole body, or of a stream's last line."""
        _, newline, line = piece.rpartition(b"\n") if self._exchange.goes_on else (b"", b"", piece)
        return len(line) if newline else total + len(piece)

    async def _next(self, raw: AsyncIterator[bytes]) -> bytes | None:
        async with self._exchange.told():
            return await anext(raw, None)

    async def aclose(self) -> None:
        close = getattr(self._stream, "aclose", None)
        if close is not None:
            await close()


def _words(error: BaseException | None) -> str:
    return str(error) or type(error).__name__
