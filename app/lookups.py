"""Names to addresses by the system's resolver, which blocks its thread for as long as a name server is silent.

So no lookup shares a thread with anything else: each has its own, one for a name however many ask for it, and nobody
waits for it longer than `PATIENCE`. Threads are daemons, so a silent name server does not keep a process from ending.
"""

import asyncio
import ipaddress
import socket
import threading
from concurrent.futures import Future

PATIENCE = 10.0  # seconds
MOST = 100  # names looked up at once

_going: dict[tuple[str, int], Future[list[str]]] = {}
_lock = threading.Lock()


async def addresses_of(host: str, port: int) -> list[str]:
    """The addresses of a host. Raises OSError: TimeoutError when no answer comes in time."""
    if _is_address(host):
        return [host]
    async with asyncio.timeout(PATIENCE):
        return await asyncio.shield(asyncio.wrap_future(_looked_up(host, port)))


def _looked_up(host: str, port: int) -> Future[list[str]]:
    with _lock:
        if (host, port) in _going:
            return _going[host, port]
        if len(_going) >= MOST:
            raise TimeoutError
        found = _going[host, port] = Future[list[str]]()
    threading.Thread(target=_look_up, args=(host, port, found), name="lookup", daemon=True).start()
    return found


def _look_up(host: str, port: int, found: Future[list[str]]) -> None:
    try:
        told = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        outcome: OSError | UnicodeError | list[str] = error
    else:
        outcome = [str(address[0]) for *_, address in told]
    with _lock:
        del _going[host, port]
    if isinstance(outcome, Exception):
        found.set_exception(outcome)
    else:
        found.set_result(outcome)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
