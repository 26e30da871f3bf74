"""Set-based statements that open and grow items: one statement a batch, rank and event included."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import announce
from app.models.event import ActorKind
from app.models.item import TRACKED, State, Verb

_CHANGES = ", ".join(f"'{column}', o.{column}" for column in TRACKED)

# The rank is set here, once: ready_at minus what the priority is worth in this queue, or the due time.
_OPEN = text(
    """
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS g(
            conversation_id bigint, author_id bigint, customer_id bigint, language text, state text, queue_id bigint,
            rule_id bigint, priority smallint, requirements jsonb, lane text, tags text[], posts int, post_id bigint,
            disposition text, why jsonb)
    ), opened AS (
        INSERT INTO item (conversation_id, author_id, customer_id, channel, language, state, queue_id, rule_id,
                          priority, requirements, lane, tags, posts, post_id, disposition, ended_at, weight, ready_at,
                          due_at, rank)
        SELECT g.conversation_id, g.author_id, g.customer_id, :channel, g.language, g.state, g.queue_id, g.rule_id,
               g.priority, g.requirements, g.lane, g.tags, g.posts, g.post_id, g.disposition,
               CASE WHEN g.state = 'queued' THEN NULL ELSE now() END, q.weight, now(),
               now() + make_interval(secs => q.target),
               CASE q.served_by WHEN 'due' THEN now() + make_interval(secs => q.target)
                                ELSE now() - make_interval(mins => q.boosts[g.priority]) END
        FROM given g JOIN queue q ON q.id = g.queue_id
        ORDER BY g.conversation_id
        RETURNING *
    )
    INSERT INTO event (item_id, verb, actor, changes, why)
    SELECT o.id, :verb, :actor, jsonb_build_object({changes}), g.why
    FROM opened o JOIN given g ON g.conversation_id = o.conversation_id
    ORDER BY o.id
    RETURNING item_id
    """.replace("{changes}", _CHANGES)
)

_JOIN = text(
    """
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS g(item_id bigint, posts int, post_id bigint)
    ), joined AS (
        UPDATE item i SET posts = i.posts + g.posts, post_id = g.post_id, version = i.version + 1
        FROM given g WHERE i.id = g.item_id AND i.state NOT IN ('closed', 'discarded')
        RETURNING i.id, i.posts, i.post_id, i.version, i.queue_id
    )
    INSERT INTO event (item_id, verb, actor, changes)
    SELECT id, :verb, :actor, jsonb_build_object('posts', posts, 'post_id', post_id, 'version', version) FROM joined
    RETURNING item_id
    """
)


async def open_items(session: AsyncSession, channel: str, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Open one item a row, in the state the row says (queued, closed by a silent import, discarded by a rule).

    Rows carry conversation_id, author_id, customer_id, language, state, queue_id, rule_id, priority, requirements,
    lane, tags, posts, post_id, disposition and why. The caller holds the conversations' locks.
    """
    if not rows:
        return []
    bound = {"rows": json.dumps(rows), "channel": channel, "verb": Verb.OPEN, "actor": ActorKind.FEED}
    ids = list(await session.scalars(_OPEN, bound))
    announce(session, "items", ids)
    announce(session, "queues", {row["queue_id"] for row in rows if row["state"] == State.QUEUED})
    return ids


async def join_items(session: AsyncSession, rows: Sequence[Mapping[str, int]]) -> list[int]:
    """Let new posts join open items, which the caller has locked: item_id, how many posts, the newest one's post_id."""
    if not rows:
        return []
    bound = {"rows": json.dumps(rows), "verb": Verb.JOIN, "actor": ActorKind.FEED}
    ids = list(await session.scalars(_JOIN, bound))
    announce(session, "items", ids)
    return ids
