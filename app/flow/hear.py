"""Hear: what new posts say (language, intent, mood, urgency, noise, personal data) and which of them are copies.

In the transaction that stores the posts, a few statements a batch. What is heard belongs to a version of
`app.listening`; `app/flow/rehear.py` goes over the posts of before.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.listening.alike import alike, shingles
from app.listening.clean import storable_json
from app.listening.heard import VERSION, Heard, Said, Tuning, hear
from app.listening.patterns import compiled
from app.listening.plain import plain
from app.models.signal import Listening

ALIKE_FOR = "7 days"  # how long a post is remembered as the first of alike ones
MOST_OF_KEY = 5  # posts that a key leads to, the first ones
FEW = 3  # posts that one is compared with

_FIRSTS = text(
    """
    SELECT l.post_id, l.key FROM unnest(CAST(:keys AS bigint[])) AS asked(key)
    CROSS JOIN LATERAL (
        SELECT post_id, key FROM likeness
        WHERE key = asked.key AND at > now() - CAST(:lately AS interval) ORDER BY post_id LIMIT :most
    ) l
    """
).bindparams(lately=ALIKE_FOR, most=MOST_OF_KEY)
_SAID = text("SELECT id, title, text FROM post WHERE id = ANY(CAST(:ids AS bigint[]))")

# What is heard again keeps its place in time, and a copy stays a copy: the first is forgotten after a while.
_KEEP = text(
    """
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS g(
            post_id bigint, language text, also text, confidence int, intent text, mood int, upset int, urgent text[],
            noise text, personal text[], copy_of bigint, because jsonb, keys bigint[])
    ), remembered AS (
        INSERT INTO likeness (key, post_id)
        SELECT key, post_id FROM given, unnest(keys) AS key WHERE copy_of IS NULL ORDER BY key, post_id
        ON CONFLICT DO NOTHING
    )
    INSERT INTO signal AS s (post_id, version, conversation_id, at, language, also, confidence, intent, mood, upset,
                             urgent, noise, personal, copy_of, because)
    SELECT g.post_id, :version, p.conversation_id, p.received_at, g.language, g.also, g.confidence, g.intent, g.mood,
           g.upset, g.urgent, g.noise, g.personal, g.copy_of, g.because
    FROM given g JOIN post p ON p.id = g.post_id ORDER BY g.post_id
    ON CONFLICT (post_id) DO UPDATE
    SET version = excluded.version, language = excluded.language, also = excluded.also,
        confidence = excluded.confidence, intent = excluded.intent, mood = excluded.mood, upset = excluded.upset,
        urgent = excluded.urgent, noise = excluded.noise, personal = excluded.personal,
        copy_of = coalesce(s.copy_of, excluded.copy_of), because = excluded.because, heard_at = now()
    WHERE s.version <= excluded.version
    """
)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A post to listen to, with its row."""

    post_id: int
    title: str
    text: str
    language: str | None  # as the channel names it

    @property
    def whole(self) -> str:
        """Its title and its text."""
        return _whole(self.title, self.text)


async def tuning(session: AsyncSession) -> Tuning:
    """What the company tells of itself."""
    told = await session.get(Listening, 1)
    if told is None:
        return Tuning()
    return Tuning(tuple(told.namesakes), compiled(told.order_pattern) if told.order_pattern else None)


async def hear_posts(session: AsyncSession, posts: Sequence[Spoken]) -> dict[int, Heard]:
    """Listen to stored posts and keep what was heard; by the post's id. A post heard by a newer version is left alone."""
    if not posts:
        return {}
    heard = hear([Said(one.whole, one.language) for one in posts], await tuning(session))
    copies = await _copies(session, posts, heard)
    rows = [_row(post, one, copies.get(post.post_id)) for post, one in zip(posts, heard, strict=True)]
    await session.execute(_KEEP, {"rows": storable_json(rows), "version": VERSION})
    return {
        post.post_id: replace(one, copy_of=copies.get(post.post_id)) for post, one in zip(posts, heard, strict=True)
    }


async def forget(session: AsyncSession, post_ids: Iterable[int]) -> None:
    """Forget what was heard in posts whose words are not kept any more."""
    gone = {"ids": sorted(post_ids)}
    await session.execute(text("DELETE FROM signal WHERE post_id = ANY(:ids)"), gone)
    await session.execute(text("DELETE FROM likeness WHERE post_id = ANY(:ids)"), gone)


async def drop_old_likeness(session: AsyncSession) -> None:
    """After a while nobody is a copy of a post any more."""
    old = text("DELETE FROM likeness WHERE at < now() - CAST(:lately AS interval)").bindparams(lately=ALIKE_FOR)
    await session.execute(old)


async def _copies(session: AsyncSession, posts: Sequence[Spoken], heard: Sequence[Heard]) -> dict[int, int]:
    """Of which earlier post each is a copy: of one known before, or of one earlier in the batch."""
    wanted = sorted({key for one in heard for key in one.keys})
    if not wanted:
        return {}
    firsts: dict[int, list[int]] = {}
    for row in await session.execute(_FIRSTS, {"keys": wanted}):
        firsts.setdefault(row.key, []).append(row.post_id)
    pairs = sorted(zip(posts, heard, strict=True), key=lambda pair: pair[0].post_id)
    known = {first for _, one in pairs for first in _nearest(one, firsts)}
    said = {row.id: shingles(plain(_whole(row.title, row.text))) for row in await _texts(session, known)}
    copies: dict[int, int] = {}
    for post, one in pairs:
        near = [first for first in _nearest(one, firsts) if first < post.post_id and first in said]
        mine = shingles(plain(post.whole)) if near else frozenset()
        found = next((first for first in near if alike(mine, said[first])), None)
        if found is not None:
            copies[post.post_id] = found
            continue
        said[post.post_id] = mine or shingles(plain(post.whole))
        for key in one.keys:
            firsts.setdefault(key, []).append(post.post_id)
    return copies


def _nearest(heard: Heard, firsts: Mapping[int, Sequence[int]]) -> list[int]:
    """The posts that share most keys, FEW at most: who shares few of many is hardly alike, and looking costs."""
    shared = Counter(first for key in heard.keys for first in firsts.get(key, ())[:MOST_OF_KEY])
    return sorted(shared, key=lambda first: (-shared[first], first))[:FEW]


async def _texts(session: AsyncSession, ids: Collection[int]) -> Sequence[Any]:
    return (await session.execute(_SAID, {"ids": sorted(ids)})).all() if ids else ()


def _whole(title: str, said: str) -> str:
    return f"{title}\n{said}" if title else said


def _row(post: Spoken, heard: Heard, copy_of: int | None) -> dict[str, Any]:
    return {
        "post_id": post.post_id,
        "language": heard.spoken,
        "also": heard.language.also,
        "confidence": round(100 * heard.language.confidence),
        "intent": heard.intent,
        "mood": heard.mood,
        "upset": heard.upset,
        "urgent": list(heard.urgent),
        "noise": heard.noise,
        "personal": list(heard.personal),
        "copy_of": copy_of,
        "because": {name: list(words) for name, words in heard.because.items()},
        "keys": list(heard.keys),
    }
