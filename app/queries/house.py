"""What the rules of the house left out, how much and why; and the newest posts, for a look at what others would do."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.feed import LeftOut

WEEK = timedelta(days=7)
NEWEST = 50  # posts that a preview judges
SHOWN = 20  # of those that were left out


@dataclass(frozen=True, slots=True)
class Left:
    """A post that was left out."""

    handle: str
    text: str
    posted_at: datetime
    why: str
    detail: str


@dataclass(frozen=True, slots=True)
class Recent:
    """What the rules look at of a post; `stored`: it stands here, whatever the rules say now."""

    posted_at: datetime
    stored: bool
    facts: Mapping[str, Any]
    continues: bool


async def left_out(session: AsyncSession, feed_id: int) -> dict[str, int]:
    """How many posts of the last seven days were left out, by reason, most first."""
    rows = await session.execute(
        select(LeftOut.why, func.count())
        .where(LeftOut.feed_id == feed_id, LeftOut.at > func.now() - WEEK)
        .group_by(LeftOut.why)
        .order_by(func.count().desc(), LeftOut.why)
    )
    return dict(list(rows))


async def newest_left_out(session: AsyncSession, feed_id: int) -> list[Left]:
    """Those that were left out last."""
    rows = await session.scalars(
        select(LeftOut).where(LeftOut.feed_id == feed_id).order_by(LeftOut.at.desc(), LeftOut.id.desc()).limit(SHOWN)
    )
    return [Left(one.facts["handle"], one.facts["text"], one.posted_at, one.why, one.detail) for one in rows]


_NEWEST = text(
    """
    (SELECT p.posted_at, true AS stored,
            jsonb_build_object('kind', p.kind, 'repost', p.repost, 'author', a.external_id, 'handle', a.handle,
                'followers', a.followers, 'language', p.language, 'url', p.url,
                'text', CASE p.title WHEN '' THEN p.text ELSE p.title || E'\n' || p.text END) AS facts,
            EXISTS (SELECT FROM post x WHERE x.channel = p.channel AND x.external_id = p.in_reply_to)
            OR EXISTS (SELECT FROM reply r WHERE r.channel = p.channel AND r.external_id = p.in_reply_to) AS continues
     FROM post p JOIN author a ON a.id = p.author_id
     WHERE p.feed_id = :feed AND NOT p.own ORDER BY p.id DESC LIMIT :most)
    UNION ALL
    (SELECT posted_at, false, facts, false FROM left_out WHERE feed_id = :feed ORDER BY at DESC, id DESC LIMIT :most)
    ORDER BY posted_at DESC LIMIT :most
    """
)


async def newest(session: AsyncSession, feed_id: int) -> list[Recent]:
    """The newest posts of the feed, those that were left out among them."""
    rows = await session.execute(_NEWEST, {"feed": feed_id, "most": NEWEST})
    return [Recent(*row) for row in rows]
