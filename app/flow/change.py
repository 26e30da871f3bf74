"""Change: posts are edited and deleted on their channels. Kept beside the post, which stays as it arrived.

A change may come twice, out of order, and before its post; the caller's transaction holds all of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import PostChange
from app.db import announce
from app.flow.rehear import hear_again
from app.flow.wake import wake
from app.i18n import N_
from app.listening.clean import LONGEST_TEXT, storable_json
from app.models import change as rows
from app.models.context import ContextPost
from app.models.feed import Feed
from app.models.item import FEED, OPEN_STATES, Disposition, Item, ParkReason, State, Verb, alter, move, record
from app.models.post import Post
from app.models.queue import Queue
from app.routing.raises import on_arrival

# A version that says what stood before it is no change: senders without times of their own repeat themselves. Votes go on
# without an edit, so polls are compared without them (`steady`). `says` is false where only the audience is another.
_KEEP = text(
    """
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS g(
            external_id text, deleted bool, title text, text text, html text, media jsonb, steady jsonb, visibility text,
            changed_at timestamptz)
    ), new AS MATERIALIZED (
        SELECT g.*,
               was.text IS NULL OR (coalesce(g.title, was.title), g.text, coalesce(g.steady, was.steady))
                   IS DISTINCT FROM (was.title, was.text, was.steady) AS says,
               coalesce(g.visibility, was.visibility) IS DISTINCT FROM was.visibility AS shows
        FROM given g
        LEFT JOIN LATERAL (
            SELECT q.* FROM (
                SELECT title, text, media, visibility FROM post
                WHERE channel = :channel AND external_id = g.external_id
                UNION ALL
                SELECT title, text, media, visibility FROM context_post
                WHERE channel = :channel AND external_id = g.external_id
                LIMIT 1
            ) AS q
        ) AS p ON true
        LEFT JOIN LATERAL (
            SELECT c.title, c.text, c.media, c.visibility FROM post_change c
            WHERE c.channel = :channel AND c.external_id = g.external_id AND NOT c.deleted
              AND c.changed_at < g.changed_at
            ORDER BY c.changed_at DESC LIMIT 1
        ) AS earlier ON true
        CROSS JOIN LATERAL (
            SELECT coalesce(earlier.title, p.title) AS title, coalesce(earlier.text, p.text) AS text,
                   coalesce(earlier.visibility, p.visibility) AS visibility, coalesce((
                SELECT jsonb_agg(m #- '{poll,votes}' ORDER BY n)
                FROM jsonb_array_elements(coalesce(earlier.media, p.media)) WITH ORDINALITY AS e (m, n)
            ), '[]') AS steady
        ) AS was
        WHERE NOT EXISTS (SELECT 1 FROM post_change c
            WHERE c.channel = :channel AND c.external_id = g.external_id AND c.wiped_at IS NOT NULL)
    ), kept AS (
        INSERT INTO post_change (channel, external_id, deleted, title, text, html, media, visibility, changed_at)
        SELECT :channel, external_id, deleted, title, text, html, media, visibility, changed_at FROM new g
        WHERE CASE
            WHEN deleted THEN NOT EXISTS (SELECT 1 FROM post_change c
                WHERE c.channel = :channel AND c.external_id = g.external_id AND c.deleted)
            ELSE says OR shows
        END
        ORDER BY external_id, changed_at
        ON CONFLICT DO NOTHING
        RETURNING external_id, deleted, changed_at
    )
    SELECT DISTINCT ON (external_id, changed_at, deleted) external_id, deleted, text, says
    FROM kept JOIN new USING (external_id, changed_at, deleted)
    ORDER BY external_id, changed_at, deleted
    """
)

# What of the customer's in these conversations still stands on the channel.
_STANDING = text(
    """
    SELECT DISTINCT p.conversation_id FROM post p
    WHERE p.conversation_id = ANY(CAST(:rooms AS bigint[])) AND NOT p.own AND NOT p.repost
      AND NOT EXISTS (SELECT 1 FROM post_change c
          WHERE c.channel = p.channel AND c.external_id = p.external_id AND c.deleted)
    """
)


@dataclass(frozen=True, slots=True)
class _Told:
    """A change that is new to us, of a post that we hold."""

    post_id: int
    conversation_id: int
    deleted: bool
    text: str
    says: bool  # something else than before; false where only its audience changed


async def keep_changes(session: AsyncSession, feed: Feed, changes: Sequence[PostChange]) -> int:
    """Keep what is new among the changes, and let the open items of their posts know; returns how many were new.

    An edit raises a waiting item by the words it now says, and wakes one that waits for its customer. An item that
    nobody holds is closed when its customer has deleted all they had written.
    """
    if not changes:
        return 0
    posts = await _posts(session, feed.channel, changes)
    lock = text("SELECT 1 FROM conversation WHERE id = ANY(:ids) ORDER BY id FOR UPDATE")
    await session.execute(lock, {"ids": sorted({post.conversation_id for post in posts.values()})})
    bound = {"channel": feed.channel, "rows": storable_json([_row(change) for change in changes])}
    kept = (await session.execute(_KEEP, bound)).all()
    told = [
        _Told(posts[row.external_id].id, posts[row.external_id].conversation_id, row.deleted, row.text, row.says)
        for row in kept
        if row.external_id in posts and not posts[row.external_id].own
    ]
    if told:
        await hear_again(session, [one.post_id for one in told if one.says and not one.deleted])
        await _tell(session, told)
    await _announce_above(session, feed.channel, [row.external_id for row in kept if row.external_id not in posts])
    return len(kept)


async def _announce_above(session: AsyncSession, channel: str, ids: Sequence[str]) -> None:
    """What stands above a conversation changed: desks that show it draw it anew."""
    if ids:
        shown = select(Item.id).join(ContextPost, ContextPost.conversation_id == Item.conversation_id)
        here = (ContextPost.channel == channel) & ContextPost.external_id.in_(ids)
        announce(session, "items", await session.scalars(shown.where(here)))


async def deleted_among(session: AsyncSession, channel: str, ids: Sequence[str]) -> set[str]:
    """Which of these posts, which came just now, were deleted on their channel before they came."""
    told = rows.PostChange
    gone = (
        update(told)
        .where(told.channel == channel, told.external_id.in_(ids), told.deleted)
        .values(wiped_at=None)  # what they say is here only now
        .returning(told.external_id)
    )
    return set(await session.scalars(gone.execution_options(synchronize_session=False)))


async def _posts(session: AsyncSession, channel: str, changes: Sequence[PostChange]) -> Mapping[str, Any]:
    ids = {change.external_id for change in changes}
    known = select(Post.id, Post.external_id, Post.conversation_id, Post.own).where(
        Post.channel == channel, Post.external_id.in_(ids)
    )
    return {row.external_id: row for row in await session.execute(known)}


def _row(change: PostChange) -> dict[str, Any]:
    media = None if change.media is None else [media.told() for media in change.media]
    return {
        "external_id": change.external_id,
        "deleted": change.deleted,
        "title": change.title,
        "text": change.text[:LONGEST_TEXT],
        "html": change.html,
        "media": media,
        "steady": None if media is None else [_steady(one) for one in media],
        "visibility": change.visibility,
        "changed_at": change.changed_at.isoformat(),
    }


def _steady(media: dict[str, Any]) -> dict[str, Any]:
    """Without the votes of a poll."""
    poll = media.get("poll")
    return media | {"poll": {name: part for name, part in poll.items() if name != "votes"}} if poll else media


async def _tell(session: AsyncSession, told: Sequence[_Told]) -> None:
    """Write what happened to each item, in the order of the items' ids, and do what follows from it."""
    rooms = sorted({one.conversation_id for one in told})
    locked = (
        select(Item)
        .where(Item.conversation_id.in_(rooms), Item.state.in_(OPEN_STATES))
        .order_by(Item.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    items = (await session.scalars(locked)).all()
    standing = set(await session.scalars(_STANDING, {"rooms": rooms}))
    queues = {queue.id: queue for queue in await session.scalars(select(Queue))} if items else {}
    for item in items:
        for one in [one for one in told if one.conversation_id == item.conversation_id]:
            verb = Verb.WITHDRAW if one.deleted else Verb.EDIT
            only_shown = {} if one.deleted or one.says else {"visibility": True}
            await record(session, item, verb, FEED, (), why={"post_id": one.post_id, **only_shown})
            if one.says and not one.deleted:
                await _edited(session, item, queues[item.queue_id], one.text)
        if item.conversation_id not in standing and item.state == State.QUEUED:
            await _end(session, item)


async def _edited(session: AsyncSession, item: Item, queue: Queue, said: str) -> None:
    if item.state == State.QUEUED:
        for signal in queue.raises:
            minutes, names = on_arrival([signal], None, "", said)
            if minutes and not set(names) & set(item.raised):
                why = {"signal": names[0], "minutes": minutes}
                rank, raised = item.rank - timedelta(minutes=minutes), [*item.raised, *names]
                item = await alter(session, item, Verb.RAISE, FEED, why=why, rank=rank, raised=raised)
    elif item.state == State.PARKED and item.parked_for == ParkReason.CUSTOMER:
        await wake(session, item, FEED, because=N_("a post was edited"))


async def _end(session: AsyncSession, item: Item) -> None:
    await move(
        session,
        item,
        Verb.CLOSE,
        State.CLOSED,
        FEED,
        why={"because": N_("everything was deleted on the channel")},
        disposition=Disposition.WITHDRAWN,
        ended_at=func.now(),
    )
