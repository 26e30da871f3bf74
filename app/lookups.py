"""Names to addresses by the system's resolver, which blocks its thread for as long as a name server is silent.

So no lookup shares a thread with anything else: each has its own, one for a name however many ask for it, and nobody
waits for it longer than `PATIENCE`. Threads are daemons, so a silent name server does not keep a process from ending.
"""

import asyncio
import ipaddress
import socket
import threading
from concurrent.futures import Future
from typing import TypeAlias

PATIENCE = 10.0  # seconds
MOST = 100  # names looked up at once

Answer: TypeAlias = list[str] | OSError | UnicodeError  # a failure is handed over: who waited may have left

_going: dict[tuple[str, int], Future[Answer]] = {}
_lock = threading.Lock()


async def addresses_of(host: str, port: int) -> list[str]:
    """The addresses of a host. Raises OSError: TimeoutError when no answer comes in time."""
    if _is_address(host):
        return [host]
    async with asyncio.timeout(PATIENCE):
        answer = await asyncio.shield(asyncio.wrap_future(_looked_up(host, port)))
    if isinstance(answer, Exception):
        raise answer
    return answer


def _looked_up(host: str, port: int) -> Future[Answer]:
    with _lock:
        if (host, port) in _going:
            return _going[host, port]
        if len(_going) >= MOST:
            raise TimeoutError
        found = _going[host, port] = Future[Answer]()
    threading.Thread(target=_look_up, args=(host, port, found), name="lookup", daemon=True).start()
    return found


def _look_up(host: str, port: int, found: Future[Answer]) -> None:
    try:
        told = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        answer: Answer = [str(address[0]) for *_, address in told]
    except (OSError, UnicodeError) as error:
        answer = error
    with _lock:
        del _going[host, port]
    found.set_result(answer)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
