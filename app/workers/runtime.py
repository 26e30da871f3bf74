"""What a worker process carries: settings, database, keys and the guarded client."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

import httpx
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.db import create_engine, sessionmaker
from app.settings import Settings
from app.transport import guarded_client
from app.vault import Vault

LONGEST_REST = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Runtime:
    """Shared by all jobs of a process."""

    settings: Settings
    sessions: async_sessionmaker[AsyncSession]
    vault: Vault
    http: httpx.AsyncClient
    storing_old: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))  # first syncs and imports

    @asynccontextmanager
    async def turn_of_the_old(self) -> AsyncIterator[None]:
        """One of the few places where what is old is stored; afterwards it rests for as long as it took, a second at most."""
        async with self.storing_old:
            begin = monotonic()
            yield
            await asyncio.sleep(min(monotonic() - begin, LONGEST_REST))


@asynccontextmanager
async def runtime(settings: Settings, application: str) -> AsyncIterator[Runtime]:
    """Open what a worker needs, and close it at the end."""
    engine = create_engine(settings.database_url, settings.pool_size, application)
    try:
        async with guarded_client(settings) as http:
            few = asyncio.Semaphore(settings.backlog_concurrency)
            yield Runtime(settings, sessionmaker(engine), Vault.load(settings), http, few)
    finally:
        await engine.dispose()
