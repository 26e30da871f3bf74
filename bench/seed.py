"""Queued items by the hundred thousand, in set-based SQL: authors, conversations, posts and items, as ingest leaves them."""

import psycopg
from psycopg import sql

from bench.harness import SAID, Company

AUTHORS = 5_000  # people who write now and then; each item still has a conversation of its own

# Triggers check what stands in the statements already: left out, a million items take a third of the time.
_FAST = "SET session_replication_role = replica"

_AUTHORS = """
    WITH people AS (
        INSERT INTO customer (name) SELECT 'Customer ' || n FROM generate_series(1, {authors}) n RETURNING id
    )
    INSERT INTO author (channel, external_id, customer_id, handle, name, followers)
    SELECT 'webhook', 'seeded-' || id, id, '@customer' || id, 'Customer ' || id, id % 5000 FROM people
    ON CONFLICT DO NOTHING
"""

_ITEMS = """
    WITH span AS (
        SELECT coalesce(max(id), 0) AS base FROM conversation
    ), given AS (
        SELECT n, base + n AS conversation_id, (SELECT min(id) FROM author) + n % {authors} AS author_id,
               ({queues}::bigint[])[1 + n % cardinality({queues}::bigint[])] AS queue_id,
               ({said}::text[])[1 + n % cardinality({said}::text[])] AS said,
               now() - make_interval(secs => {count} - n) AS at
        FROM span, generate_series(1, {count}) n
    ), rooms AS (
        INSERT INTO conversation (id, channel, external_id, customer_id, feed_id) OVERRIDING SYSTEM VALUE
        SELECT g.conversation_id, 'webhook', 'seeded-' || g.conversation_id, a.customer_id, {feed}
        FROM given g JOIN author a ON a.id = g.author_id
    ), posts AS (
        INSERT INTO post (channel, external_id, conversation_id, author_id, feed_id, kind, visibility, text, language,
                          posted_at, received_at)
        SELECT 'webhook', 'seeded-' || conversation_id, conversation_id, author_id, {feed}, 'mention', 'public',
               said || ' ' || conversation_id, 'en', at, at
        FROM given ORDER BY n
        RETURNING id, conversation_id, author_id, posted_at
    )
    INSERT INTO item (conversation_id, author_id, customer_id, channel, language, opened_at, state, queue_id, priority,
                      lane, rank, ready_at, due_at, post_id)
    SELECT p.conversation_id, p.author_id, a.customer_id, 'webhook', 'en', p.posted_at, 'queued', g.queue_id,
           1 + g.n % 5, g.queue_id::text, p.posted_at - make_interval(mins => q.boosts[1 + g.n % 5]), p.posted_at,
           p.posted_at + make_interval(secs => q.target), p.id
    FROM posts p
    JOIN given g USING (conversation_id)
    JOIN author a ON a.id = p.author_id
    JOIN queue q ON q.id = g.queue_id
"""


async def queue_items(connection: psycopg.AsyncConnection, company: Company, count: int) -> None:
    """Add `count` queued items, spread over the company's queues and a second apart."""
    known = {
        "authors": sql.Literal(AUTHORS),
        "queues": sql.Literal(list(company.queue_ids)),
        "said": sql.Literal(list(SAID.values())),
        "feed": sql.Literal(company.feed_id),
        "count": sql.Literal(count),
    }
    async with connection.transaction():
        await connection.execute(_FAST.replace("SET", "SET LOCAL"))
        found = await (await connection.execute("SELECT FROM author LIMIT 1")).fetchone()
        if found is None:
            await connection.execute(sql.SQL(_AUTHORS).format(**known))
        await connection.execute(sql.SQL(_ITEMS).format(**known))
        await connection.execute(
            "SELECT setval(pg_get_serial_sequence('conversation', 'id'), (SELECT max(id) FROM conversation))"
        )
