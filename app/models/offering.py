"""Offers by the batch: items, loads, offers and events in three statements, fenced by state, version and load.

Locks are taken in the order that all keep: the items, then the presences in order of agent.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import announce
from app.models.event import ActorKind
from app.models.item import State, Verb

# Parts of a decision that stand with the offer alone, which is emptied when it is old; events are for ever.
KEPT_BY_OFFER = ("candidates", "parts", "rejected")

_LOCK_ITEMS = text(
    """
    SELECT i.id FROM item i
    JOIN unnest(CAST(:ids AS bigint[]), CAST(:versions AS int[])) AS g(id, version) USING (id)
    WHERE i.state = 'queued' AND i.version = g.version
    ORDER BY i.id FOR UPDATE OF i SKIP LOCKED
    """
)

_LOCK_AGENTS = text("SELECT 1 FROM presence WHERE agent_id = ANY(CAST(:ids AS bigint[])) ORDER BY agent_id FOR UPDATE")

# By now both are ours, so this statement sees them as they are. An agent stands in a batch once.
_OFFER = text(
    """
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS g(
            item_id bigint, agent_id bigint, over boolean, why jsonb)
    ), fits AS (
        SELECT i.id, i.weight, g.agent_id, g.why, q.offer_seconds
        FROM given g
        JOIN item i ON i.id = g.item_id
        JOIN queue q ON q.id = i.queue_id
        JOIN presence p ON p.agent_id = g.agent_id
        JOIN agent a ON a.id = g.agent_id
        WHERE i.id = ANY(CAST(:ids AS bigint[])) AND a.active
          AND (p.state = 'ready' OR (CAST(:by AS bigint) IS NOT NULL AND p.state <> 'offline'))
          AND (p.load + i.weight <= a.capacity OR (g.over AND p.load <= a.capacity AND a.capacity > 0))
          AND NOT EXISTS (SELECT 1 FROM item o WHERE o.agent_id = g.agent_id AND o.state = 'offered')
    ), moved AS (
        UPDATE item i SET state = :state, agent_id = f.agent_id, version = i.version + 1
        FROM fits f WHERE i.id = f.id
        RETURNING i.id, i.version, i.agent_id, i.queue_id
    ), loaded AS (
        UPDATE presence p SET load = p.load + f.weight, available_since = now()
        FROM fits f WHERE p.agent_id = f.agent_id
    ), offered AS (
        INSERT INTO offer (item_id, agent_id, expires_at, why)
        SELECT f.id, f.agent_id, now() + make_interval(secs => f.offer_seconds), f.why FROM fits f
    )
    INSERT INTO event (item_id, verb, actor, agent_id, changes, why)
    SELECT m.id, :verb, :actor, CAST(:by AS bigint),
           jsonb_build_object('state', CAST(:state AS text), 'version', m.version, 'agent_id', m.agent_id),
           f.why - CAST(:kept_by_offer AS text[])
    FROM moved m JOIN fits f ON f.id = m.id
    ORDER BY m.id
    RETURNING item_id
    """
)


async def offer_items(session: AsyncSession, rows: Sequence[Mapping[str, Any]], *, by: int | None = None) -> set[int]:
    """Offer items to agents, each agent at most once; returns the ids of the items whose offers hold.

    `by` is the supervisor who decided instead of the router: they may ask anybody who is signed in.

    A row has item_id, version, agent_id, over (may exceed the agent's capacity by this item) and why.
    A row whose item has moved on, or whose agent is not ready, asked, or full by now, is left out.
    """
    ids, versions = [row["item_id"] for row in rows], [row["version"] for row in rows]
    locked = list(await session.scalars(_LOCK_ITEMS, {"ids": ids, "versions": versions}))
    if not locked:
        return set()
    agents = sorted({row["agent_id"] for row in rows if row["item_id"] in locked})
    await session.execute(_LOCK_AGENTS, {"ids": agents})
    bound = {"rows": json.dumps(list(rows)), "ids": locked, "state": State.OFFERED, "verb": Verb.OFFER}
    actor = ActorKind.ROUTER if by is None else ActorKind.AGENT
    told = {"by": by, "kept_by_offer": list(KEPT_BY_OFFER)}
    held = set(await session.scalars(_OFFER, {**bound, **told, "actor": actor}))
    announce(session, "items", held)
    announce(session, "agents", [row["agent_id"] for row in rows if row["item_id"] in held])
    return held
