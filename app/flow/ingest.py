"""Ingest: posts in, with their authors, customers, conversations, items and events, in the caller's one transaction.

Set-based: a batch is a handful of statements, however many posts it holds. The conversation rows are locked first, so
two feeds that bring posts of one conversation at once take turns and cannot open two items.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import IncomingAuthor, IncomingPost, PostKind
from app.flow.change import deleted_among
from app.flow.hear import Spoken, hear_posts
from app.flow.itemise import Arrival, itemise
from app.flow.left_out import keep_house
from app.flow.parents import ask_for_parents
from app.listening.clean import LONGEST_TEXT, storable_json
from app.models.feed import Feed

ANSWERED_BY = {"email": ("form",)}  # channels whose conversations go on in this one

_KNOWN = text(
    """
    SELECT external_id, conversation_id, true AS post FROM post
    WHERE channel = ANY(:channels) AND external_id = ANY(:ids)
    UNION ALL
    SELECT external_id, conversation_id, false FROM reply WHERE channel = ANY(:channels) AND external_id = ANY(:ids)
    UNION ALL
    SELECT external_id, NULL, false FROM account WHERE channel = :channel AND external_id = ANY(:writers)
    """
)

# `known` is looked up by a list of ids: joined with `given` instead, the planner would read all authors of the channel.
# A handle under .invalid (RFC 6761) says that the network could not tell the author's name; nobody was called so.
# Nor is an id, which stands in where a channel tells no name.
_AUTHORS = text(
    """
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS g(
            external_id text, handle text, name text, url text, avatar_url text, followers int)
    ), known AS MATERIALIZED (
        SELECT id, external_id, customer_id, handle FROM author WHERE channel = :channel AND external_id = ANY(:ids)
    ), former AS (
        INSERT INTO former_handle AS f (author_id, handle)
        SELECT k.id, k.handle FROM given g JOIN known k USING (external_id)
        WHERE lower(k.handle) <> lower(g.handle) AND k.handle NOT LIKE '%.invalid' AND k.handle <> external_id
        ORDER BY k.id
        ON CONFLICT (author_id, handle) DO UPDATE SET until = excluded.until
    ), people AS MATERIALIZED (
        SELECT g.*, k.customer_id IS NULL AS fresh,
               coalesce(k.customer_id, nextval(pg_get_serial_sequence('customer', 'id'))) AS customer_id
        FROM given g LEFT JOIN known k USING (external_id)
    ), made AS (
        INSERT INTO customer (id, name) SELECT customer_id, coalesce(nullif(name, ''), handle) FROM people WHERE fresh
    )
    INSERT INTO author AS a (channel, external_id, customer_id, handle, name, url, avatar_url, followers)
    SELECT :channel, external_id, customer_id, handle, name, url, avatar_url, followers FROM people
    ORDER BY external_id
    ON CONFLICT (channel, external_id) DO UPDATE
    SET handle = CASE excluded.handle WHEN a.external_id THEN a.handle ELSE excluded.handle END,
        name = CASE excluded.handle WHEN a.external_id THEN coalesce(nullif(excluded.name, ''), a.name) ELSE excluded.name END,
        url = coalesce(excluded.url, a.url),
        avatar_url = coalesce(excluded.avatar_url, a.avatar_url), followers = coalesce(excluded.followers, a.followers)
    RETURNING id, external_id, customer_id
    """
)

# DO UPDATE also locks the conversations that were there: the turn-taking of this module's docstring.
_CONVERSATIONS = text(
    """
    INSERT INTO conversation AS c (channel, external_id, customer_id, feed_id, title)
    SELECT :channel, g.external_id, g.customer_id, :feed, g.title
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS g(external_id text, customer_id bigint, title text)
    ORDER BY g.external_id
    ON CONFLICT (channel, external_id) DO UPDATE
    SET customer_id = coalesce(c.customer_id, excluded.customer_id),
        title = CASE c.title WHEN '' THEN excluded.title ELSE c.title END
    RETURNING id, external_id
    """
)

_POSTS = text(
    """
    INSERT INTO post (channel, external_id, conversation_id, author_id, feed_id, kind, visibility, title, text, html,
                      url, language, in_reply_to, own, repost, media, ref, payload, posted_at)
    SELECT :channel, g.external_id, g.conversation_id, g.author_id, :feed, g.kind, g.visibility, g.title, g.text,
           g.html, g.url, g.language, g.in_reply_to, g.own, g.repost, g.media, g.ref, g.payload,
           least(g.posted_at, now())
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS g(
        external_id text, conversation_id bigint, author_id bigint, kind text, visibility text, title text, text text,
        html text, url text, language text, in_reply_to text, own bool, repost bool, media jsonb, ref jsonb,
        payload jsonb, posted_at timestamptz, position int)
    ORDER BY g.position
    ON CONFLICT (channel, external_id) DO NOTHING
    RETURNING id, external_id
    """
)


# Who takes part in a conversation: who wrote in it, and whom they wrote to.
_TAKES_PART = text(
    """
    SELECT g.external_id, g.room FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS g(
        external_id text, room bigint, writer text)
    WHERE EXISTS (
        SELECT 1 FROM post p JOIN author a ON a.id = p.author_id
        WHERE p.conversation_id = g.room AND (a.external_id = g.writer OR p.ref -> 'people' ? g.writer))
    """
)

_FILES = text(
    """
    INSERT INTO post_file (post_id, position, name, content)
    SELECT unnest(CAST(:posts AS bigint[])), unnest(CAST(:positions AS smallint[])),
           unnest(CAST(:names AS text[])), unnest(CAST(:contents AS bytea[]))
    """
)


@dataclass(frozen=True, slots=True)
class Ingested:
    """What a batch came to; `stored` and `left_out` (by the rules of the house) are external ids."""

    posts: int = 0
    opened: int = 0
    joined: int = 0
    reopened: int = 0
    stored: frozenset[str] = field(default=frozenset(), compare=False)
    left_out: frozenset[str] = field(default=frozenset(), compare=False)

    def __add__(self, other: "Ingested") -> "Ingested":
        return Ingested(
            self.posts + other.posts,
            self.opened + other.opened,
            self.joined + other.joined,
            self.reopened + other.reopened,
            self.stored | other.stored,
            self.left_out | other.left_out,
        )


async def ingest(session: AsyncSession, feed: Feed, posts: Sequence[IncomingPost], *, quiet: bool = False) -> Ingested:
    """Store what is new among `posts` and make, grow, wake or reopen the items it asks for.

    `quiet` closes new items at once (the first sync of a feed imports its backlog silently). Posts already known, and
    our own replies coming back, change nothing. One that was deleted before it came is kept, and asks for nothing.
    """
    arrivals, left_out = await _store(session, feed, posts)
    gone = await deleted_among(session, feed.channel, [a.post.external_id for a in arrivals]) if arrivals else set()
    asking = [a for a in arrivals if a.post.external_id not in gone and _asks(a.post)]
    opened, joined, reopened = await itemise(session, feed, asking, quiet)
    if not quiet:
        await ask_for_parents(session, feed, [a.post_id for a in asking if a.post.in_reply_to])
    stored = frozenset(a.post.external_id for a in arrivals)
    return Ingested(len(arrivals), opened, joined, reopened, stored, left_out)


def _asks(post: IncomingPost) -> bool:
    return not (post.own or post.repost or post.kind is PostKind.NOTICE)


async def _store(
    session: AsyncSession, feed: Feed, posts: Sequence[IncomingPost]
) -> tuple[list[Arrival], frozenset[str]]:
    """What is new, stored; and the ids of what the rules of the house left out."""
    unique = {post.external_id: post for post in posts}
    parents = {parent for post in unique.values() for parent in (post.in_reply_to, *post.above) if parent}
    writers = {post.author.external_id for post in unique.values()}
    channels = [feed.channel, *ANSWERED_BY.get(feed.channel, ())]
    asked = {"channel": feed.channel, "channels": channels, "ids": [*unique, *parents], "writers": [*writers]}
    known = (await session.execute(_KNOWN, asked)).all()
    homes = {row.external_id: row.conversation_id for row in known if row.conversation_id is not None}
    us = {row.external_id for row in known if row.conversation_id is None}  # a connector knows but one account of ours
    new = [
        replace(post, own=post.own or post.author.external_id in us)
        for external_id, post in unique.items()
        if external_id not in homes
    ]
    if not new:
        return [], frozenset()
    new = await _placed(session, new, homes, {row.external_id for row in known if not row.post})
    brought = frozenset(post.external_id for post in new)
    new = await keep_house(session, feed, new, [*homes])
    left_out = brought.difference(post.external_id for post in new)
    if not new:
        return [], left_out
    authors = await _authors(session, feed, new)
    rooms = await _conversations(session, feed, new, homes, authors)
    rows = [_row(i, post, rooms[post.external_id], authors[post.author.external_id][0]) for i, post in enumerate(new)]
    stored = await session.execute(_POSTS, {"channel": feed.channel, "feed": feed.id, "rows": storable_json(rows)})
    ids = {row.external_id: row.id for row in stored}
    await _keep_files(session, new, ids)
    arrivals = [
        Arrival(post, ids[post.external_id], rooms[post.external_id], *authors[post.author.external_id])
        for post in new
        if post.external_id in ids
    ]
    return await _heard(session, arrivals), left_out


async def _heard(session: AsyncSession, arrivals: Sequence[Arrival]) -> list[Arrival]:
    """The same, with what they say; we need not listen to ourselves."""
    strangers = [
        Spoken(one.post_id, one.post.title, one.post.text, one.post.language) for one in arrivals if not one.post.own
    ]
    heard = await hear_posts(session, strangers)
    return [replace(one, heard=heard.get(one.post_id, one.heard)) for one in arrivals]


async def _placed(
    session: AsyncSession, posts: Sequence[IncomingPost], homes: Mapping[str, int], replies: set[str]
) -> list[IncomingPost]:
    """Each post under the nearest one above it that we know; a claim that nobody vouches for is checked.

    Who only says that they answer somebody's post joins that conversation if they take part in it, and a machine's
    notice if it tells of a reply of ours: what a reply is called is known to those who got it.
    """
    if all(post.vouched and not post.above for post in posts):
        return list(posts)
    batch = {post.external_id: post for post in posts}
    claims = [
        {"external_id": post.external_id, "room": homes[parent], "writer": post.author.external_id}
        for post in posts
        for parent in _chain(post)
        if not post.vouched and parent in homes
    ]
    admitted: set[tuple[str, int]] = set()
    if claims:
        rows = await session.execute(_TAKES_PART, {"rows": storable_json(claims)})
        admitted = {(row.external_id, row.room) for row in rows}

    def may_stand_under(post: IncomingPost, parent: str) -> bool:
        if post.vouched:
            return parent in homes or parent in batch
        if parent in homes:
            notice = post.kind is PostKind.NOTICE and parent in replies
            return notice or (post.external_id, homes[parent]) in admitted
        above = batch.get(parent)
        return above is not None and post.author.external_id in {
            above.author.external_id,
            *above.ref.get("people", ()),
        }

    def placed(post: IncomingPost) -> IncomingPost:
        found = next((parent for parent in _chain(post) if may_stand_under(post, parent)), None)
        return replace(post, in_reply_to=found or (post.in_reply_to if post.vouched else None))

    return [placed(post) for post in posts]


def _chain(post: IncomingPost) -> list[str]:
    """What a post says that it stands under, nearest first."""
    return [one for one in (post.in_reply_to, *post.above) if one and one != post.external_id]


async def _keep_files(session: AsyncSession, posts: Sequence[IncomingPost], ids: Mapping[str, int]) -> None:
    """What came with the posts themselves."""
    files = [
        (ids[post.external_id], position, media.title, media.content)
        for post in posts
        if post.external_id in ids
        for position, media in enumerate(post.media)
        if media.content is not None
    ]
    if files:
        posts_, positions, names, contents = zip(*files, strict=True)
        await session.execute(
            _FILES,
            {"posts": [*posts_], "positions": [*positions], "names": [*names], "contents": [*contents]},
        )


async def _authors(session: AsyncSession, feed: Feed, posts: Iterable[IncomingPost]) -> dict[str, tuple[int, int]]:
    """Find or make the authors and their customers: external_id -> (author id, customer id)."""
    newest = {post.author.external_id: _person(post.author) for post in posts}
    given = {"channel": feed.channel, "ids": list(newest), "rows": storable_json(list(newest.values()))}
    rows = await session.execute(_AUTHORS, given)
    return {row.external_id: (row.id, row.customer_id) for row in rows}


async def _conversations(
    session: AsyncSession,
    feed: Feed,
    posts: Sequence[IncomingPost],
    homes: Mapping[str, int],
    authors: Mapping[str, tuple[int, int]],
) -> dict[str, int]:
    """Find or make, and lock, the conversation of each post: external_id -> conversation id.

    A parent that we know (a post, or a reply of ours) decides before the thread that the channel names: servers that
    show no context would else tear a thread apart.
    """
    settled = {p.external_id: homes[p.in_reply_to] for p in posts if p.in_reply_to and p.in_reply_to in homes}
    threads: dict[str, str] = {}
    for post in posts:
        if post.external_id in settled:
            continue
        if post.in_reply_to in settled:
            settled[post.external_id] = settled[post.in_reply_to]
        else:
            threads[post.external_id] = threads.get(post.in_reply_to or "", post.thread_id)
    if settled:
        lock = text("SELECT 1 FROM conversation WHERE id = ANY(:ids) ORDER BY id FOR UPDATE")
        await session.execute(lock, {"ids": sorted(set(settled.values()))})
    wanted: dict[str, dict[str, Any]] = {}
    for post in posts:
        if post.external_id in threads:
            row = wanted.setdefault(threads[post.external_id], {"customer_id": None, "title": post.title})
            row["customer_id"] = row["customer_id"] or (None if post.own else authors[post.author.external_id][1])
    made: dict[str, int] = {}
    if wanted:
        rows = [{"external_id": thread, **row} for thread, row in wanted.items()]
        result = await session.execute(
            _CONVERSATIONS, {"channel": feed.channel, "feed": feed.id, "rows": storable_json(rows)}
        )
        made = {row.external_id: row.id for row in result}
    return settled | {external_id: made[thread] for external_id, thread in threads.items()}


def _person(author: IncomingAuthor) -> dict[str, Any]:
    return {
        "external_id": author.external_id,
        "handle": author.handle,
        "name": author.name,
        "url": author.url,
        "avatar_url": author.avatar_url,
        "followers": author.followers,
    }


def _row(position: int, post: IncomingPost, conversation_id: int, author_id: int) -> dict[str, Any]:
    return {
        "position": position,
        "external_id": post.external_id,
        "conversation_id": conversation_id,
        "author_id": author_id,
        "kind": post.kind,
        "visibility": post.visibility,
        "title": post.title,
        "text": post.text[:LONGEST_TEXT],
        "html": post.html,
        "url": post.url,
        "language": post.language,
        "in_reply_to": post.in_reply_to,
        "own": post.own,
        "repost": post.repost,
        "media": [media.told() for media in post.media],
        "ref": post.ref,
        "payload": post.payload,
        "posted_at": post.posted_at.isoformat(),
    }
