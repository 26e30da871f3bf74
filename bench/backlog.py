"""Backlog: how late a fresh mention is while 50 feeds at once bring 100,000 posts of before.

`careline work` runs in a process of its own, as an operator runs it, against a simulated network over loopback. First it
polls a few feeds that are synced already: a mention is written there every quarter of a second, and the delay is from
then until its item is committed, so it has the feed's own interval (1 to 2 s) in it. Then the 50 other feeds are switched
on, one with half of the posts and the others with the rest, and the same goes on until the last post is in, or the time
is over. Meanwhile mentions are pushed as well (`flow.deliver`, as `POST /hooks/` calls it), which has no interval. The
figure is by how much the slowest mention of the import is later than the slowest of the quiet phase of the same run.
"""

import asyncio
import json
import os
import random
import secrets
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.connectors.base import Batch, IncomingAuthor, IncomingPost, PostKind
from app.connectors.demo import DemoCredentials
from app.db import create_engine, sessionmaker
from app.flow.deliver import deliver
from app.flow.sealed import revealed, sealed_for
from app.models.account import Account
from app.models.feed import Feed, FeedBacklog
from app.vault import Vault
from bench.harness import SAID, Result, connect, make_company, percentile

GOAL = 1.0  # seconds by which the slowest mention may be later
LEAST = 0.001  # seconds: told where no mention came later than before
PAGE = 100  # posts in one answer of the network
BYTES = 300  # of a post's text
LOOK = 0.02  # seconds between two looks whether a mention is there
STRAGGLERS = 20.0  # seconds that mentions still under way get at the end of a phase

_ARRIVED = """
    SELECT p.external_id FROM post p JOIN item i ON i.conversation_id = p.conversation_id
    WHERE p.external_id = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured. Times in seconds."""

    posts: int = 100_000  # of before, in all
    feeds: int = 50  # that bring them
    fresh: int = 4  # feeds that mentions come from
    quiet: float = 45.0
    longest: float = 240.0  # that the import is watched
    every: float = 0.25  # between two mentions


TINY = Size(posts=60, feeds=3, fresh=1, quiet=2.5, longest=6.0, every=0.4)


@dataclass(slots=True)
class Network:
    """A network of inboxes, by name: how many posts stand in each. An inbox that grows is a fresh feed's."""

    inboxes: dict[str, int] = field(default_factory=dict)
    port: int = 0

    def url(self, name: str) -> str:
        """Where an inbox is."""
        return f"http://127.0.0.1:{self.port}/{name}"

    def answer(self, target: str) -> dict[str, Any]:
        """What the demo network's API says (`app.connectors.demo`)."""
        parts = urlsplit(target)
        _, name, *rest = parts.path.split("/")
        after = int(parse_qs(parts.query).get("after", ["0"])[0])
        if rest[-1] == "changes":
            return {"changes": [], "last": after, "more": False}
        last = min(after + PAGE, self.inboxes[name])
        posts = [_written(name, number) for number in range(after + 1, last + 1)]
        return {"me": "us", "posts": posts, "last": last, "more": last < self.inboxes[name]}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer (HTTP/1.1)."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            body = json.dumps(self.answer(head.split(b" ", 2)[1].decode())).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n")
            writer.write(b"content-length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        writer.close()


def _written(name: str, number: int) -> dict[str, Any]:
    uri = f"https://{name}.example/posts/{number}"
    language = random.choice(list(SAID))
    said = f"{number} {' '.join(random.choices(SAID[language].split(), k=BYTES // 6))}"
    person = {"id": f"{name}-{number}", "handle": f"{name}{number}", "name": f"Person {number}"}
    at = datetime.now(UTC) - timedelta(minutes=30)
    more = {"created_at": at.isoformat(), "language": language, "mentions_us": True}
    return {"id": number, "uri": uri, "thread": uri, "author": person, "text": said[:BYTES], **more}


@dataclass(slots=True)
class Ground:
    """What is measured on."""

    url: str
    sessions: async_sessionmaker[AsyncSession]
    network: Network
    box: int  # the feed that is pushed to
    written: int = 0


async def measure(url: str, size: Size | None = None) -> Result:
    """Fill the database at `url` (migrated and empty) and measure."""
    size = size or Size()
    engine, key = create_engine(url, pool_size=4), secrets.token_bytes(32)
    network = Network({f"fresh{n}": 0 for n in range(size.fresh)} | _backlogs(size))
    server = await asyncio.start_server(network.serve, "127.0.0.1", 0)
    network.port = server.sockets[0].getsockname()[1]
    try:
        sessions = sessionmaker(engine)
        async with sessions() as session:
            company = await make_company(session)
            await _feeds(session, network, Vault([key]))
        ground = Ground(url, sessions, network, company.feed_id)
        async with _working(url, key):
            await _first(ground)
            quiet = await _phase(ground, size, size.quiet, None)
            async with sessions.begin() as session:
                await session.execute(update(Feed).where(Feed.name.like("old%")).values(enabled=True))
            begin = time.monotonic()
            busy = await _phase(ground, size, size.longest, sessions)
            took = time.monotonic() - begin
        async with sessions() as session:
            brought = (await session.scalar(select(func.sum(FeedBacklog.posts)))) or 0
    finally:
        server.close()
        await engine.dispose()
    return _told(quiet, busy, int(brought), took)


def _backlogs(size: Size) -> dict[str, int]:
    """Half of the posts in one inbox, the rest spread over the others."""
    others = max(1, size.feeds - 1)
    return {"old0": size.posts // 2} | {f"old{n}": size.posts // 2 // others for n in range(1, size.feeds)}


async def _feeds(session: AsyncSession, network: Network, vault: Vault) -> None:
    account = Account(channel="demo", name="us")
    session.add(account)
    await session.flush()
    account.sealed = vault.seal(revealed(DemoCredentials(token=SecretStr("t"))), sealed_for(account.id))
    for name in network.inboxes:
        fresh = name.startswith("fresh")
        session.add(
            Feed(
                name=name,
                channel="demo",
                account_id=account.id,
                settings={"url": network.url(name)},
                enabled=fresh,
                synced_at=func.now() if fresh else None,
                min_interval=1,
                max_interval=2,
                interval=1,
            )
        )
    await session.commit()


@asynccontextmanager
async def _working(url: str, key: bytes) -> AsyncIterator[None]:
    """`careline work`, as an operator runs it."""
    with tempfile.TemporaryDirectory(prefix="careline-bench-") as folder:
        environment = {**os.environ, "DATABASE_URL": url, "CARELINE_DATA_DIR": folder, "CARELINE_LOG_LEVEL": "ERROR"}
        environment |= {"CARELINE_KEY": b64encode(key).decode(), "CARELINE_ALLOW_HOSTS": "127.0.0.1"}
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app.cli", "work"), env=environment, stdout=asyncio.subprocess.DEVNULL
        )
        try:
            yield
        finally:
            if worker.returncode is None:
                worker.terminate()
            await worker.wait()


async def _first(ground: Ground) -> None:
    """Wait until the worker works: a mention arrives."""
    async with asyncio.timeout(60), await connect(ground.url) as raw:
        name = _mention(ground)
        while not await (await raw.execute(_ARRIVED, [[name]])).fetchone():  # noqa: ASYNC110 - another process brings it
            await asyncio.sleep(LOOK)


def _mention(ground: Ground) -> str:
    """Somebody writes to us; what the post is called."""
    name = f"fresh{ground.written % len([one for one in ground.network.inboxes if one.startswith('fresh')])}"
    ground.written += 1
    ground.network.inboxes[name] += 1
    return f"https://{name}.example/posts/{ground.network.inboxes[name]}"


@dataclass(slots=True)
class Delays:
    """Of the mentions of a phase, in seconds."""

    polled: list[float] = field(default_factory=list)
    pushed: list[float] = field(default_factory=list)


async def _phase(
    ground: Ground, size: Size, longest: float, importing: async_sessionmaker[AsyncSession] | None
) -> Delays:
    """Let mentions come until the import is over, or for as long as it may take; those under way are waited for."""
    delays, waiting = Delays(), dict[str, float]()
    end = time.monotonic() + longest
    ended = asyncio.create_task(_synced(importing) if importing else asyncio.sleep(longest))
    looking = asyncio.create_task(_look(ground, waiting, delays))
    try:
        while time.monotonic() < end and not ended.done():
            waiting[_mention(ground)] = time.perf_counter()
            delays.pushed.append(await _push(ground))
            await asyncio.sleep(size.every * random.uniform(0.5, 1.5))
        late = time.monotonic() + STRAGGLERS
        while waiting and time.monotonic() < late:  # noqa: ASYNC110 - another process brings them
            await asyncio.sleep(LOOK)
        delays.polled += [time.perf_counter() - since for since in waiting.values()]  # still not here: as late as now
    finally:
        for task in (ended, looking):
            task.cancel()
        await asyncio.gather(ended, looking, return_exceptions=True)
    return delays


async def _look(ground: Ground, waiting: dict[str, float], delays: Delays) -> None:
    """Note when each mention has its item."""
    async with await connect(ground.url) as raw:
        while True:
            if waiting:
                rows = await (await raw.execute(_ARRIVED, [[*waiting]])).fetchall()
                delays.polled += [time.perf_counter() - waiting.pop(name) for (name,) in rows if name in waiting]
            await asyncio.sleep(LOOK)


async def _push(ground: Ground) -> float:
    """Seconds that a pushed mention takes to be stored."""
    name = secrets.token_hex(8)
    who = IncomingAuthor(f"pushed:{name}", handle=name)
    post = IncomingPost(f"box:{name}", f"box:{name}", who, "Where is my tent?", datetime.now(UTC), PostKind.MENTION)
    begin = time.perf_counter()
    async with ground.sessions.begin() as session:
        feed = await session.get_one(Feed, ground.box)
        await deliver(session, feed, Batch(posts=(post,), delivery_id=name))
    return time.perf_counter() - begin


async def _synced(sessions: async_sessionmaker[AsyncSession]) -> None:
    """Wait until every feed has brought all of its posts of before."""
    under_way = 1
    while under_way:
        await asyncio.sleep(0.5)
        async with sessions() as session:
            under_way = await session.scalar(select(func.count()).where(Feed.enabled, Feed.synced_at.is_(None))) or 0


def _told(quiet: Delays, busy: Delays, brought: int, took: float) -> Result:
    print(f"backlog: {brought} posts of before in {took:.0f} s, {brought / took:.0f} a second")
    later = []
    for kind, before, during in (("polled", quiet.polled, busy.polled), ("pushed", quiet.pushed, busy.pushed)):
        print(f"backlog: {kind} mentions, quiet {_figures(before)}; during the import {_figures(during)}")
        later.append(max(during) - max(before))
    return Result("backlog", max(LEAST, *later), GOAL, at_least=False)


def _figures(delays: Sequence[float]) -> str:
    middle, high = percentile(delays, 0.5), percentile(delays, 0.95)
    return f"p50 {middle:.2f}, p95 {high:.2f}, max {max(delays):.2f} s of {len(delays)}"
