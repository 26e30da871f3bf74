"""The hot queries stay on their partial indexes with realistic numbers of rows, the planner free to do otherwise."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from app.db import create_engine
from app.flow import mirror
from app.flow.offer import expire_offers
from app.flow.poll import due_feeds
from app.flow.wake import wake_due
from app.models.agent import Agent, Role
from app.models.sight import visible_queues
from app.queries import programs
from app.queries.filters import decoded
from app.workers.sweep import _due_replies
from tests import database

ROWS = 20_000
FILL = """
INSERT INTO team (name) VALUES ('Care');
INSERT INTO queue (name, team_id) SELECT 'Queue ' || n, 1 FROM generate_series(1, 5) n;
INSERT INTO agent (email, name, password_hash) SELECT 'a' || n || '@northwind.example', 'A' || n, '-' FROM generate_series(1, 50) n;
INSERT INTO presence (agent_id) SELECT id FROM agent;
INSERT INTO feed (name, channel, enabled, next_poll_at)
SELECT 'Feed ' || n, 'rss', n % 3 > 0, now() + make_interval(secs => n - 20) FROM generate_series(1, 2000) n;
INSERT INTO customer (name) VALUES ('Ada');
INSERT INTO author (channel, external_id, customer_id, handle) VALUES ('rss', 'ada', 1, 'ada');
INSERT INTO conversation (channel, external_id) SELECT 'rss', 't' || n FROM generate_series(1, {rows}) n;
INSERT INTO post (channel, external_id, conversation_id, author_id, kind, visibility, text, posted_at)
SELECT 'rss', 'p' || id, id, 1, 'post', 'public', 'hello ' || id, now() FROM conversation;
INSERT INTO item (conversation_id, author_id, channel, state, queue_id, agent_id, priority, requirements, lane, rank,
                  ready_at, due_at, post_id, ended_at, parked_until)
SELECT id, 1, 'rss', state, 1 + id % 5, CASE WHEN state IN ('offered', 'active', 'parked') THEN 1 + id % 50 END, 3, '{{}}',
       (1 + id % 5) || ':' || (id % 4), now() - make_interval(secs => id), now(), now(), id,
       CASE WHEN state = 'closed' THEN now() END, CASE WHEN state = 'parked' THEN now() + make_interval(secs => id) END
FROM (SELECT id, CASE WHEN id % 10 < 6 THEN 'closed' WHEN id % 400 = 99 THEN 'offered' WHEN id % 100 = 89 THEN 'parked'
                      WHEN id % 100 = 79 THEN 'active' ELSE 'queued' END AS state FROM conversation) c;
INSERT INTO offer (item_id, agent_id, expires_at, outcome, ended_at)
SELECT id, 1 + id % 50, now() - interval '1 hour', 'declined', now() - interval '1 hour' FROM item;
INSERT INTO offer (item_id, agent_id, expires_at)
SELECT id, agent_id, now() + make_interval(secs => id % 60 - 2) FROM item WHERE state = 'offered';
INSERT INTO reply (item_id, conversation_id, post_id, agent_id, channel, state, text, visibility, due_at)
SELECT id, id, id, 1, 'rss', CASE WHEN id % 100 = 0 THEN 'queued' ELSE 'sent' END, 'hello', 'public',
       CASE WHEN id % 100 = 0 THEN now() + make_interval(secs => id % 600 - 30) END FROM conversation;
"""


@pytest.fixture(scope="module")
def crowded(_server_url: str) -> Iterator[str]:
    """A database with twenty thousand conversations, for the tests of this module; they only read."""

    async def fill(url: str) -> None:
        engine = create_engine(url, pool_size=1)
        async with engine.begin() as connection:
            for statement in FILL.format(rows=ROWS).split(";\n")[:-1]:
                await connection.execute(text(statement.replace(":", "\\:")))
        async with engine.connect() as connection:
            await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(text("VACUUM ANALYZE"))
        await engine.dispose()

    with database.cloned(_server_url) as url:
        asyncio.run(fill(url))
        yield url


@pytest.fixture
async def busy(crowded: str) -> Any:
    engine = create_engine(crowded, pool_size=1)
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session
        await session.rollback()
    await engine.dispose()


class Plans:
    """Every statement that a session sends, with what the planner makes of it."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = []

    @classmethod
    def of(cls, plan: dict[str, Any]) -> "Plans":
        """All nodes of a plan."""
        found = cls()
        _walk(plan, found)
        return found

    def uses(self, index: str) -> bool:
        return any(node.get("Index Name") == index for node in self.nodes)

    def reads_all_of(self) -> set[str]:
        return {node["Relation Name"] for node in self.nodes if node["Node Type"] == "Seq Scan"}


async def explained(session: AsyncSession, statement: str, parameters: Any) -> Plans:
    """The plan of one statement as it was sent."""
    connection: AsyncConnection = await session.connection()
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    async with driver.cursor() as cursor:
        await cursor.execute("EXPLAIN (FORMAT JSON, COSTS OFF) " + statement, parameters)
        [found] = await cursor.fetchone()
    return Plans.of((found if isinstance(found, list) else json.loads(found))[0]["Plan"])


def _walk(node: dict[str, Any], plans: Plans) -> None:
    plans.nodes.append(node)
    for inner in node.get("Plans", []):
        _walk(inner, plans)


async def first_statement(session: AsyncSession, doing: Any) -> Plans:
    """Do something, and explain the first statement that it sent."""
    sent: list[tuple[str, Any]] = []
    engine = session.bind
    assert isinstance(engine, AsyncEngine)

    def note(*told: Any) -> None:
        sent.append((told[2], told[3]))

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    await doing(session)
    event.remove(engine.sync_engine, "before_cursor_execute", note)
    return await explained(session, *sent[0])


@pytest.mark.parametrize("reading", [mirror._ITEMS, mirror._PASTS])
async def test_the_router_reads_items_that_changed_by_their_keys(busy: AsyncSession, reading: str) -> None:
    plans = await explained(busy, reading + mirror._THESE, [list(range(1, 40))])
    assert not plans.reads_all_of() & {"item", "offer"}


async def test_what_may_be_claimed_is_read_in_order_of_rank(busy: AsyncSession) -> None:
    query = "SELECT * FROM item WHERE state = 'queued' AND queue_id = 2 ORDER BY rank, id LIMIT 50"
    plans = await explained(busy, query, None)
    assert plans.uses("ix_item_waiting")
    assert {node["Node Type"] for node in plans.nodes} == {"Limit", "Index Scan"}


async def test_due_replies_are_found_by_their_index(busy: AsyncSession) -> None:
    plans = await first_statement(busy, _due_replies)
    assert plans.uses("ix_reply_due")
    assert not plans.reads_all_of()


async def test_due_feeds_are_found_by_their_index(busy: AsyncSession) -> None:
    plans = await first_statement(busy, due_feeds)
    assert plans.uses("ix_feed_due")
    assert not plans.reads_all_of()


async def test_offers_that_ran_out_are_found_by_their_index(busy: AsyncSession) -> None:
    plans = await first_statement(busy, expire_offers)
    assert plans.uses("ix_offer_expiry")
    assert not plans.reads_all_of() & {"item", "offer"}


async def test_parked_items_whose_time_has_come_are_found_by_their_index(busy: AsyncSession) -> None:
    plans = await first_statement(busy, wake_due)
    assert plans.uses("ix_item_wake")
    assert not plans.reads_all_of()


ANSWERS_OF_THE_API: dict[str, Callable[[AsyncSession, Agent], Awaitable[object]]] = {
    "the newest items": lambda session, me: programs.items(session, me, visible_queues(me)),
    "a later page": lambda session, me: programs.items(session, me, visible_queues(me), after=9_000),
    "a state": lambda session, me: programs.items(session, me, visible_queues(me), state="queued"),
    "one item": lambda session, me: programs.items(session, me, visible_queues(me), item=77),
    "words": lambda session, me: programs.items(session, me, visible_queues(me), wanted=decoded("text=hello")),
    "who holds it": lambda session, me: programs.items(session, me, visible_queues(me), holder=7),
    "the newest posts": lambda session, me: programs.posts(session, me, visible_queues(me)),
    "a conversation's posts": lambda session, me: programs.posts(session, me, visible_queues(me), conversation=70),
    "one post": lambda session, me: programs.posts(session, me, visible_queues(me), post=70),
    "replies": lambda session, _me: programs.replies(session, 77),
    "notes": lambda session, _me: programs.notes(session, 77),
}


@pytest.mark.parametrize("asked", ANSWERS_OF_THE_API)
async def test_what_programs_list_is_read_without_looking_at_every_item_or_post(busy: AsyncSession, asked: str) -> None:
    me = Agent(id=1, role=Role.ADMIN)
    plans = await first_statement(busy, lambda session: ANSWERS_OF_THE_API[asked](session, me))
    assert not plans.reads_all_of() & {"item", "post", "reply", "conversation"}
