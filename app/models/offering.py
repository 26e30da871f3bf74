"""Offers by the batch: items, loads, offers, events and the hint, fenced by state, version and load.

Everything goes to the server at once, through the session's own connection and transaction: the router does this for
every item there is, and what one offer costs is mostly the way to the server and back.

Who waits here waits for presences alone, in order of agent, and holds nothing else yet. An item that somebody else has
locked is passed over, never waited for, so no two can wait for each other.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import CHANNEL, driver
from app.models.event import ActorKind
from app.models.item import State, Verb

# Parts of a decision that stand with the offer alone, which is emptied when it is old; events are for ever.
KEPT_BY_OFFER = ("candidates", "parts", "rejected")

# In the order that all keep: the items (but those in use), then the presences.
_LOCK_ITEMS = "SELECT FROM item WHERE id = ANY(%s::bigint[]) AND state = 'queued' ORDER BY id FOR UPDATE SKIP LOCKED"
_LOCK_AGENTS = "SELECT FROM presence WHERE agent_id = ANY(%s::bigint[]) ORDER BY agent_id FOR UPDATE"

# The presences are ours by now, so this statement sees them as they are. An agent stands in a batch once.
# All that is given stands in one value, so that the server's estimate, and with it its plan, is the same for any batch.
_OFFER = """
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) AS g(
            item_id bigint, version int, agent_id bigint, over boolean, why jsonb)
    ), mine AS (
        SELECT i.id, i.weight, i.queue_id, g.agent_id, g.over, g.why
        FROM given g JOIN item i ON i.id = g.item_id AND i.version = g.version
        WHERE i.state = 'queued'
        FOR UPDATE OF i SKIP LOCKED
    ), fits AS (
        SELECT m.id, m.weight, m.agent_id, m.why, q.offer_seconds, q.auto_accept
        FROM mine m
        JOIN queue q ON q.id = m.queue_id
        JOIN presence p ON p.agent_id = m.agent_id
        JOIN agent a ON a.id = m.agent_id
        WHERE a.active
          AND (p.state = 'ready' OR (%(by)s::bigint IS NOT NULL AND p.state <> 'offline'))
          AND (p.load + m.weight <= a.capacity OR (m.over AND p.load <= a.capacity AND a.capacity > 0))
          AND NOT EXISTS (SELECT FROM item o WHERE o.agent_id = m.agent_id AND o.state = 'offered')
    ), moved AS (
        UPDATE item i SET state = %(state)s, agent_id = f.agent_id, version = i.version + 1
        FROM fits f WHERE i.id = f.id
        RETURNING i.id, i.version, i.agent_id, f.why, f.auto_accept
    ), loaded AS (
        UPDATE presence p SET load = p.load + f.weight, available_since = now()
        FROM fits f WHERE p.agent_id = f.agent_id
    ), offered AS (
        INSERT INTO offer (item_id, agent_id, expires_at, why)
        SELECT f.id, f.agent_id, now() + make_interval(secs => f.offer_seconds), f.why FROM fits f
    ), recorded AS (
        INSERT INTO event (item_id, verb, actor, agent_id, changes, why)
        SELECT id, %(verb)s, %(actor)s, %(by)s::bigint,
               jsonb_build_object('state', %(state)s::text, 'version', version, 'agent_id', agent_id),
               why - %(kept_by_offer)s::text[]
        FROM moved ORDER BY id
    ), hint AS (
        SELECT pg_notify(%(channel)s, json_build_object('items', json_agg(id), 'agents', json_agg(agent_id))::text)
        FROM moved HAVING count(*) > 0
    )
    SELECT id, auto_accept FROM moved LEFT JOIN hint ON true
"""


async def offer_items(session: AsyncSession, rows: Sequence[Mapping[str, Any]], *, by: int | None = None) -> set[int]:
    """Offer items to agents, each agent at most once; returns the ids of the items whose offers hold.

    `by` is the supervisor who decided instead of the router: they may ask anybody who is signed in.

    A row has item_id, version, agent_id, over (may exceed the agent's capacity by this item) and why.
    A row whose item has moved on, or whose agent is not ready, asked, or full by now, is left out.
    """
    return set(await offer_batch(session, rows, by=by))


async def offer_batch(
    session: AsyncSession, rows: Sequence[Mapping[str, Any]], *, by: int | None = None
) -> dict[int, bool]:
    """The same; tells of each item whose offer holds whether its queue accepts by itself.

    Raises:
        DBAPIError: the database refused or is away, as any statement of the session would say it.
    """
    if not rows:
        return {}
    bound = {
        "rows": json.dumps(list(rows), separators=(",", ":"), ensure_ascii=False),
        "by": by,
        "state": State.OFFERED.value,
        "verb": Verb.OFFER.value,
        "actor": (ActorKind.ROUTER if by is None else ActorKind.AGENT).value,
        "kept_by_offer": list(KEPT_BY_OFFER),
        "channel": CHANNEL,
    }
    raw = await driver(session)
    try:
        async with raw.pipeline():
            await raw.execute(_LOCK_ITEMS, [[row["item_id"] for row in rows]], prepare=True)
            await raw.execute(_LOCK_AGENTS, [sorted({row["agent_id"] for row in rows})], prepare=True)
            held = await raw.execute(_OFFER, bound, prepare=True)
        return dict(await held.fetchall())
    except psycopg.Error as error:
        raise DBAPIError("offers", None, error, hide_parameters=True) from error
