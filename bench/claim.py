"""Claim: sixteen agents on sixteen connections take items from the head of a queue of 10,000, and of one of 1,000,000.

Ours is `app.flow.claim.claim` in a transaction of its own with its commit: the visible item, the guarded UPDATE, the
holder's load, the event, the assignment, the hint. Two databases on one server hold the two sizes, each with so many
more that no fewer are left at the end, and are measured by turns. The ratio is the 99th percentile with the many over
that with the few. The twin is one bare `UPDATE ... SKIP LOCKED` of the same items in a copy of the table with the same
indexes, also from sixteen connections.

All sixteen share this one process, so a claim's time holds the waiting for each other's Python too.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import psycopg
from psycopg import sql
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.db import create_engine, sessionmaker
from app.flow.claim import claim
from app.migrate import migrate
from app.models.agent import Agent
from app.models.item import Item, State
from bench.harness import Company, Result, connect, make_company, percentile, settle, spread
from bench.seed import queue_items

AT_ONCE = 100_000  # items of one statement of the seeding
GOAL = 1.5  # times the 99th percentile with few items
BARE = """
    UPDATE twin SET state = 'active', agent_id = %s, version = version + 1
    WHERE id = (SELECT id FROM twin WHERE queue_id = %s AND state = 'queued' ORDER BY rank, id
                LIMIT 1 FOR UPDATE SKIP LOCKED)
"""


Worker: TypeAlias = Callable[[list[float]], Awaitable[None]]  # notes how long each of its claims took


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    few: int = 10_000  # items
    many: int = 1_000_000  # items
    connections: int = 16
    claims: int = 10  # of each connection in a turn
    turns: int = 3  # with few and with many, in a round
    rounds: int = 9


TINY = Size(few=100, many=400, connections=4, claims=2, turns=2, rounds=2)


@dataclass(slots=True)
class Claims:
    """Seconds of each claim, and seconds in which all of them were made."""

    times: list[float] = field(default_factory=list)
    span: float = 0.0

    @property
    def p99(self) -> float:
        """The 99th percentile in ms."""
        return percentile(self.times, 0.99) * 1000

    @property
    def rate(self) -> float:
        """Claims a second."""
        return len(self.times) / self.span


@dataclass(slots=True)
class Round:
    """What was measured in a round at one place."""

    ours: Claims = field(default_factory=Claims)
    bare: Claims = field(default_factory=Claims)


@dataclass(slots=True)
class Place:
    """One of the two databases, and what was measured there."""

    url: str
    sessions: async_sessionmaker[AsyncSession]
    company: Company
    agents: Sequence[Agent]
    rounds: list[Round] = field(default_factory=list)


async def measure(url: str, size: Size | None = None) -> Result:
    """Fill the database at `url` (migrated and empty) and another beside it, and measure."""
    size = size or Size()
    async with (
        _beside(url) as other,
        _place(other, size, size.few) as few,
        _place(url, size, size.many) as many,
    ):
        for place in (few, many):
            await _turn(place, size)  # opens connections and prepares statements
            place.rounds.clear()
        for _ in range(size.rounds):
            for place in (few, many):
                place.rounds.append(Round())
            for number in range(size.turns):
                for place in (few, many) if number % 2 else (many, few):
                    await _turn(place, size)
    for count, place in ((size.few, few), (size.many, many)):
        ours, bare = [r.ours for r in place.rounds], [r.bare for r in place.rounds]
        print(
            f"claim, {count} queued: ours {spread([c.rate for c in ours], 0)} a second,"
            f" p99 {spread([c.p99 for c in ours], 1)} ms;"
            f" bare {spread([c.rate for c in bare], 0)} a second, p99 {spread([c.p99 for c in bare], 1)} ms"
        )
    both = list(zip(few.rounds, many.rounds, strict=True))
    ratios = [m.ours.p99 / f.ours.p99 for f, m in both]
    print(
        f"claim: p99 with many over few, ours {spread(ratios)}; bare {spread([m.bare.p99 / f.bare.p99 for f, m in both])}"
    )
    return Result("claim", statistics.median(ratios), GOAL, at_least=False)


@asynccontextmanager
async def _beside(url: str) -> AsyncIterator[str]:
    """A second database on the same server."""
    async with await connect(url) as raw:
        name = raw.info.dbname
        few = sql.Identifier(f"{name}_few")
        await raw.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(few))
        try:
            beside = url.replace(f"/{name}?", f"/{name}_few?")
            await asyncio.to_thread(migrate, beside)
            yield beside
        finally:
            await raw.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(few))


@asynccontextmanager
async def _place(url: str, size: Size, count: int) -> AsyncIterator[Place]:
    engine = create_engine(url, pool_size=size.connections)
    try:
        sessions = sessionmaker(engine)
        async with sessions() as session:
            company = await make_company(session, agents=size.connections)
            agents = (await session.scalars(select(Agent).order_by(Agent.id))).all()
        await _fill(url, company, count + size.connections * (size.claims + 1) * (size.rounds * size.turns + 1))
        await settle(url)
        yield Place(url, sessions, company, agents)
    finally:
        await engine.dispose()


async def _fill(url: str, company: Company, count: int) -> None:
    async with await connect(url) as raw:
        for start in range(0, count, AT_ONCE):
            await queue_items(raw, company, min(AT_ONCE, count - start))
        await raw.execute("CREATE TABLE twin (LIKE item INCLUDING ALL)")
        await raw.execute("INSERT INTO twin OVERRIDING SYSTEM VALUE SELECT * FROM item")


async def _turn(place: Place, size: Size) -> None:
    if not place.rounds:
        place.rounds.append(Round())
    now = place.rounds[-1]
    await _together(await _ours(place, size), now.ours)
    async with AsyncExitStack() as stack:
        raw = [await stack.enter_async_context(await connect(place.url)) for _ in place.agents]
        await _together(_bare(place, raw, replace(size, claims=1)), Claims())  # prepares it
        await _together(_bare(place, raw, size), now.bare)


async def _together(workers: Sequence[Worker], claims: Claims) -> None:
    begin = time.perf_counter()
    await asyncio.gather(*(worker(claims.times) for worker in workers))
    claims.span += time.perf_counter() - begin


async def _ours(place: Place, size: Size) -> list[Worker]:
    """Every agent claims items from the queue's head, dealt like cards so that none is asked for twice."""
    head = select(Item.id).where(Item.queue_id == place.company.queue_ids[0], Item.state == State.QUEUED)
    async with place.sessions() as session:
        ids = (await session.scalars(head.order_by(Item.rank, Item.id).limit(size.connections * size.claims))).all()

    def worker(agent: Agent, mine: Sequence[int]) -> Worker:
        async def claim_all(times: list[float]) -> None:
            for item_id in mine:
                begin = time.perf_counter()
                async with place.sessions.begin() as session:
                    await claim(session, agent, item_id)
                times.append(time.perf_counter() - begin)

        return claim_all

    return [worker(agent, ids[n :: size.connections]) for n, agent in enumerate(place.agents)]


def _bare(place: Place, connections: Sequence[psycopg.AsyncConnection[Any]], size: Size) -> list[Worker]:
    """The plainest claim there is: whichever item comes first, in one statement that commits itself."""

    def worker(agent: Agent, raw: psycopg.AsyncConnection[Any]) -> Worker:
        async def claim_all(times: list[float]) -> None:
            for _ in range(size.claims):
                begin = time.perf_counter()
                await raw.execute(BARE, [agent.id, place.company.queue_ids[0]], prepare=True)
                times.append(time.perf_counter() - begin)

        return claim_all

    return [worker(agent, raw) for agent, raw in zip(place.agents, connections, strict=True)]
