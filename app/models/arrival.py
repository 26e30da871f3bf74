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

_OPEN = text(
    """
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS g(
            conversation_id bigint, author_id bigint, customer_id bigint, language text, state text, queue_id bigint,
            rule_id bigint, priority smallint, requirements jsonb, steps jsonb, emergency boolean, lane text,
            weight smallint, preferred_agent_id bigint, raised text[], tags text[], posts int, post_id bigint,
            disposition text, ready_at timestamptz, due_at timestamptz, rank timestamptz, why jsonb)
    ), opened AS (
        INSERT INTO item (conversation_id, author_id, customer_id, channel, language, state, queue_id, rule_id,
                          priority, requirements, steps, emergency, lane, weight, preferred_agent_id, raised, tags,
                          posts, post_id, disposition, ended_at, ready_at, due_at, rank)
        SELECT conversation_id, author_id, customer_id, :channel, language, state, queue_id, rule_id,
               priority, requirements, steps, emergency, lane, weight, preferred_agent_id, raised, tags,
               posts, post_id, disposition, CASE WHEN state = 'queued' THEN NULL ELSE now() END, ready_at, due_at, rank
        FROM given
        ORDER BY conversation_id
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

    Rows carry the columns that the statement names; ready_at, due_at and rank come from `app.flow.place`. The caller
    holds the conversations' locks.
    """
    if not rows:
        return []
    bound = {"rows": json.dumps(rows), "channel": channel, "verb": Verb.OPEN, "actor": ActorKind.FEED}
    ids = list(await session.scalars(_OPEN, bound))
    if any(row["state"] != State.CLOSED for row in rows):  # history stands in no list that anybody looks at
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
