"""Desk: the list pages as the server draws them for an agent who is signed in, with 10,000 open items.

The real app (`create_app`: routing, sign-in, transaction, queries, templates, compression) is called through its ASGI
door in this process, so that the time holds all the server's work and no network. Two pages by turns: /desk (what the
agent holds, what is next, the rail) and the first page of a queue (50 rows). Between two looks a colleague claims the
head of the queue by the real verb, so that each look has something new to draw. The figure is the 95th percentile of
the slower page. The twin, printed beside it, fetches the same 50 rows with plain SQL.
"""

import statistics
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import psycopg
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from starlette.types import ASGIApp, Receive, Scope, Send

from app.db import create_engine, sessionmaker
from app.flow.claim import claim
from app.flow.park import park
from app.flow.passwords import hashed
from app.flow.sign_in import sign_in
from app.main import create_app
from app.models.agent import Agent
from app.models.item import Item, State
from app.settings import Settings
from app.web.edge import cookie_name
from bench.harness import Company, Result, connect, make_company, percentile, settle, spread
from bench.seed import queue_items

GOAL_MS = 40.0  # 95th percentile on the server
GOAL = 1.0  # of that
BROWSER = {"accept-encoding": "gzip", "accept": "text/html", "user-agent": "bench"}
BARE = """
    SELECT i.id, i.version, i.state, i.channel, i.priority, i.requirements, q.name, i.ready_at, i.due_at, i.rank,
           i.posts, a.name, a.handle, left(p.text, 240)
    FROM item i JOIN queue q ON q.id = i.queue_id JOIN post p ON p.id = i.post_id JOIN author a ON a.id = p.author_id
    WHERE i.queue_id = %s AND i.state = 'queued' ORDER BY i.rank, i.id LIMIT 51
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    items: int = 10_000
    held: int = 12  # by the agent who looks
    looks: int = 60  # at each page in a round
    rounds: int = 9


TINY = Size(items=120, held=2, looks=3, rounds=2)


@dataclass(slots=True)
class Clock:
    """The app with a clock at its door: seconds of the last request, from the call to the last byte handed over."""

    app: ASGIApp
    took: float = 0.0
    cpu: float = 0.0  # seconds of this process in it

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        begin, busy = time.perf_counter(), time.process_time()
        await self.app(scope, receive, send)
        self.took, self.cpu = time.perf_counter() - begin, time.process_time() - busy


@dataclass(frozen=True, slots=True)
class Desk:
    """What a round needs."""

    sessions: async_sessionmaker[AsyncSession]
    company: Company
    browser: httpx.AsyncClient
    clock: Clock
    raw: psycopg.AsyncConnection[Any]


@dataclass(slots=True)
class Looks:
    """Milliseconds of each look in a round."""

    mine: list[float] = field(default_factory=list)
    queue: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)  # of the queue's page
    bare: list[float] = field(default_factory=list)


async def measure(url: str, size: Size | None = None) -> Result:
    """Fill the database at `url` (migrated and empty) and measure."""
    size = size or Size()
    engine = create_engine(url, pool_size=3)
    try:
        sessions = sessionmaker(engine)
        company, cookie = await _seed(url, sessions, size)
        settings = Settings(DATABASE_URL=url)
        clock = Clock(create_app(settings, sessions))
        transport = httpx.ASGITransport(app=clock)
        async with (
            await connect(url) as raw,
            httpx.AsyncClient(transport=transport, base_url=settings.base_url, headers=BROWSER) as browser,
        ):
            browser.cookies.set(cookie_name(settings), cookie)
            desk = Desk(sessions, company, browser, clock, raw)
            rounds = [await _round(desk, size) for _ in range(size.rounds + 1)][1:]  # the first warms up
    finally:
        await engine.dispose()
    return _told(rounds)


def _told(rounds: list[Looks]) -> Result:
    mine = [percentile(looks.mine, 0.95) for looks in rounds]
    queue = [percentile(looks.queue, 0.95) for looks in rounds]
    bare = [percentile(looks.bare, 0.95) for looks in rounds]
    middle = [statistics.median(looks.queue) for looks in rounds]
    busy = [statistics.median(looks.cpu) for looks in rounds]
    print(f"desk: p95 of /desk {spread(mine, 1)} ms; of a queue's page {spread(queue, 1)} ms")
    print(
        f"desk: median of a queue's page {spread(middle, 1)} ms, of which {spread(busy, 1)} ms CPU of the web process"
    )
    print(f"desk: p95 of the bare query for the same 50 rows {spread(bare, 1)} ms")
    return Result("desk", max(statistics.median(mine), statistics.median(queue)) / GOAL_MS, GOAL, at_least=False)


async def _seed(url: str, sessions: async_sessionmaker[AsyncSession], size: Size) -> tuple[Company, str]:
    """Queued items, some in the hands of the agent who looks and of a colleague; the cookie of the one who looks."""
    async with sessions() as session:
        company = await make_company(session, agents=2)
    async with await connect(url) as raw:
        await queue_items(raw, company, size.items)
    async with sessions.begin() as session:
        me = await session.get_one(Agent, company.agent_ids[0])
        me.password_hash = await hashed("a password for the bench")
        for number, item_id in enumerate(await _head(session, company, size.held * 2)):
            item = await claim(session, me, item_id)
            if number >= size.held:
                await park(session, me, item_id, item.due_at + timedelta(days=7))
        welcome = await sign_in(
            session, me.email, "a password for the bench", address="", browser="", lasts=timedelta(hours=1)
        )
    if welcome is None:
        raise RuntimeError("The agent of the benchmark could not sign in.")
    await settle(url)
    return company, welcome.cookie


async def _head(session: AsyncSession, company: Company, most: int) -> list[int]:
    head = select(Item.id).where(Item.queue_id == company.queue_ids[0], Item.state == State.QUEUED)
    return list(await session.scalars(head.order_by(Item.rank, Item.id).limit(most)))


async def _round(desk: Desk, size: Size) -> Looks:
    looks, queue_id = Looks(), desk.company.queue_ids[0]
    for _ in range(size.looks):
        await _move_on(desk)
        looks.mine.append(await _look(desk, "/desk", size.held))
        looks.queue.append(await _look(desk, f"/desk/queue/{queue_id}", min(50, size.items // 3)))
        looks.cpu.append(desk.clock.cpu * 1000)
        begin = time.perf_counter()
        await (await desk.raw.execute(BARE, [queue_id], prepare=True)).fetchall()
        looks.bare.append((time.perf_counter() - begin) * 1000)
    return looks


async def _move_on(desk: Desk) -> None:
    """A colleague claims the head of the queue."""
    async with desk.sessions.begin() as session:
        colleague = await session.get_one(Agent, desk.company.agent_ids[1])
        await claim(session, colleague, (await _head(session, desk.company, 1))[0])


async def _look(desk: Desk, path: str, rows: int) -> float:
    """Milliseconds of a page, which must hold at least so many rows."""
    page = await desk.browser.get(path)
    if page.status_code != httpx.codes.OK or page.text.count("data-item=") < rows:
        raise RuntimeError(f"{path} answered {page.status_code} with {page.text.count('data-item=')} rows.")
    return desk.clock.took * 1000
