"""Routing: committed offers a second, one by one and in batches of 100, against job queues that fetch and a bare claim.

Ours is `app.flow.route.carry_out` of the kernel's decisions, with its commit: the item with its agent and version, the
offer with why, the event, the holder's load, the hint. The kernel decides beforehand; `routing_kernel` measures that.
An agent is asked one thing at a time, so after each turn, unmeasured, the offers are swept away.

The twins fetch from as long a line on the same server, a commit a fetch, and write nothing else: procrastinate job by
job (it knows no other way); pgqueuer job by job and a hundred at a time, through psycopg (as ours) and asyncpg, of
which the faster counts; and a bare `UPDATE ... SKIP LOCKED` of the same items in a copy of their table with the same
indexes. One connection each, all by turns in the same seconds.

The last line's ratio is the least of what was reached of each goal; at least 1 meets them all.
"""

import statistics
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any, TypeAlias

import psycopg
from procrastinate import App, PsycopgConnector
from psycopg.rows import tuple_row
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from app.db import create_engine, libpq_url, plain, sessionmaker
from app.flow.mirror import clock, load_all
from app.flow.route import lead, offer_at_once
from app.models.offering import Fence
from app.routing.decisions import Match
from bench.harness import Result, connect, make_company, settle, spread
from bench.seed import queue_items

BATCH = 100
HOLDER = "bench"
KEEP_LEADING = "UPDATE router_lease SET expires_at = now() + interval '1 hour'"
GOALS = {  # of ours over theirs
    ("ours", "pgqueuer"): 1.0,
    ("ours", "procrastinate"): 5.0,
    ("ours", "bare"): 0.7,
    ("ours by 100", "pgqueuer by 100"): 1.0,
    ("ours by 100", "procrastinate"): 5.0,
}
PGQUEUERS = ("psycopg", "asyncpg")
BARE = """
    UPDATE twin SET state = 'offered', agent_id = %s, version = version + 1
    WHERE id IN (SELECT id FROM twin WHERE queue_id = %s AND state = 'queued' ORDER BY rank, id
                 LIMIT %s FOR UPDATE SKIP LOCKED)
    RETURNING id
"""
BARE_ONE = BARE.replace("id IN (", "id = (")

# What is offered is closed and everybody is free again, as if it had been answered in between.
SWEEP = """
    WITH ended AS (
        UPDATE item SET state = 'closed', agent_id = NULL, ended_at = now(), disposition = 'answered'
        WHERE state = 'offered' RETURNING id
    ), offers AS (
        UPDATE offer SET outcome = 'accepted', ended_at = now() FROM ended WHERE item_id = ended.id AND outcome IS NULL
    )
    UPDATE presence SET load = 0 WHERE load > 0
"""

Fetch: TypeAlias = Callable[[int, int], Awaitable[int]]  # so many fetches of so many: how many came


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    waiting: int = 100_000
    agents: int = 2_000
    fetches: int = 300  # one by one, in a turn
    batches: int = 10  # of 100, in a turn
    batch: int = BATCH
    rounds: int = 9
    pgqueuers: Sequence[str] = PGQUEUERS


TINY = Size(waiting=200, agents=12, fetches=3, batches=2, batch=4, rounds=2, pgqueuers=())


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is measured."""

    url: str
    size: Size
    raw: psycopg.AsyncConnection[Any]
    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    queue_ids: Sequence[int]
    agent_ids: Sequence[int]


async def measure(url: str, size: Size | None = None) -> Result:
    """Fill the database at `url` (migrated and empty) and measure."""
    size = size or Size()
    rounds: list[dict[str, float]] = []
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(_place(url, size))
        runners = {"ours": _ours(place), "bare": _bare(place)}
        runners["procrastinate"] = await stack.enter_async_context(_procrastinate(place))
        for driver in size.pgqueuers:
            runners[f"pgqueuer/{driver}"] = await stack.enter_async_context(_pgqueuer(place, driver))
        await _round(runners, size, 0)  # opens, prepares, warms
        for number in range(size.rounds):
            await place.raw.execute("VACUUM item, presence, offer, twin")
            rounds.append(await _round(runners, size, number))
    return _told(rounds)


async def _round(runners: Mapping[str, "Runner"], size: Size, number: int) -> dict[str, float]:
    """Rates of each; who begins changes from round to round."""
    rates: dict[str, float] = {}
    names = list(runners)
    for name in names[number % len(names) :] + names[: number % len(names)]:
        rates[name] = await runners[name](size.fetches, 1)
        if name != "procrastinate":
            rates[f"{name} by {BATCH}"] = await runners[name](size.batches, size.batch)
    return rates


Runner: TypeAlias = Callable[[int, int], Awaitable[float]]  # so many fetches of so many: rows a second


def _told(rounds: Sequence[dict[str, float]]) -> Result:
    rates: dict[str, list[float]] = defaultdict(list)
    for one in rounds:
        for ending in ("", f" by {BATCH}"):
            both = [rate for name, rate in one.items() if name in {f"pgqueuer/{d}{ending}" for d in PGQUEUERS}]
            if both:
                one[f"pgqueuer{ending}"] = max(both)
        for name, rate in one.items():
            rates[name].append(rate)
    for name in sorted(rates):
        print(f"routing: {name} {spread(rates[name], 0)} a second")
    reached = {}
    for (ours, theirs), goal in GOALS.items():
        if theirs in rates:
            ratios = [a / b for a, b in zip(rates[ours], rates[theirs], strict=True)]
            reached[ours, theirs] = statistics.median(ratios) / goal
            print(f"routing: {ours} over {theirs} {spread(ratios)}, goal {goal}")
    return Result("routing", min(reached.values()), 1.0, at_least=True)


@asynccontextmanager
async def _place(url: str, size: Size) -> AsyncIterator[Place]:
    engine = create_engine(url, pool_size=1)
    try:
        sessions = sessionmaker(engine)
        async with sessions() as session:
            company = await make_company(session, agents=size.agents)
        async with await connect(url) as raw:
            await queue_items(raw, company, size.waiting)
            await raw.execute("CREATE TABLE twin (LIKE item INCLUDING ALL)")
            await raw.execute("INSERT INTO twin OVERRIDING SYSTEM VALUE SELECT * FROM item")
            await settle(url)
            yield Place(url, size, raw, engine, sessions, company.queue_ids, company.agent_ids)
    finally:
        await engine.dispose()


def _ours(place: Place) -> Runner:
    async def run(count: int, many: int) -> float:
        async with place.sessions() as session:
            mirror = await load_all(session)
            decisions = [d for d in mirror.kernel.run(await clock(session)) if isinstance(d, Match)]
        async with place.sessions.begin() as session:
            fence = Fence(HOLDER, await lead(session, HOLDER) or 0)
        await place.raw.execute(KEEP_LEADING)
        assert len(decisions) >= count * many, len(decisions)
        async with plain(place.engine) as connection:
            begin = time.perf_counter()
            held = 0
            for start in range(0, count * many, many):
                held += len(await offer_at_once(connection, fence, decisions[start : start + many]))
            took = time.perf_counter() - begin
        assert held == count * many, held
        await place.raw.execute(SWEEP)
        return held / took

    return run


def _bare(place: Place) -> Runner:
    async def fetch(count: int, many: int) -> int:
        came = 0
        for n in range(count):
            queue = place.queue_ids[n % len(place.queue_ids)]
            agent = place.agent_ids[n % len(place.agent_ids)]
            cursor = await place.raw.execute(BARE_ONE if many == 1 else BARE, [agent, queue, many], prepare=True)
            came += len(await cursor.fetchall())
        return came

    return _timed(fetch)


def _timed(fetch: Fetch, fill: Callable[[int], Awaitable[object]] | None = None) -> Runner:
    async def run(count: int, many: int) -> float:
        if fill is not None:
            await fill(count * many)
        begin = time.perf_counter()
        came = await fetch(count, many)
        took = time.perf_counter() - begin
        assert came == count * many, came
        return came / took

    return run


@asynccontextmanager
async def _procrastinate(place: Place) -> AsyncIterator[Runner]:
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

        await fill(place.size.waiting)
        await place.raw.execute("ANALYZE procrastinate_jobs")
        yield _timed(fetch, fill)


@asynccontextmanager
async def _pgqueuer(place: Place, driver: str) -> AsyncIterator[Runner]:
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

        await fill(place.size.waiting)
        await place.raw.execute("ANALYZE pgqueuer")
        yield _timed(fetch, fill)
