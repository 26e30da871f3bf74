"""Faults: 200 feeds at once, a tenth of them misbehaving, and what the healthy ones feel of it.

`careline work` in a process of its own polls 200 hosts on loopback (bench/misbehaving.py), each with a post every few
seconds. First all are well; then a tenth misbehave for ten minutes (`python -m bench faults --minutes 2` for another
time): they hang, drip, answer 503, HTML, half an answer, half a document, 429 with a far Retry-After or 401, break the
connection, never end, redirect in circles, show a certificate that nobody vouches for, or have a silent name server.

Measured at the feeds that stay healthy: the lag, from a post's publication to its row. The ratio is the worse of its
median's and its 95th percentile's growth over the healthy phase of the same run: at most 1.1. It is made to miss its
goal when the worker's memory grew by more than a tenth, or a sick feed's health does not name its real cause.
"""

import asyncio
import os
import re
import secrets
import statistics
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import psycopg
from psycopg.types.json import Jsonb

from app.db import create_engine, sessionmaker
from bench.harness import Result, connect, make_company, percentile
from bench.misbehaving import SLOW_NAMES, WAYS, Server, Servers

GOAL = 1.1
FLAT = 1.1  # of memory, the last third of a phase over its first
MINUTES = 10.0
START = 300.0  # seconds that the worker gets to start and to read all feeds
HEALTH = "SELECT f.id, f.settings ->> 'url', f.health, f.trouble FROM feed f WHERE f.id = ANY(%s) ORDER BY f.id"
ROWS = """
    SELECT external_id, extract(epoch FROM received_at)::float8 FROM post
    WHERE received_at >= to_timestamp(%s) AND received_at < to_timestamp(%s)
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured. A phase is in minutes, the rest in seconds."""

    feeds: int = 200
    sick: int = 20
    healthy_phase: float = MINUTES / 2
    sick_phase: float = MINUTES
    warm: float = 20.0  # once all feeds were read for the first time
    interval: int = 15  # between two polls of a feed
    posts: float = 15.0  # between two posts of a feed


TINY = Size(feeds=16, sick=14, healthy_phase=0.05, sick_phase=0.1, warm=1, interval=1, posts=1)


@dataclass(slots=True)
class Phase:
    """What was seen in a phase."""

    begin: float
    end: float = 0.0
    memory: list[int] = field(default_factory=list)  # bytes of the worker, every second

    @property
    def growth(self) -> float:
        """The last third of the memory over the first."""
        third = max(1, len(self.memory) // 3)
        return statistics.median(self.memory[-third:]) / statistics.median(self.memory[:third])


async def measure(url: str, size: Size | None = None, minutes: float | None = None) -> Result:
    """Run on the database at `url` (migrated and empty)."""
    size = size or Size(healthy_phase=(minutes or MINUTES) / 2, sick_phase=minutes or MINUTES)
    ways = list(WAYS)
    servers = [Server(n, ways[n % len(ways)] if n < size.sick else "") for n in range(size.feeds)]
    crowd, engine = Servers(servers), create_engine(url, pool_size=1)
    async with sessionmaker(engine)() as session:
        await make_company(session)
    await engine.dispose()
    with tempfile.TemporaryDirectory(prefix="careline-faults-") as folder:
        async with crowd.running(Path(folder)), await connect(url) as raw:
            ids = await _feeds(raw, crowd, servers, size)
            writing = asyncio.create_task(_write(servers, size))
            try:
                async with _worker(url, servers, folder) as worker:
                    await _synced(raw, size)
                    before = await _watched(worker, size.healthy_phase * 60)
                    await _fall_ill(raw, crowd, servers, ids)
                    during = await _watched(worker, size.sick_phase * 60)
            finally:
                writing.cancel()
            lags = [await _lags(raw, servers[size.sick :], phase) for phase in (before, during)]
            wrong = await _wrong(raw, servers[: size.sick], ids)
    return _told(lags, before, during, wrong, size)


def _told(lags: Sequence[list[float]], before: Phase, during: Phase, wrong: list[str], size: Size) -> Result:
    well, ill = lags
    middle = statistics.median(ill) / statistics.median(well)
    worst = percentile(ill, 0.95) / percentile(well, 0.95)
    print(f"faults: {size.feeds} feeds, {size.sick} of them sick for {size.sick_phase:g} minutes, {len(ill)} posts")
    for name, found, ratio in (("median", statistics.median, middle), ("p95", lambda v: percentile(v, 0.95), worst)):
        said = "pass" if ratio <= GOAL else "MISS"
        print(f"faults: {said}: {name} lag {found(well):.2f} s well, {found(ill):.2f} s beside the sick: {ratio:.3f}")
    grown = max(during.growth, statistics.median(during.memory) / max(before.memory))
    said = "pass" if grown <= FLAT else "MISS"
    print(f"faults: {said}: memory {max(during.memory) // 1_000_000} MB at most, grown to {grown:.3f}")
    print(f"faults: {'MISS' if wrong else 'pass'}: {size.sick - len(wrong)} of {size.sick} say what is wrong with them")
    for line in wrong:
        print(f"faults: {line}")
    ratio = max(middle, worst)
    return Result("faults", ratio if grown <= FLAT and not wrong else max(ratio, 2 * GOAL), GOAL, at_least=False)


async def _feeds(
    raw: psycopg.AsyncConnection[Any], crowd: Servers, servers: Sequence[Server], size: Size
) -> dict[int, int]:
    """A feed for each server; returns their ids by the server's number."""
    made = {}
    for server in servers:
        settings = {"url": f"http://{server.address}:{crowd.port}/feed.json"}
        row = await raw.execute(
            "INSERT INTO feed (name, channel, settings, min_interval, max_interval, interval, next_poll_at) "
            "VALUES (%s, 'rss', %s, %s, %s, %s, now() + make_interval(secs => %s)) RETURNING id",
            (
                f"Feed {server.number}", Jsonb(settings), size.interval, size.interval, size.interval,
                size.interval * server.number / len(servers),
            ),
        )  # fmt: skip
        made[server.number] = (await row.fetchone() or (0,))[0]
    return made


async def _synced(raw: psycopg.AsyncConnection[Any], size: Size) -> None:
    """Wait until the worker has read every feed, and a little longer."""
    unread = "SELECT 1 FROM feed WHERE synced_at IS NULL AND channel = 'rss' LIMIT 1"
    async with asyncio.timeout(START):
        while (await (await raw.execute(unread)).fetchone()) is not None:  # noqa: ASYNC110 - a row tells nobody
            await asyncio.sleep(0.5)
    await asyncio.sleep(size.warm)


async def _write(servers: Sequence[Server], size: Size) -> None:
    """Somebody writes at each server by turns, for ever."""
    while True:
        for server in servers:
            server.publish()
            await asyncio.sleep(size.posts / len(servers))


@asynccontextmanager
async def _worker(url: str, servers: Sequence[Server], folder: str) -> AsyncIterator[psutil.Process]:
    hosts = [server.address for server in servers] + [_slow(server) for server in servers]
    environment = {**os.environ, "DATABASE_URL": url, "CARELINE_DATA_DIR": folder, "CARELINE_LOG_LEVEL": "ERROR"}
    environment |= {"CARELINE_KEY": b64encode(secrets.token_bytes(32)).decode()}
    environment |= {"CARELINE_ALLOW_HOSTS": ",".join(hosts)}
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.worker", "work"), env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield psutil.Process(worker.pid)
    finally:
        if worker.returncode is None:
            worker.terminate()
        await worker.wait()


def _slow(server: Server) -> str:
    return f"news{server.number}{SLOW_NAMES}"


async def _fall_ill(
    raw: psycopg.AsyncConnection[Any], crowd: Servers, servers: Sequence[Server], ids: dict[int, int]
) -> None:
    """From now on the sick misbehave; two ways of it are in the address."""
    for server in servers:
        server.sick = bool(server.way)
        moved = {
            "bad TLS": f"https://{server.address}:{crowd.tls_port}/feed.json",
            "silent name server": f"http://{_slow(server)}:{crowd.port}/feed.json",
        }.get(server.way)
        if moved:
            sql = "UPDATE feed SET settings = %s WHERE id = %s"
            await raw.execute(sql, (Jsonb({"url": moved}), ids[server.number]))


async def _watched(worker: psutil.Process, seconds: float) -> Phase:
    """Let the phase pass; a look at the worker's memory every second."""
    phase = Phase(time.time())
    while time.time() < phase.begin + seconds:
        phase.memory.append(worker.memory_info().rss)
        await asyncio.sleep(min(1.0, seconds / 6))
    phase.end = time.time()
    return phase


async def _lags(raw: psycopg.AsyncConnection[Any], healthy: Sequence[Server], phase: Phase) -> list[float]:
    """Seconds from publication to row, of the posts of healthy feeds that were stored in a phase."""
    published = {name: at for server in healthy for name, at in server.published}
    rows = await (await raw.execute(ROWS, (phase.begin, phase.end))).fetchall()
    return [stored - published[name] for name, stored in rows if name in published]


async def _wrong(raw: psycopg.AsyncConnection[Any], sick: Sequence[Server], ids: dict[int, int]) -> list[str]:
    """The sick feeds whose health does not say what is wrong."""
    wanted = {ids[server.number]: server for server in sick}
    rows = await (await raw.execute(HEALTH, (list(wanted),))).fetchall()
    return [
        f"'{wanted[number].way}' is {health}: {trouble or 'says nothing'}"
        for number, _, health, trouble in rows
        if not re.search(WAYS[wanted[number].way][1], trouble)
    ]
