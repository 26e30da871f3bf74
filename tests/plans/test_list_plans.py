"""Every list of the desk at a hundred thousand items: no query reads the whole table, whatever the filter and order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import create_engine
from app.models.agent import Agent, Role
from app.models.sight import visible_queues
from app.queries import desk, listing
from app.queries.filters import Filter, Sort, decoded
from tests import database
from tests.plans.test_plans import FILL, Plans, explained

ROWS = 100_000
MORE = """
UPDATE agent SET role = 'admin' WHERE id = 2;
INSERT INTO team_member (team_id, agent_id) SELECT 1, id FROM agent;
"""


@pytest.fixture(scope="module")
def crowded(_server_url: str) -> Iterator[str]:
    """A database with a hundred thousand conversations, for the tests of this module; they only read."""

    async def fill(url: str) -> None:
        engine = create_engine(url, pool_size=1)
        async with engine.begin() as connection:
            await connection.execute(text("SET LOCAL session_replication_role = replica"))  # triggers only check
            for statement in (FILL.format(rows=ROWS) + MORE).split(";\n")[:-1]:
                await connection.execute(text(statement.replace(":", "\\:")))
        async with engine.connect() as connection:
            await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(text("VACUUM ANALYZE"))
        await engine.dispose()

    with database.cloned(_server_url) as url:
        asyncio.run(fill(url))
        yield url


@pytest.fixture
async def busy(crowded: str) -> AsyncIterator[AsyncSession]:
    engine = create_engine(crowded, pool_size=1)
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session
        await session.rollback()
    await engine.dispose()


Doing = Callable[[AsyncSession], Coroutine[Any, Any, Any]]


async def all_statements(session: AsyncSession, doing: Doing) -> list[Plans]:
    """Do something, and explain every statement that it sent."""
    sent: list[tuple[str, Any]] = []
    engine = session.bind
    assert isinstance(engine, AsyncEngine)

    def note(*told: Any) -> None:
        sent.append((told[2], told[3]))

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    await doing(session)
    event.remove(engine.sync_engine, "before_cursor_execute", note)
    return [await explained(session, *one) for one in sent]


async def reads_all_of(session: AsyncSession, doing: Doing) -> set[str]:
    return set().union(*[plans.reads_all_of() for plans in await all_statements(session, doing)])


BIG = {"item", "post", "conversation", "event", "offer", "reply"}


@pytest.mark.parametrize("who", [1, 2], ids=["agent", "admin"])
@pytest.mark.parametrize("sort", list(Sort))
@pytest.mark.parametrize("asked", ["", "state=queued", "queue=2&state=queued", "holder=me", "channel=rss&has=media"])
async def test_no_list_reads_the_whole_table(busy: AsyncSession, asked: str, sort: Sort, who: int) -> None:
    me = await busy.get_one(Agent, who)
    assert me.is_at_least(Role.ADMIN) == (who == 2)
    key = 0 if sort == Sort.REACH else "2026-11-22T09:00:00+00:00"
    for after in (None, listing.place_of(f"{key}~500", sort)):

        async def page(session: AsyncSession, after: listing.Place | None = after) -> None:
            await listing.listed(session, me, decoded(asked), sort, after=after)

        assert not BIG & await reads_all_of(busy, page), (asked, sort, after)


@pytest.mark.parametrize("sort", [Sort.DUE, Sort.RANK, Sort.WAIT])
async def test_what_waits_is_read_from_an_index_in_the_order_asked_for(busy: AsyncSession, sort: Sort) -> None:
    me = await busy.get_one(Agent, 1)
    plans = (await all_statements(busy, lambda s: listing.listed(s, me, decoded("state=queued"), sort)))[0]
    index = {Sort.DUE: "ix_item_waiting_due", Sort.RANK: "ix_item_waiting", Sort.WAIT: "ix_item_waiting_since"}[sort]
    assert plans.uses(index)


async def test_the_rail_and_the_home_list_read_no_whole_table(busy: AsyncSession) -> None:
    me = await busy.get_one(Agent, 1)
    queues = visible_queues(me)
    assert not BIG & await reads_all_of(busy, lambda s: desk.rail(s, me.id, queues))
    assert not BIG & await reads_all_of(busy, lambda s: desk.next_up(s, queues))


@pytest.mark.parametrize("asked", ["", "state=queued", "priority=5", "holder=me"])
async def test_a_count_stops_early(busy: AsyncSession, asked: str) -> None:
    me = await busy.get_one(Agent, 1)
    assert await listing.count(busy, me, decoded(asked)) <= listing.COUNTED


async def test_all_pages_of_a_hundred_thousand_are_there_once(busy: AsyncSession) -> None:
    me = await busy.get_one(Agent, 1)
    seen: list[int] = []
    after = None
    for _page in range(12):
        page = await listing.listed(busy, me, Filter(), Sort.DUE, after=after, most=200)
        seen += [row.item_id for row in page.rows]
        after = page.after
    assert len(set(seen)) == len(seen) == 2_400
