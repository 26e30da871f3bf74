"""What came in during a stretch of the past, as triage saw it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import IncomingAuthor, IncomingPost, PostKind, Visibility

_CAME = text(
    """
    SELECT e.at, i.channel, p.feed_id, p.external_id, p.kind, p.visibility, p.title, p.text, p.language, p.posted_at,
           a.external_id AS author, a.handle, a.name, a.followers,
           (e.changes->>'preferred_agent_id')::bigint AS preferred
    FROM event e
    JOIN item i ON i.id = e.item_id
    JOIN post p ON p.id = (e.changes->>'post_id')::bigint
    JOIN author a ON a.id = p.author_id
    WHERE e.at >= :since AND e.at < :until AND e.actor = 'feed'
      AND (e.verb = 'reopen' OR (e.verb = 'open' AND e.changes->>'state' <> 'closed'))
    ORDER BY e.at, e.id
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


async def came(session: AsyncSession, since: datetime, until: datetime, most: int) -> list[Came]:
    """The posts that asked for an item in a stretch, oldest first, `most` of them at most.

    What a rule discarded is among them, as another rule may not; what a first sync imported silently is not.
    """
    rows = await session.execute(_CAME, {"since": since, "until": until, "most": most})
    return [
        Came(
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
        )
        for row in rows
    ]
