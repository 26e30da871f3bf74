"""Offers by the batch: items, loads, offers, events and the hint, fenced by lease, state, version and load.

All of it is one statement. The router does this for every item there is, and what one offer costs is mostly the way to
the server and back: on a connection on which each statement commits by itself that way is gone once.

Who waits here waits for presences alone, in order of agent. An item that somebody else has locked is passed over,
never waited for, so no two can wait for each other.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import tuple_row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import CHANNEL, driver
from app.models.event import ActorKind
from app.models.item import State, Verb

# Parts of a decision that stand with the offer alone, which is emptied when it is old; events are for ever.
KEPT_BY_OFFER = ("candidates", "parts", "rejected")


class Fence(NamedTuple):
    """The lease under which a router decides; its offers hold only while this does."""

    holder: str
    epoch: int


# Locks: the lease, the items (but those in use), the presences. An agent stands in a batch once.
#
# The statement sees the database as it began, and may have waited for a presence since. So an agent whose presence is
# another row version by then is left out, and the router looks at them again: whoever gives an agent an item, or takes
# one from them, writes their load too, so with the same version the count of their open offers is right as well.
#
# All that is given stands in one value, so that the server's estimate, and with it its plan, is the same for any batch;
# OFFSET 0 keeps the look for an agent's open offer a look by index for that agent, however few offers there were when
# the statistics were made.
_OFFER = """
    WITH lease AS (
        SELECT FROM router_lease
        WHERE id = 1 AND holder = %(holder)s AND epoch = %(epoch)s AND expires_at > clock_timestamp()
        FOR SHARE
    ), given AS (
        SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) AS g(
            item_id bigint, version int, agent_id bigint, over boolean, why jsonb)
        WHERE %(holder)s::text IS NULL OR EXISTS (SELECT FROM lease)
    ), mine AS (
        SELECT i.id, i.weight, i.queue_id, g.agent_id, g.over, g.why
        FROM given g JOIN item i ON i.id = g.item_id AND i.version = g.version
        WHERE i.state = 'queued'
        ORDER BY i.id FOR UPDATE OF i SKIP LOCKED
    ), met AS (
        SELECT m.*, p.xmin AS row_version, p.state, p.load
        FROM mine m JOIN presence p ON p.agent_id = m.agent_id
        ORDER BY p.agent_id FOR UPDATE OF p
    ), fits AS (
        SELECT m.id, m.weight, m.agent_id, m.queue_id, m.why, q.offer_seconds,
               q.auto_accept AND %(accepts)s::boolean AS accepted
        FROM met m
        JOIN presence p ON p.agent_id = m.agent_id AND p.xmin = m.row_version
        JOIN queue q ON q.id = m.queue_id
        JOIN agent a ON a.id = m.agent_id
        WHERE a.active
          AND (m.state = 'ready' OR (%(by)s::bigint IS NOT NULL AND m.state <> 'offline'))
          AND (m.load + m.weight <= a.capacity OR (m.over AND m.load <= a.capacity AND a.capacity > 0))
          AND NOT EXISTS (SELECT FROM item o WHERE o.agent_id = m.agent_id AND o.state = 'offered' OFFSET 0)
    ), moved AS (
        UPDATE item i
        SET state = CASE WHEN f.accepted THEN %(active)s ELSE %(offered)s END, agent_id = f.agent_id,
            version = i.version + CASE WHEN f.accepted THEN 2 ELSE 1 END
        FROM fits f WHERE i.id = f.id
        RETURNING i.id, i.version, i.agent_id, i.queue_id, f.why, f.accepted
    ), loaded AS (
        UPDATE presence p
        SET load = p.load + f.weight, available_since = now(), misses = CASE WHEN f.accepted THEN 0 ELSE p.misses END
        FROM fits f WHERE p.agent_id = f.agent_id
    ), made AS (
        INSERT INTO offer (item_id, agent_id, expires_at, why, outcome, ended_at)
        SELECT id, agent_id, now() + make_interval(secs => offer_seconds), why,
               CASE WHEN accepted THEN 'accepted' END, CASE WHEN accepted THEN now() END
        FROM fits
    ), held AS (
        INSERT INTO assignment (item_id, agent_id, began_by) SELECT id, agent_id, %(accept)s FROM moved WHERE accepted
    ), told AS (
        SELECT id, version - CASE WHEN accepted THEN 1 ELSE 0 END AS version, %(offer)s AS verb, %(actor)s AS actor,
               %(by)s::bigint AS by, %(offered)s AS state, agent_id, why - %(kept_by_offer)s::text[] AS why
        FROM moved
        UNION ALL
        SELECT id, version, %(accept)s, %(agent)s, agent_id, %(active)s, NULL, '{}' FROM moved WHERE accepted
        ORDER BY 1, 2
    ), recorded AS (
        INSERT INTO event (item_id, verb, actor, agent_id, changes, why)
        SELECT id, verb, actor, by, jsonb_strip_nulls(
               jsonb_build_object('state', state, 'version', version, 'agent_id', agent_id)), why
        FROM told
    ), hint AS (
        SELECT pg_notify(%(channel)s, json_strip_nulls(json_build_object(
            'items', json_agg(id), 'agents', json_agg(agent_id),
            'queues', json_agg(DISTINCT queue_id) FILTER (WHERE accepted)))::text)
        FROM moved HAVING count(*) > 0
    )
    SELECT id FROM moved LEFT JOIN hint ON true
"""
_WORDS = {
    "offered": State.OFFERED.value,
    "active": State.ACTIVE.value,
    "offer": Verb.OFFER.value,
    "accept": Verb.ACCEPT.value,
    "agent": ActorKind.AGENT.value,
    "kept_by_offer": list(KEPT_BY_OFFER),
    "channel": CHANNEL,
}


async def offer_items(
    session: AsyncSession, rows: Sequence[Mapping[str, Any]], *, by: int | None = None, accepts: bool = False
) -> set[int]:
    """Offer items to agents, each agent at most once; returns the ids of the items whose offers hold.

    `by` is the supervisor who decided instead of the router: they may ask anybody who is signed in. With `accepts`
    the offers of queues that accept by themselves are accepted as they are made.

    A row has item_id, version, agent_id, over (may exceed the agent's capacity by this item) and why.
    A row whose item has moved on, or whose agent is not ready, asked, or full by now, is left out.

    Raises:
        DBAPIError: the database refused or is away, as any statement of the session would say it.
    """
    return await offer_now(await driver(session), rows, by=by, accepts=accepts)


async def offer_now(
    connection: psycopg.AsyncConnection[Any],
    rows: Sequence[Mapping[str, Any]],
    *,
    fence: Fence | None = None,
    by: int | None = None,
    accepts: bool = False,
) -> set[int]:
    """The same on a plain connection, whose own the commit is; with a fence nothing holds unless it stands.

    Raises:
        DBAPIError: the database refused or is away.
    """
    if not rows:
        return set()
    holder, epoch = fence or (None, None)
    bound = {
        "rows": json.dumps(rows, separators=(",", ":"), ensure_ascii=False),
        "holder": holder,
        "epoch": epoch,
        "by": by,
        "accepts": accepts,
        "actor": (ActorKind.ROUTER if by is None else ActorKind.AGENT).value,
        **_WORDS,
    }
    try:
        async with connection.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute(_OFFER, bound, prepare=True)
            return {item_id for (item_id,) in await cursor.fetchall()}
    except psycopg.Error as error:
        raise DBAPIError("offers", None, error, hide_parameters=True) from error
