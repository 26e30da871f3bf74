import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import sessionmaker
from app.errors import Conflict
from app.flow.close import close
from app.flow.ingest import ingest
from app.flow.offer import accept
from app.flow.route import LEASE
from app.models.agent import Agent
from app.models.assignment import Offer, RouterLease
from app.models.item import Disposition, Item, State
from tests.company import Company, make_company, post
from tests.properties.invariants import broken

pytestmark = [pytest.mark.crash, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
PATIENCE = 90.0  # seconds; a machine may be busy
KILLS = 10
SOON = 6.0  # seconds from the end of a dead leader's lease; 3 on a machine that does nothing else, here Chromium may be at work


async def router(url: str, *more: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.crash.router", url, *more, cwd=ROOT, env=dict(os.environ),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def company_with_work(engine: AsyncEngine) -> Company:
    async with sessionmaker(engine).begin() as session:
        company = await make_company(session, agents=("Ayumi", "Finn", "Grace"))
        await ingest(session, company.feed, [post(1)])
        return company


async def another_post(engine: AsyncEngine, company: Company, number: int) -> None:
    async with sessionmaker(engine).begin() as session:
        await ingest(session, company.feed, [post(number)])


async def leader(engine: AsyncEngine) -> tuple[str, int]:
    async with sessionmaker(engine)() as session:
        row = await session.get_one(RouterLease, 1)
        return row.holder, row.epoch


async def told(process: asyncio.subprocess.Process) -> list[str]:
    """What the process says next, its log left out."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        async for line in process.stdout:
            word, *more = line.decode().split()
            if word == "told":
                return more
    raise EOFError("The process ended without a word.")


async def until_offers(engine: AsyncEngine, count: int) -> float:
    """Wait for so many offers; how long it took, in seconds."""
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE:
        async with AsyncSession(engine) as session:
            if await session.scalar(select(func.count()).select_from(Offer)) == count:
                return time.monotonic() - began
        await asyncio.sleep(0.05)
    raise TimeoutError(f"There were not {count} offers within {PATIENCE} s.")


async def test_when_the_leader_is_killed_a_standby_leads_within_seconds(
    engine: AsyncEngine, fresh_database: str
) -> None:
    company = await company_with_work(engine)
    first = await router(fresh_database)
    await until_offers(engine, 1)
    second = await router(fresh_database)
    (holder, epoch) = await leader(engine)
    assert f":{first.pid}:" in holder
    first.kill()
    await first.wait()
    await another_post(engine, company, 2)
    took = await until_offers(engine, 2)
    after, later = await leader(engine)
    assert (f":{second.pid}:" in after, later) == (True, epoch + 1)
    assert took < LEASE.total_seconds() + 30
    second.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(second.wait(), 30) == 0


async def test_a_leader_that_ends_in_order_gives_its_lease_back(engine: AsyncEngine, fresh_database: str) -> None:
    await company_with_work(engine)
    first = await router(fresh_database)
    await until_offers(engine, 1)
    first.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(first.wait(), 30) == 0
    async with sessionmaker(engine)() as session:
        free = select(RouterLease.expires_at <= func.clock_timestamp())
        assert await session.scalar(free)


async def test_a_leader_that_was_frozen_past_its_lease_decides_nothing_when_it_wakes(
    engine: AsyncEngine, fresh_database: str
) -> None:
    company = await company_with_work(engine)
    frozen = await router(fresh_database, "--hold")
    assert frozen.stdin is not None
    assert await told(frozen) == ["1"]
    frozen.send_signal(signal.SIGSTOP)
    standby = await router(fresh_database)
    await another_post(engine, company, 2)
    await until_offers(engine, 2)
    standby.send_signal(signal.SIGSTOP)  # its lease still stands, and it does not get in the way
    await another_post(engine, company, 3)
    holder = await leader(engine)
    frozen.stdin.write(b"go on\n")
    frozen.send_signal(signal.SIGCONT)
    assert await told(frozen) == ["0", "None"]
    assert await leader(engine) == holder
    assert holder[0].count(f":{standby.pid}:") == 1
    async with AsyncSession(engine) as session:
        assert await session.scalar(select(func.count()).select_from(Offer)) == 2
        assert await broken(session) == []
    for process in (frozen, standby):
        process.send_signal(signal.SIGCONT)
        process.terminate()
        await asyncio.wait_for(process.wait(), 30)


async def routers_there(engine: AsyncEngine, count: int) -> None:
    """Wait until so many routers have a connection."""
    there = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'careline route'")
    async with asyncio.timeout(PATIENCE), engine.connect() as connection:
        while (await connection.execute(there)).scalar_one() < count:
            await connection.rollback()
            await asyncio.sleep(0.05)


async def work_on(engine: AsyncEngine, company: Company, posts: asyncio.Queue[int]) -> None:
    """Customers write without a pause, and the agents take and close whatever they are offered."""
    for number in range(1, 1_000_000):
        if posts.empty():
            await another_post(engine, company, number)
        async with AsyncSession(engine) as session:
            asked = (await session.execute(select(Offer.item_id, Offer.agent_id).where(Offer.outcome.is_(None)))).all()
        for item_id, agent_id in asked:
            with contextlib.suppress(Conflict):
                async with sessionmaker(engine).begin() as session:
                    agent = await session.get_one(Agent, agent_id)
                    await accept(session, agent, item_id)
                    await close(session, agent, item_id, Disposition.NO_REPLY)
        await asyncio.sleep(0.02)


async def seconds_from_lease_to_leader(engine: AsyncEngine, epoch: int) -> float:
    """How long after the end of the lease at `epoch` another leads, by the database's clock."""
    async with asyncio.timeout(PATIENCE), engine.connect() as connection:
        lease = "SELECT expires_at, epoch, clock_timestamp() FROM router_lease"
        ended = None
        while True:
            until, now_epoch, now = (await connection.execute(text(lease))).one()
            await connection.rollback()
            if now_epoch > epoch:
                return 0.0 if ended is None else float((now - ended).total_seconds())
            ended = until
            await asyncio.sleep(0.02)


async def test_leaders_that_are_killed_under_load_again_and_again_lose_and_double_nothing(
    engine: AsyncEngine, fresh_database: str
) -> None:
    company = await company_with_work(engine)
    leading = await router(fresh_database)
    await until_offers(engine, 1)
    posts: asyncio.Queue[int] = asyncio.Queue()
    load = asyncio.create_task(work_on(engine, company, posts))
    took = []
    for number in range(KILLS):
        standby = await router(fresh_database)
        await routers_there(engine, 2)
        holder, epoch = await leader(engine)
        assert f":{leading.pid}:" in holder
        await asyncio.sleep(0.1 * (number % 3))  # at different moments of its second
        leading.kill()
        await leading.wait()
        took.append(await seconds_from_lease_to_leader(engine, epoch))
        leading = standby
    assert max(took) < SOON, took
    posts.put_nowait(0)  # nobody writes any more
    waits = select(func.count()).select_from(Item).where(Item.state != State.CLOSED)
    async with asyncio.timeout(PATIENCE):
        while True:
            async with AsyncSession(engine) as session:
                if not await session.scalar(waits):
                    break
            await asyncio.sleep(0.05)
    load.cancel()
    async with AsyncSession(engine) as session:
        assert await broken(session) == []
        assert (await session.scalar(select(func.count()).select_from(Item)) or 0) > KILLS
    leading.terminate()
    assert await asyncio.wait_for(leading.wait(), 30) == 0
