"""Names are looked up without holding up anybody else."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app import lookups
from app.lookups import addresses_of


class Silent:
    """A name server that answers when it is told to."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.asked: list[str] = []
        self.was_asked = asyncio.Event()
        self.loop = asyncio.get_running_loop()

    def getaddrinfo(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked.append(host)
        self.loop.call_soon_threadsafe(self.was_asked.set)
        self.answers.wait(30)
        if host == "nobody.test":
            raise socket.gaierror("unknown")
        return [(0, 0, 0, "", ("192.0.2.7", port))]


@pytest.fixture
async def silent(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Silent]:
    server = Silent()
    monkeypatch.setattr("socket.getaddrinfo", server.getaddrinfo)
    yield server
    server.answers.set()
    for one in threading.enumerate():
        if one.name == "lookup":  # it must be gone before the next test asks for the same name
            await asyncio.to_thread(one.join, 10)


async def test_an_address_is_its_own_answer(silent: Silent) -> None:
    assert await addresses_of("192.0.2.1", 443) == ["192.0.2.1"]
    assert await addresses_of("2001:db8::1", 443) == ["2001:db8::1"]
    assert not silent.asked


async def test_a_name_that_many_ask_for_is_looked_up_once(silent: Silent) -> None:
    asking = [asyncio.create_task(addresses_of("slow.test", 443)) for _ in range(5)]
    await silent.was_asked.wait()
    silent.answers.set()
    assert await asyncio.gather(*asking) == [["192.0.2.7"]] * 5
    assert silent.asked == ["slow.test"]


async def test_nobody_waits_for_long_for_a_name_server_that_is_silent(
    silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "PATIENCE", 0.01)
    with pytest.raises(TimeoutError):
        await addresses_of("slow.test", 443)


async def test_who_stops_waiting_does_not_stop_the_others(silent: Silent) -> None:
    leaving = asyncio.create_task(addresses_of("slow.test", 443))
    staying = asyncio.create_task(addresses_of("slow.test", 443))
    await silent.was_asked.wait()
    leaving.cancel()
    silent.answers.set()
    assert await staying == ["192.0.2.7"]


async def test_a_name_that_nobody_has_is_told_to_all_who_asked(silent: Silent) -> None:
    silent.answers.set()
    with pytest.raises(socket.gaierror):
        await addresses_of("nobody.test", 443)


async def test_too_many_names_at_once_are_not_waited_for(silent: Silent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "MOST", 0)
    with pytest.raises(TimeoutError):
        await addresses_of("slow.test", 443)
