"""A company with a hundred thousand conversations, made once for all workers: these tests only read."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import create_engine
from tests import database

ROWS = 100_000
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
SELECT id, agent_id, now() + make_interval(secs => 600 + id % 60) FROM item WHERE state = 'offered';
INSERT INTO reply (item_id, conversation_id, post_id, agent_id, channel, state, text, visibility, due_at)
SELECT id, id, id, 1, 'rss', CASE WHEN id % 100 = 0 THEN 'queued' ELSE 'sent' END, 'hello', 'public',
       CASE WHEN id % 100 = 0 THEN now() + make_interval(secs => id % 600 - 30) END FROM conversation;
UPDATE presence SET load = (SELECT count(*) FROM item WHERE agent_id = presence.agent_id AND state IN ('offered', 'active'));
UPDATE agent SET role = 'admin' WHERE id = 2;
INSERT INTO team_member (team_id, agent_id) SELECT 1, id FROM agent WHERE id <> 3;
INSERT INTO team (name) VALUES ('Small');
INSERT INTO team_member (team_id, agent_id) VALUES (2, 3);
INSERT INTO queue (name, team_id) VALUES ('Small', 2);
UPDATE item SET queue_id = 6 WHERE id % 500 = 1;
INSERT INTO customer (name) SELECT 'Person ' || n FROM generate_series(1, 20000) n;
INSERT INTO author (channel, external_id, customer_id, handle, name)
SELECT 'rss', 'person-' || id, id, '@person' || id, substr(md5(id * 7 || ''), 1, 6) || ' ' || substr(md5(id || ''), 1, 8)
FROM customer WHERE name <> 'Ada';
INSERT INTO search_entry (kind, ref_id, at, words, name)
SELECT 'person', id, now(), to_tsvector('simple', name) || array_to_tsvector(ARRAY['=k:person', '=c:rss']), name FROM author;
INSERT INTO search_entry (kind, ref_id, conversation_id, at, words)
SELECT 'post', p.id, p.conversation_id, now() - make_interval(secs => p.id),
       to_tsvector('simple', 'hello ' || CASE WHEN p.id % 3 = 0 THEN 'torn tent ' ELSE '' END
                             || CASE WHEN p.id % 20000 = 7 THEN 'quizzaciously ' ELSE '' END || 'n' || p.id)
       || array_to_tsvector(ARRAY['=k:post', '=c:rss', '=a:1', '=q:' || i.queue_id, '=l:' || (ARRAY['en', 'de'])[1 + p.id % 2]])
FROM post p JOIN item i ON i.conversation_id = p.conversation_id;
"""


async def _fill(url: str) -> None:
    engine = create_engine(url, pool_size=1)
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))  # triggers only check
        for statement in FILL.format(rows=ROWS).split(";\n")[:-1]:
            await connection.execute(text(statement.replace(":", "\\:")))
    async with engine.connect() as connection:
        await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(text("VACUUM ANALYZE"))
    await engine.dispose()


@pytest.fixture(scope="session")
def crowded(_server_url: str) -> str:
    return database.shared(_server_url, "crowded", lambda url: asyncio.run(_fill(url)))


@pytest.fixture
async def busy(crowded: str) -> AsyncIterator[AsyncSession]:
    engine = create_engine(crowded, pool_size=1)
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session
        await session.rollback()
    await engine.dispose()
