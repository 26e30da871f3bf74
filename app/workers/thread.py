"""A thread with a loop of its own beside the worker's: what computes there holds up nothing that waits here."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

TURNS = 0.001  # seconds after which threads take turns: the worker's own loop waits often, and for a moment each time


class Thread:
    """Runs one coroutine until it ends; it is told to by an event of its loop."""

    def __init__(self, work: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
        """Start nothing yet."""
        self._work = work
        self._begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def run(self) -> None:
        """Return when the work has ended; raises what it raises."""
        sys.setswitchinterval(TURNS)
        await asyncio.to_thread(asyncio.run, self._run())

    async def _run(self) -> None:
        ending = asyncio.Event()
        self._begun.set_result((asyncio.get_running_loop(), ending))
        await self._work(ending)

    def end(self) -> None:
        """Ask the work to end, also when it is only about to begin."""
        self._begun.add_done_callback(_tell)


def _tell(begun: "Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]") -> None:
    loop, ending = begun.result()
    with suppress(RuntimeError):  # it has ended by itself
        loop.call_soon_threadsafe(ending.set)
