"""The router process: it leads or stands by, expires offers and makes new ones. `careline route`.

A hint wakes it at once, and it looks by itself every second. It believes in its lease only as long as its own clock
says that the last renewal is young; the database has the last word in every transaction.
"""

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.db import create_engine, sessionmaker
from app.flow.offer import expire_offers
from app.flow.route import LEASE, decide, lead, leads, make_offers, step_down
from app.hints import hints
from app.settings import Settings
from app.telemetry import offers

log = structlog.get_logger(__name__)

LOOK_EVERY = 1.0  # seconds without a hint


class Router:
    """One router: a holder of the lease, or a standby."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        """Take a name that nobody else has."""
        self.sessions = sessions
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.epoch: int | None = None
        self.renewed = 0.0  # on the monotonic clock

    async def tick(self) -> int:
        """Lead if we can, take back what ran out, offer what waits; returns how many offers were made."""
        if not await self._lead():
            return 0
        made = 0
        while batch := await self._round():
            made += batch
            if not await self._lead():
                break
        return made

    async def _lead(self) -> bool:
        young = time.monotonic() - self.renewed < LEASE.total_seconds() / 3
        if self.epoch is not None and young:
            return True
        began = time.monotonic()
        async with self.sessions.begin() as session:
            epoch = await lead(session, self.holder)
        if epoch != self.epoch:
            log.info("router_leads" if epoch is not None else "router_stands_by", epoch=epoch)
        self.epoch, self.renewed = epoch, began
        return epoch is not None

    async def _round(self) -> int:
        """One transaction of decisions, fenced by the lease's epoch."""
        async with self.sessions.begin() as session:
            if self.epoch is None or not await leads(session, self.holder, self.epoch):
                self.epoch = None
                return 0
            expired = await expire_offers(session)
            made = await make_offers(session, await decide(session))
        offers.labels(outcome="expired").inc(expired)
        offers.labels(outcome="made").inc(made)
        return made

    async def close(self) -> None:
        """Let a standby lead at once."""
        if self.epoch is not None:
            async with self.sessions.begin() as session:
                await step_down(session, self.holder, self.epoch)


async def route(settings: Settings, stop: asyncio.Event) -> None:
    """Run a router until `stop`."""
    engine = create_engine(settings.database_url, 2, "careline route")
    router = Router(sessionmaker(engine))
    nudged = asyncio.Event()
    listener = asyncio.create_task(_listen(settings.database_url, nudged))
    try:
        while not stop.is_set():
            nudged.clear()
            try:
                await router.tick()
            except (DBAPIError, OSError) as error:
                log.warning("database_away", cause=type(error).__name__)
                router.epoch = None
            await _either(stop, nudged, LOOK_EVERY)
        await router.close()
    finally:
        listener.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listener
        await engine.dispose()


async def _listen(url: str, nudged: asyncio.Event) -> None:
    async for _ in _relevant(url):
        nudged.set()


async def _relevant(url: str) -> AsyncIterator[None]:
    async for hint in hints(url):
        if hint is None or "queues" in hint or "agents" in hint:
            yield


async def _either(stop: asyncio.Event, nudged: asyncio.Event, seconds: float) -> None:
    waits = [asyncio.create_task(event.wait()) for event in (stop, nudged)]
    await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
