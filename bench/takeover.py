"""Takeover: a standby with 100,000 items waiting, from the moment it leads to its first committed offers.

Real `app.workers.router.Router` objects on one server, 2,000 agents. The standby has followed the leader, as a standby
does. Then the leader's lease ends, agents become ready whom nobody told the standby of, and it ticks. What counts runs
from its `router_leads` to the commit of its first offers, so it includes finding out what changed. The next round has
the next standby. Beside it, for comparison: a router that starts with nothing known and leads at once.

The ratio is the slowest of the rounds to one second: at most 1.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import create_engine, sessionmaker
from app.workers.router import Router
from bench.harness import Result, connect, make_company, settle, spread
from bench.seed import queue_items

GOAL = 1.0  # seconds
STAY = "UPDATE router_lease SET expires_at = now() + interval '1 minute' WHERE id = 1"
END = "UPDATE router_lease SET expires_at = now() WHERE id = 1"
REST = "UPDATE presence SET state = 'not_ready', reason = 'other' WHERE agent_id = ANY(%s)"
WAKE = "UPDATE presence SET state = 'ready', reason = NULL, available_since = now() WHERE agent_id = ANY(%s)"


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    waiting: int = 100_000
    agents: int = 2_000
    newly_ready: int = 100  # at each takeover
    rounds: int = 5


TINY = Size(waiting=200, agents=20, newly_ready=2, rounds=2)


class Watched(Router):
    """A router that notes when it led and when its first offers were committed."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Nothing noted yet."""
        super().__init__(engine)
        self.led: float | None = None
        self.offered: float | None = None

    async def _lead(self) -> bool:
        leads = await super()._lead()
        if leads and self.led is None:
            self.led = time.perf_counter()
        return leads

    async def _round(self) -> int:
        made = await super()._round()
        if made and self.offered is None:
            self.offered = time.perf_counter()
        return made

    @property
    def took(self) -> float:
        """Seconds from leading to the first offers."""
        assert self.led is not None, "It never led."
        assert self.offered is not None, "It never offered."
        return self.offered - self.led


async def measure(url: str, size: Size | None = None) -> Result:
    """Fill the database at `url` (migrated and empty) and measure."""
    size = size or Size()
    engine = create_engine(url, pool_size=3)
    try:
        async with sessionmaker(engine)() as session:
            company = await make_company(session, agents=size.agents)
        async with await connect(url) as raw:
            await queue_items(raw, company, size.waiting)
            spare = list(company.agent_ids[: size.newly_ready * (size.rounds + 1)])
            await raw.execute(REST, [spare])
            await settle(url)
            await Watched(engine).tick()  # whoever is ready has an offer now
            first = spare[: size.newly_ready]
            cold = await _takeover(raw, Watched(engine), first)
            times = []
            for n in range(1, size.rounds + 1):
                standby = Watched(engine)
                await raw.execute(STAY)
                await standby.tick()
                assert standby.led is None, "The leader's lease still stood."
                times.append(await _takeover(raw, standby, spare[n * size.newly_ready :][: size.newly_ready]))
    finally:
        await engine.dispose()
    print(f"takeover: {size.waiting} waiting, first offers {spread(times)} s after leading")
    print(f"takeover: a router that starts with nothing known takes {cold:.2f} s")
    return Result("takeover", max(times) / GOAL, 1.0, at_least=False)


async def _takeover(raw: psycopg.AsyncConnection[Any], standby: Watched, newly_ready: Sequence[int]) -> float:
    await raw.execute(END)
    await raw.execute(WAKE, [list(newly_ready)])
    await standby.tick()
    return standby.took
