"""Ingest: posts of 300 bytes in batches of 100, each batch a transaction, with 100,000 posts already there.

Ours is `app.flow.ingest.ingest` as a poll calls it. It is given the dearest case: every post comes from somebody new
in a conversation of its own, so each makes five rows (post, customer, author, conversation, item and its event).
The twin inserts the same posts, with the same values, into a copy of the post table with the same indexes, by one
`INSERT ... ON CONFLICT DO NOTHING` and one commit a batch. The copy has no foreign keys, which is in the twin's favour.
"""

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.connectors.base import IncomingAuthor, IncomingPost, PostKind
from app.db import create_engine, sessionmaker
from app.flow.ingest import ingest
from app.models.feed import Feed
from bench.harness import SAID, Company, Result, connect, make_company, settle, spread

GOAL = 0.25  # of the twin's posts per second
BYTES = 300  # of a post's text
COLUMNS = {
    "channel": "text", "external_id": "text", "conversation_id": "bigint", "author_id": "bigint", "feed_id": "bigint",
    "kind": "text", "visibility": "text", "title": "text", "text": "text", "html": "text", "url": "text",
    "language": "text", "in_reply_to": "text", "own": "bool", "repost": "bool", "media": "jsonb", "ref": "jsonb",
    "payload": "jsonb", "posted_at": "timestamptz",
}  # fmt: skip
# Arrays are the fastest way we found: half as fast again as a list of VALUES.
BARE = (
    f"INSERT INTO twin ({', '.join(COLUMNS)}) "
    f"SELECT * FROM unnest({', '.join(f'%s::{kind}[]' for kind in COLUMNS.values())}) ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    there: int = 100_000  # posts
    batch: int = 100  # posts
    batches: int = 40  # a round, of ours and of the twin's
    rounds: int = 9


TINY = Size(there=200, batch=10, batches=2, rounds=2)


async def measure(url: str, size: Size | None = None) -> Result:
    """Fill the database at `url` (migrated and empty) and measure."""
    size = size or Size()
    engine = create_engine(url, pool_size=2)
    raw = await connect(url)
    try:
        sessions = sessionmaker(engine)
        async with sessions() as session:
            company = await make_company(session)
        feed = await _seed(url, sessions, company, size)
        ratios, ours, bare = [], [], []
        for number in range(size.rounds):
            mine, twins = await _round(sessions, raw, feed, number, size)
            ratios.append(twins / mine)
            ours.append(size.batch * size.batches / mine)
            bare.append(size.batch * size.batches / twins)
    finally:
        await raw.close()
        await engine.dispose()
    print(f"ingest: ours {spread(ours, 0)} posts a second; bare insert {spread(bare, 0)}; ratio {spread(ratios)}")
    return Result("ingest", statistics.median(ratios), GOAL, at_least=True)


async def _seed(url: str, sessions: async_sessionmaker[AsyncSession], company: Company, size: Size) -> Feed:
    """Let both tables hold the posts that are already there, the same ones; ours came by ingest."""
    async with sessions() as session:
        feed = await session.get_one(Feed, company.feed_id)
    step = 1_000
    for start in range(0, size.there, step):
        posts = [_post(f"old-{n}") for n in range(start, min(start + step, size.there))]
        async with sessions.begin() as session:
            await ingest(session, feed, posts)
    raw = await connect(url)
    try:
        await raw.execute("CREATE TABLE twin (LIKE post INCLUDING ALL)")
        names = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
        await raw.execute(sql.SQL("INSERT INTO twin ({n}) SELECT {n} FROM post ORDER BY id").format(n=names))
    finally:
        await raw.close()
    await settle(url)
    return feed


async def _round(
    sessions: async_sessionmaker[AsyncSession], raw: psycopg.AsyncConnection[Any], feed: Feed, number: int, size: Size
) -> tuple[float, float]:
    """Seconds that ours and the twin took for the same batches, taken by turns."""
    mine = twins = 0.0
    for step in range(size.batches):
        posts = [_post(f"new-{number}-{step}-{n}") for n in range(size.batch)]
        if step % 2:
            twins += await _bare(raw, feed, posts)
            mine += await _ours(sessions, feed, posts)
        else:
            mine += await _ours(sessions, feed, posts)
            twins += await _bare(raw, feed, posts)
    return mine, twins


async def _ours(sessions: async_sessionmaker[AsyncSession], feed: Feed, posts: Sequence[IncomingPost]) -> float:
    begin = time.perf_counter()
    async with sessions.begin() as session:
        done = await ingest(session, feed, posts)
    took = time.perf_counter() - begin
    if (done.posts, done.opened) != (len(posts), len(posts)):
        raise RuntimeError(f"Of {len(posts)} posts {done.posts} were stored and {done.opened} opened an item.")
    return took


async def _bare(raw: psycopg.AsyncConnection[Any], feed: Feed, posts: Sequence[IncomingPost]) -> float:
    begin = time.perf_counter()
    rows = [_values(feed, post, n + 1) for n, post in enumerate(posts)]
    await raw.execute(BARE, [list(column) for column in zip(*rows, strict=True)])
    return time.perf_counter() - begin


def _values(feed: Feed, post: IncomingPost, near: int) -> tuple[Any, ...]:
    return (
        feed.channel, post.external_id, near, near, feed.id, post.kind.value, post.visibility.value, post.title,
        post.text, post.html, post.url, post.language, post.in_reply_to, post.own, post.repost, Jsonb([]),
        Jsonb(post.ref), Jsonb(post.payload), post.posted_at,
    )  # fmt: skip


def _post(name: str) -> IncomingPost:
    """A post of 300 bytes by somebody new, in a thread of its own."""
    language = random.choice(list(SAID))
    words = SAID[language].split()
    said = name + " " + " ".join(random.choices(words, k=BYTES // 2))
    return IncomingPost(
        external_id=f"https://social.example/posts/{name}",
        thread_id=f"https://social.example/posts/{name}",
        author=IncomingAuthor(f"https://social.example/users/{name}", handle=f"@{name}", name=name.title()),
        text=said.encode()[:BYTES].decode(errors="ignore"),
        posted_at=datetime.now(UTC),
        kind=PostKind.MENTION,
        url=f"https://social.example/@{name}",
        language=language,
        ref={"id": name},
        payload={"id": name},
    )
