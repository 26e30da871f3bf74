"""Rehear: posts of before are listened to again when a better version of `app.listening` came, oldest first.

A walk in small steps, each a transaction that moves a mark; whoever takes the next step goes on from there, so nothing
is lost with a worker. When the walk has come to the newest posts it follows them at a distance: a post that an older
program stored without listening is heard soon after. `version` and `heard_to` of `listening` are its progress.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import func, select, text, true, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.flow.hear import Spoken, forget, hear_posts
from app.listening.heard import VERSION
from app.models.change import newest_version
from app.models.post import Post
from app.models.signal import Listening, Signal

AT_ONCE = 100  # posts of one step: 30 ms in which the worker does nothing else
SETTLED = "1 minute"  # a post that came just now is being heard by who stored it

_NEXT = text(
    """
    SELECT p.id FROM post p
    WHERE p.id > :heard_to AND p.received_at < now() - CAST(:settled AS interval)
    ORDER BY p.id LIMIT :most
    """
).bindparams(settled=SETTLED, most=AT_ONCE)

_NEWEST = text(
    "SELECT id FROM post WHERE received_at < now() - CAST(:settled AS interval) ORDER BY id DESC LIMIT 1"
).bindparams(settled=SETTLED)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the walk has come: both in posts, by the order in which they came."""

    done: int
    all: int

    @property
    def share(self) -> int:
        """Per cent."""
        return 100 if self.done >= self.all else 100 * self.done // self.all


async def rehear(session: AsyncSession) -> int:
    """Take one step; returns how many posts were looked at, 0 also when somebody else takes it."""
    taken = select(Listening).with_for_update(skip_locked=True).execution_options(populate_existing=True)
    mark = await session.scalar(taken)
    if mark is None or mark.version > VERSION:  # a newer program is at it
        return 0
    if mark.version < VERSION:
        mark.version, mark.heard_to = VERSION, 0
    ids = list(await session.scalars(_NEXT, {"heard_to": mark.heard_to}))
    if not ids:
        return 0
    await hear_again(session, await _older(session, ids))
    mark.heard_to = ids[-1]
    await session.flush()
    return len(ids)


async def start_over(session: AsyncSession) -> None:
    """Let the walk begin anew: what the company tells of itself has changed."""
    await session.execute(update(Listening).values(heard_to=0, tuned_at=func.now()))


async def progress(session: AsyncSession) -> Progress:
    """How far the walk has come. Post ids have gaps, so this is a share and no count."""
    mark = await session.get(Listening, 1)
    newest = await session.scalar(_NEWEST) or 0
    if mark is None or mark.version != VERSION:
        return Progress(0, newest)
    return Progress(mark.heard_to, newest)


async def hear_again(session: AsyncSession, post_ids: Collection[int]) -> None:
    """Listen again to what these posts say now (they may have been edited), and let the search know."""
    if not post_ids:
        return
    newest = newest_version()
    now_said = (
        select(
            Post.id,
            func.coalesce(newest.c.title, Post.title),
            func.coalesce(newest.c.text, Post.text),
            Post.language,
        )
        .outerjoin(newest, true())
        .where(Post.id.in_(post_ids), ~Post.own)
        .order_by(Post.id)
    )
    posts = [Spoken(*row) for row in await session.execute(now_said)]
    wiped = [post.post_id for post in posts if not post.whole]
    if wiped:
        await forget(session, wiped)
    await hear_posts(session, [post for post in posts if post.whole])
    listed = text("INSERT INTO search_pending (kind, ref_id) SELECT 'post', unnest(CAST(:ids AS bigint[]))")
    await session.execute(listed, {"ids": sorted(post_ids)})


async def _older(session: AsyncSession, ids: Collection[int]) -> list[int]:
    """Those of the posts that this version has not heard, or not since the company told of itself."""
    tuned = select(Listening.tuned_at).scalar_subquery()
    known = select(Signal.post_id).where(Signal.post_id.in_(ids), Signal.version >= VERSION, Signal.heard_at >= tuned)
    fresh = set(await session.scalars(known))
    return [one for one in ids if one not in fresh]
