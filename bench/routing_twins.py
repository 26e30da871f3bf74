"""What the routing benchmark compares with: two job queues that fetch, and a bare claim. And how a turn is timed."""

import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any, TypeAlias

import psycopg
from procrastinate import App, PsycopgConnector
from psycopg.rows import tuple_row
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from app.db import libpq_url
from bench.harness import connect

BARE = """
    UPDATE twin SET state = 'offered', agent_id = %s, version = version + 1
    WHERE id IN (SELECT id FROM twin WHERE queue_id = %s AND state = 'queued' ORDER BY rank, id
                 LIMIT %s FOR UPDATE SKIP LOCKED)
    RETURNING id
"""
BARE_ONE = BARE.replace("id IN (", "id = (")
WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"

Fetch: TypeAlias = Callable[[int, int], Awaitable[int]]  # so many fetches of so many: how many came
Runner: TypeAlias = Callable[[int, int], Awaitable["Turn"]]  # so many fetches of so many


@dataclass(frozen=True, slots=True)
class Turn:
    """How it went."""

    rate: float  # rows a second
    wal: float  # bytes of write-ahead log a row


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is measured."""

    url: str
    waiting: int
    queue_ids: Sequence[int]
    agent_ids: Sequence[int]
    raw: psycopg.AsyncConnection[Any]
    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]


def bare(place: Place) -> Runner:
    async def fetch(count: int, many: int) -> int:
        came = 0
        for n in range(count):
            queue = place.queue_ids[n % len(place.queue_ids)]
            agent = place.agent_ids[n % len(place.agent_ids)]
            cursor = await place.raw.execute(BARE_ONE if many == 1 else BARE, [agent, queue, many], prepare=True)
            came += len(await cursor.fetchall())
        return came

    return timed(place, fetch)


def timed(place: Place, fetch: Fetch, fill: Callable[[int], Awaitable[object]] | None = None) -> Runner:
    async def run(count: int, many: int) -> Turn:
        if fill is not None:
            await fill(count * many)
        logged = await _logged(place)
        begin = time.perf_counter()
        came = await fetch(count, many)
        took = time.perf_counter() - begin
        assert came == count * many, came
        return Turn(came / took, (await _logged(place) - logged) / came)

    return run


async def _logged(place: Place) -> int:
    """Bytes of write-ahead log so far."""
    row = await (await place.raw.execute(WAL)).fetchone()
    assert row is not None
    return int(row[0])


@asynccontextmanager
async def procrastinate(place: Place) -> AsyncIterator[Runner]:
    connector = PsycopgConnector(conninfo=libpq_url(place.url), min_size=1, max_size=1)
    app = App(connector=connector)
    async with app.open_async():
        worker = await app.job_manager.register_worker()

        async def fetch(count: int, many: int) -> int:
            assert many == 1, "It fetches one by one."
            return sum([await app.job_manager.fetch_job(None, worker) is not None for _ in range(count)])

        async def fill(count: int) -> None:
            await place.raw.execute(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, args)"
                " SELECT 'default', 'offer', jsonb_build_object('item_id', n) FROM generate_series(1, %s::int) n",
                [count],
            )

        await fill(place.waiting)
        await place.raw.execute("ANALYZE procrastinate_jobs")
        yield timed(place, fetch, fill)


@asynccontextmanager
async def pgqueuer(place: Place, driver: str) -> AsyncIterator[Runner]:
    """It is imported only here: `make bench` installs it."""
    queries = import_module("pgqueuer.queries").Queries
    parameter = import_module("pgqueuer.ports.repository").EntrypointExecutionParameter
    known, entry = uuid.uuid4(), f"offer-{driver}"
    async with AsyncExitStack() as stack:
        if driver == "asyncpg":
            connection = await import_module("asyncpg").connect(libpq_url(place.url))
            stack.push_async_callback(connection.close)
            queue = queries.from_asyncpg_connection(connection)
        else:
            theirs = await stack.enter_async_context(await connect(place.url))
            theirs.row_factory = tuple_row
            queue = queries.from_psycopg_connection(theirs)
        if not await queue.schema_is_installed():
            await queue.install()

        async def fetch(count: int, many: int) -> int:
            entries, stale, came = {entry: parameter(0)}, timedelta(seconds=30), 0
            for _ in range(count):
                came += len(await queue.dequeue(many, entries, known, None, stale))
            return came

        async def fill(count: int) -> None:
            await queue.enqueue([entry] * count, [b"{}"] * count, [0] * count)

        await fill(place.waiting)
        await place.raw.execute("ANALYZE pgqueuer")
        yield timed(place, fetch, fill)
