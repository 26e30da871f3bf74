"""Parents: the posts above one that came to us, fetched for context after ingest and kept beside the conversation.

asked for (with the post) -> a try (its lease committed before the call) -> kept, and the row goes
                                         '-> tried again, at most MOST_TRIES times; the cause stands in the feed's health
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import registry
from app.connectors.base import MOST_PARENTS, IncomingPost, Json, KnownPost
from app.db import announce
from app.errors import CarelineError, ConnectorError
from app.flow.outbox import LEASE, pause
from app.listening.clean import LONGEST_TEXT, storable_json
from app.models.context import ParentFetch
from app.models.feed import Feed
from app.models.item import Item
from app.models.post import Post

MOST_TRIES = 4
MOST_DUE = 50  # in one look of the sweep
TROUBLE_KEPT = timedelta(days=1)  # after it was given up
LONGEST_NAME = 2_000  # characters of an id that fit into an index
_POLLED = ParentFetch.feed_id.in_(select(Feed.id).where(Feed.enabled))

# One post for each parent that is missing, of conversations where somebody has something to do.
_ASK = text(
    """
    INSERT INTO parent_fetch (post_id, feed_id)
    SELECT DISTINCT ON (p.conversation_id, p.in_reply_to) p.id, :feed
    FROM post p
    WHERE p.id = ANY(CAST(:posts AS bigint[])) AND p.in_reply_to IS NOT NULL
      AND EXISTS (SELECT 1 FROM item i
          WHERE i.conversation_id = p.conversation_id AND i.state IN ('queued', 'offered', 'active', 'parked'))
      AND NOT EXISTS (SELECT 1 FROM post x WHERE x.channel = p.channel AND x.external_id = p.in_reply_to)
      AND NOT EXISTS (SELECT 1 FROM reply r WHERE r.channel = p.channel AND r.external_id = p.in_reply_to)
      AND NOT EXISTS (SELECT 1 FROM context_post c
          WHERE c.conversation_id = p.conversation_id AND c.external_id = p.in_reply_to)
    ORDER BY p.conversation_id, p.in_reply_to, p.id
    ON CONFLICT DO NOTHING
    """
)

_KEEP = text(
    """
    INSERT INTO context_post (conversation_id, feed_id, channel, external_id, author_external_id, author_handle,
                              author_name, author_url, own, visibility, title, text, html, url, language, in_reply_to,
                              media, ref, posted_at)
    SELECT :conversation, :feed, :channel, g.external_id, g.author_external_id, g.author_handle, g.author_name,
           g.author_url, g.own, g.visibility, g.title, g.text, g.html, g.url, g.language, g.in_reply_to, g.media, g.ref,
           least(g.posted_at, now())
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS g(
        external_id text, author_external_id text, author_handle text, author_name text, author_url text, own bool,
        visibility text, title text, text text, html text, url text, language text, in_reply_to text, media jsonb,
        ref jsonb, posted_at timestamptz, position int)
    WHERE NOT EXISTS (SELECT 1 FROM post p WHERE p.channel = :channel AND p.external_id = g.external_id
                      AND p.conversation_id = :conversation)
      AND NOT EXISTS (SELECT 1 FROM reply r WHERE r.channel = :channel AND r.external_id = g.external_id
                      AND r.conversation_id = :conversation)
      AND NOT EXISTS (SELECT 1 FROM post_change d WHERE d.channel = :channel AND d.external_id = g.external_id
                      AND d.deleted)
    ORDER BY g.position
    ON CONFLICT (conversation_id, external_id) DO NOTHING
    RETURNING id
    """
)


@dataclass(frozen=True, slots=True)
class Errand:
    """A post from which its thread is fetched upward, and the try that this is."""

    post: Post
    feed: Feed
    number: int

    @property
    def known(self) -> KnownPost:
        """The post as its connector knows it."""
        return KnownPost(self.post.external_id, self.post.ref, self.post.in_reply_to)


async def ask_for_parents(session: AsyncSession, feed: Feed, post_ids: Sequence[int]) -> None:
    """Remember which of these new posts answer one that we do not hold; a worker fetches what stands above them."""
    if post_ids and registry.get(feed.channel).capabilities.parents:
        await session.execute(_ASK, {"feed": feed.id, "posts": list(post_ids)})


async def due_parents(session: AsyncSession) -> list[int]:
    """The posts whose parents are to be fetched now."""
    due = select(ParentFetch.post_id).where(ParentFetch.due_at <= func.now(), _POLLED).order_by(ParentFetch.due_at)
    return list(await session.scalars(due.limit(MOST_DUE)))


async def take_errand(session: AsyncSession, post_id: int) -> Errand | None:
    """Begin a try; commit before the call. None when there is nothing to do, or somebody is at it."""
    taken = (
        update(ParentFetch)
        .where(ParentFetch.post_id == post_id, ParentFetch.due_at <= func.now(), _POLLED)
        .values(tries=ParentFetch.tries + 1, due_at=func.now() + LEASE)
        .returning(ParentFetch.tries, ParentFetch.feed_id)
        .execution_options(synchronize_session=False)
    )
    row = (await session.execute(taken)).one_or_none()
    if row is None:
        return None
    post, feed = await session.get_one(Post, post_id), await session.get_one(Feed, row.feed_id)
    return Errand(post, feed, row.tries)


async def postpone_parents(session: AsyncSession, errand: Errand, wait: timedelta) -> None:
    """The credential has to rest: this was no try."""
    await _settle(session, errand, tries=errand.number - 1, due_at=func.now() + wait)


async def fail_parents(session: AsyncSession, errand: Errand, error: CarelineError) -> None:
    """It went wrong: try again later, or give up with the cause."""
    due = None
    if isinstance(error, ConnectorError) and not error.permanent and errand.number < MOST_TRIES:
        due = func.now() + pause(errand.number, error)
    await _settle(session, errand, trouble=error.message, due_at=due)
    announce(session, "feeds", [errand.feed.id])


async def keep_parents(session: AsyncSession, errand: Errand, posts: Sequence[IncomingPost]) -> int:
    """Keep what came as the context of the post's conversation; returns how many were new.

    What stands there as a post or a reply already, and what was deleted on the channel meanwhile, is left out.
    """
    over = delete(ParentFetch).where(ParentFetch.post_id == errand.post.id, ParentFetch.tries == errand.number)
    if (await session.execute(over.returning(ParentFetch.trouble))).one_or_none() is None:
        return 0
    rows = [_row(i, post) for i, post in enumerate(posts[-MOST_PARENTS:]) if _nameable(post)]
    asked = {"conversation": errand.post.conversation_id, "feed": errand.feed.id, "channel": errand.post.channel}
    kept = (await session.execute(_KEEP, {**asked, "rows": storable_json(rows)})).all() if rows else []
    if kept:
        shown = select(Item.id).where(Item.conversation_id == errand.post.conversation_id)
        announce(session, "items", await session.scalars(shown))
    return len(kept)


async def _settle(session: AsyncSession, errand: Errand, **values: object) -> None:
    mine = (ParentFetch.post_id == errand.post.id) & (ParentFetch.tries == errand.number)
    await session.execute(update(ParentFetch).where(mine).values(values).execution_options(synchronize_session=False))


def _nameable(post: IncomingPost) -> bool:
    return max(len(post.external_id), len(post.author.external_id)) <= LONGEST_NAME


def _row(position: int, post: IncomingPost) -> Json:
    return {
        "position": position,
        "external_id": post.external_id,
        "author_external_id": post.author.external_id,
        "author_handle": post.author.handle,
        "author_name": post.author.name,
        "author_url": post.author.url,
        "own": post.own,
        "visibility": post.visibility,
        "title": post.title,
        "text": post.text[:LONGEST_TEXT],
        "html": post.html,
        "url": post.url,
        "language": post.language,
        "in_reply_to": post.in_reply_to,
        "media": [media.told() for media in post.media],
        "ref": post.ref,
        "posted_at": post.posted_at.isoformat(),
    }
