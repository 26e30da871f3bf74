"""Rehearsal: a day of 100,000 items, through triage and the kernel, under the configuration as it is and as a file makes it.

The day is drawn from 2,000 posts that were ingested; 400 agents of capacity 5 are in from nine to five. The goal is a
minute for the whole comparison, which is two simulations; the ratio is how much of that minute it takes.
"""

import time
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import IncomingAuthor, IncomingPost
from app.db import create_engine, sessionmaker
from app.flow.config_file import export
from app.flow.ingest import ingest
from app.flow.rehearse import Prepared, Roster, Stretch, compare, prepare
from app.models.feed import Feed
from bench.harness import SAID, Company, Result, make_company

GOAL_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    posts: int = 2_000
    items: int = 100_000
    agents: int = 400


TINY = Size(posts=20, items=200, agents=5)


async def measure(url: str, size: Size | None = None) -> Result:
    """Fill the database at `url` (migrated and empty), and rehearse."""
    size = size or Size()
    engine = create_engine(url, pool_size=1)
    try:
        async with sessionmaker(engine)() as session:
            company = await make_company(session, agents=size.agents)
            prepared = await _prepared(session, company, size)
    finally:
        await engine.dispose()
    begin, cpu = time.perf_counter(), time.process_time()
    result = compare(prepared)
    took, busy = time.perf_counter() - begin, time.process_time() - cpu
    served = sum(queue["served"] for queue in result["after"]["queues"].values())
    print(
        f"rehearsal: {size.items} items twice in {took:.1f} s ({busy:.1f} s of one processor), "
        f"{2 * size.items / took:.0f} a second; {served} served"
    )
    return Result("rehearsal", took / GOAL_SECONDS, 1.0, at_least=False)


async def _prepared(session: AsyncSession, company: Company, size: Size) -> Prepared:
    """What a rehearsal of yesterday and today reads, with a file that makes every target twice as long."""
    feed = await session.get_one(Feed, company.feed_id)
    said = list(SAID.items())
    now = (await session.execute(select(func.now()))).scalar_one()
    for start in range(0, size.posts, 100):
        batch = [
            IncomingPost(
                external_id=f"post-{n}",
                thread_id=f"thread-{n}",
                author=IncomingAuthor(f"author-{n}", f"author{n}", followers=n),
                text=f"{said[n % len(said)][1]} invoice {n % 12}{n}{' charged twice' if n % 7 == 0 else ''}",
                language=said[n % len(said)][0],
                posted_at=now,
            )
            for n in range(start, min(start + 100, size.posts))
        ]
        await ingest(session, feed, batch)
    await session.commit()
    stretch = Stretch(
        since=now - timedelta(hours=12), until=now + timedelta(hours=12), items=size.items, roster=Roster.OFFICE
    )
    changed = (await export(session)).replace("target: 3600", "target: 7200")
    return _spread(await prepare(session, changed, stretch))


def _spread(prepared: Prepared) -> Prepared:
    """The posts came in one minute; let them come over the whole day, most of them around its middle."""
    random, stretch = Random(1), prepared.stretch
    day = (stretch.until - stretch.since).total_seconds()
    times = sorted(random.triangular(0, day) for _ in prepared.came)
    came = [
        replace(one, at=stretch.since + timedelta(seconds=at)) for one, at in zip(prepared.came, times, strict=True)
    ]
    return replace(prepared, came=came)
