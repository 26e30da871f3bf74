"""What came in during a stretch of the past, as triage saw it."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import IncomingAuthor, IncomingPost, PostKind, Visibility
from app.listening.heard import UNHEARD, Heard

_CAME = text(
    """
    SELECT e.at, i.channel, p.feed_id, p.external_id, p.kind, p.visibility, p.title, p.text, p.language, p.posted_at,
           a.external_id AS author, a.handle, a.name, a.followers, s.language AS spoken, s.intent, s.mood, s.upset, s.urgent,
           s.noise, s.personal, s.copy_of,
           (e.changes->>'preferred_agent_id')::bigint AS preferred, coalesce(c.tier, '') AS tier,
           CASE WHEN e.verb = 'open' THEN (SELECT min(j.at) FROM event j
               WHERE j.item_id = i.id AND j.id > e.id AND j.verb = 'join') END AS again
    FROM event e
    JOIN item i ON i.id = e.item_id
    LEFT JOIN customer c ON c.id = i.customer_id
    JOIN post p ON p.id = (e.changes->>'post_id')::bigint
    JOIN author a ON a.id = p.author_id
    LEFT JOIN signal s ON s.post_id = p.id
    WHERE e.at >= :since AND e.at < :until AND e.actor = 'feed'
      AND (e.verb = 'reopen' OR (e.verb = 'open' AND e.changes->>'state' <> 'closed'))
    ORDER BY e.at, e.id
    LIMIT :most
    """
)

# What stood in the queues when the stretch began: the post that opened it last, and when that was.
_STOOD = text(
    """
    SELECT o.at, i.channel, p.feed_id, p.external_id, p.kind, p.visibility, p.title, p.text, p.language, p.posted_at,
           a.external_id AS author, a.handle, a.name, a.followers, s.language AS spoken, s.intent, s.mood, s.upset, s.urgent,
           s.noise, s.personal, s.copy_of,
           (o.changes->>'preferred_agent_id')::bigint AS preferred, coalesce(c.tier, '') AS tier, NULL::timestamptz AS again
    FROM item i
    CROSS JOIN LATERAL (
        SELECT changes->>'state' AS state FROM event
        WHERE item_id = i.id AND at < :since AND changes ? 'state' ORDER BY id DESC LIMIT 1
    ) last
    CROSS JOIN LATERAL (
        SELECT at, changes FROM event
        WHERE item_id = i.id AND at < :since AND actor = 'feed' AND verb IN ('open', 'reopen') ORDER BY id DESC LIMIT 1
    ) o
    JOIN post p ON p.id = (o.changes->>'post_id')::bigint
    JOIN author a ON a.id = p.author_id
    LEFT JOIN customer c ON c.id = i.customer_id
    LEFT JOIN signal s ON s.post_id = p.id
    WHERE i.opened_at < :since AND (i.ended_at IS NULL OR i.ended_at >= :since) AND last.state IN ('queued', 'offered')
    ORDER BY o.at, i.id
    LIMIT :most
    """
)


@dataclass(frozen=True, slots=True)
class Came:
    """A post that opened or reopened an item, as triage saw it, and when it did."""

    at: datetime
    channel: str
    feed_id: int  # 0: its feed is gone
    post: IncomingPost
    preferred: int | None  # the agent who knew the customer then
    heard: Heard = UNHEARD
    tier: str = ""  # of their contract
    again: datetime | None = None  # when the customer wrote again
    enters: datetime | None = None  # it stood in its queue when the stretch began


async def came(session: AsyncSession, since: datetime, until: datetime, most: int) -> list[Came]:
    """The posts that asked for an item in a stretch, oldest first, `most` of them at most.

    What a rule discarded is among them, as another rule may not; what a first sync imported silently is not.
    """
    rows = await session.execute(_CAME, {"since": since, "until": until, "most": most})
    return [_read(row) for row in rows]


async def stood(session: AsyncSession, since: datetime, most: int) -> list[Came]:
    """What stood in the queues, or was offered, when a stretch began: the longest waiting first, `most` at most."""
    rows = await session.execute(_STOOD, {"since": since, "most": most})
    return [replace(_read(row), enters=since) for row in rows]


def _read(row: Any) -> Came:
    return Came(
        row.at,
        row.channel,
        row.feed_id or 0,
        IncomingPost(
            external_id=row.external_id,
            thread_id=row.external_id,
            author=IncomingAuthor(row.author, row.handle, row.name, followers=row.followers),
            text=row.text,
            posted_at=row.posted_at,
            kind=PostKind(row.kind),
            visibility=Visibility(row.visibility),
            title=row.title,
            language=row.language,
        ),
        row.preferred,
        _heard(row),
        row.tier,
        row.again,
    )


def _heard(row: Any) -> Heard:
    """What was heard in it; only the channel's language, where nobody has listened yet."""
    if row.intent is None:
        return Heard(spoken=row.language)
    return Heard(
        spoken=row.spoken,
        intent=row.intent,
        mood=row.mood,
        upset=row.upset,
        urgent=tuple(row.urgent),
        noise=row.noise,
        personal=tuple(row.personal),
        copy_of=row.copy_of,
    )
