"""Jobs that wait for a slow channel, beside the worker's places: a place is for work, not for waiting.

A job that is not done after a moment gives its place back and goes on by itself, so a few channels that hang cannot keep
all others from being polled and answered. What it does is fenced by its own lease in the database, as ever.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger(__name__)

PATIENCE = 0.3  # seconds that a job keeps its place while it waits


class Aside:
    """Jobs of one kind that go on by themselves, `most` of them at once; further ones keep their places."""

    def __init__(self, most: int) -> None:
        """Nothing is going on."""
        self._most = most
        self._ending = False
        self._going: set[asyncio.Task[None]] = set()

    async def run(self, job: Coroutine[Any, Any, None]) -> None:
        """Return when the job is done, or has gone aside. Raises what it raises before."""
        task = asyncio.create_task(job)
        try:
            done, _ = await asyncio.wait({task}, timeout=PATIENCE)
            if done or self._ending or len(self._going) >= self._most:
                await task
                return
        except asyncio.CancelledError:
            task.cancel()
            raise
        self._going.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._going.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("job_broke", exc_info=task.exception())

    async def end(self, within: float) -> None:
        """Let what goes on finish for so many seconds, then stop it: its lease runs out by itself."""
        self._ending = True  # who runs now keeps its place, and is waited for there
        going = set(self._going)
        if going:
            _, late = await asyncio.wait(going, timeout=within)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
