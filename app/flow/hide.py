"""Hide: a post is hidden on its channel, or shown again. Asked for, committed, then carried out by a worker.

To repeat it is harmless, so an attempt whose outcome nobody knows is simply made again. Every write after an attempt
names it; who changes their mind while one is under way waits for the end of its lease.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import jobs
from app.connectors import registry
from app.connectors.base import Hiding, KnownPost
from app.db import announce
from app.errors import Conflict, ConnectorError, NotFound
from app.flow.outbox import LEASE, MOST_TRIES, pause
from app.flow.visibility import held_item, visible_item
from app.i18n import _
from app.models.agent import Agent, Role
from app.models.feed import Feed
from app.models.hiding import PostHiding
from app.models.item import FEED, Actor, Item, Verb, agent_actor, record
from app.models.post import Post

_WAITING = PostHiding.wanted.is_not(None)


@dataclass(frozen=True, slots=True)
class Errand:
    """A hiding whose next try is due, and the way to where its post stands."""

    hiding: PostHiding
    post: Post
    feed: Feed | None

    @property
    def known(self) -> KnownPost:
        """The post as its connector wants it."""
        return KnownPost(self.post.external_id, self.post.ref)


async def hide(session: AsyncSession, agent: Agent, post_id: int, *, hidden: bool) -> PostHiding:
    """Have a post hidden on its channel, or shown again. The agent holds its item, or supervises its queue.

    Raises:
        NotFound: there is no such post, or it is not for their eyes.
        Conflict: somebody else holds it, or the channel does not let us hide this post.
    """
    post = await session.get(Post, post_id)
    if post is None:
        raise NotFound(_("There is no such post, or you may not see it."))
    item = await _newest_item(session, post.conversation_id)
    await (visible_item if agent.is_at_least(Role.SUPERVISOR) else held_item)(session, agent, item.id)
    if post.own or post.feed_id is None or not registry.get(post.channel).hideable(post.ref):
        raise Conflict(_("This channel does not let us hide this post. Open it and hide it there."))
    await _ask(session, agent, post_id, hidden=hidden)
    await jobs.defer(session, jobs.HIDE, "post_id", [post_id])
    announce(session, "items", [item.id])
    return await session.get_one(PostHiding, post_id, populate_existing=True)


async def _newest_item(session: AsyncSession, conversation_id: int) -> Item:
    """The item that a post's conversation is about now. Raises NotFound: nobody was ever asked to answer it."""
    newest = select(Item).where(Item.conversation_id == conversation_id).order_by(Item.id.desc()).limit(1)
    item = await session.scalar(newest)
    if item is None:
        raise NotFound(_("There is no such post, or you may not see it."))
    return item


async def _ask(session: AsyncSession, agent: Agent, post_id: int, *, hidden: bool) -> None:
    """Write down what is wanted, unless it stands so, or is on its way to."""
    asked = {"wanted": hidden, "agent_id": agent.id, "asked_at": func.now(), "trouble": ""}
    statement = insert(PostHiding).values(post_id=post_id, due_at=func.now(), **asked)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[PostHiding.post_id],
            set_={
                **asked,
                "attempt": PostHiding.attempt + 1,
                "tries": 0,
                "due_at": func.greatest(PostHiding.due_at, func.now()),
            },
            where=func.coalesce(PostHiding.wanted, PostHiding.hidden) != hidden,
        )
    )


async def due_hidings(session: AsyncSession, most: int) -> list[int]:
    """The posts whose next try is due."""
    due = select(PostHiding.post_id).where(_WAITING, PostHiding.due_at <= func.now())
    return list(await session.scalars(due.order_by(PostHiding.due_at).limit(most)))


async def errand(session: AsyncSession, post_id: int) -> Errand | None:
    """Load a hiding whose next try is due, locked; None when there is nothing to do or somebody is at it."""
    due = (
        select(PostHiding)
        .where(PostHiding.post_id == post_id, _WAITING, PostHiding.due_at <= func.now())
        .with_for_update(skip_locked=True)
    )
    hiding = await session.scalar(due.execution_options(populate_existing=True))
    if hiding is None:
        return None
    post = await session.get_one(Post, post_id)
    return Errand(hiding, post, await session.get(Feed, post.feed_id) if post.feed_id else None)


async def take(session: AsyncSession, hiding: PostHiding) -> int:
    """Begin an attempt; commit before the call. Returns its number, the fence of all later writes."""
    number = hiding.attempt + 1
    begun = update(PostHiding).where(PostHiding.post_id == hiding.post_id)
    await session.execute(
        begun.values(attempt=number, tries=PostHiding.tries + 1, due_at=func.now() + LEASE).execution_options(
            synchronize_session=False
        )
    )
    return number


async def postpone(session: AsyncSession, post_id: int, wait: timedelta) -> None:
    """The credential has to rest: try when it may be used."""
    later = update(PostHiding).where(PostHiding.post_id == post_id).values(due_at=func.now() + wait)
    await session.execute(later.execution_options(synchronize_session=False))


async def done(session: AsyncSession, post_id: int, attempt: int) -> bool:
    """The channel has done it. False when somebody changed their mind meanwhile, or a later attempt has taken over."""
    values = {"hidden": PostHiding.wanted, "wanted": None, "due_at": None, "done_at": func.now(), "trouble": ""}
    settled = await _settle(session, post_id, attempt, **values)
    if settled is None:
        return False
    actor = agent_actor(settled.agent_id) if settled.agent_id is not None else FEED
    await _tell(session, post_id, actor, hidden=settled.hidden)
    return True


async def fail(session: AsyncSession, post_id: int, attempt: int, error: ConnectorError) -> bool:
    """It went wrong: try again later, or give up with the cause. False when a later attempt has taken over."""
    tries = (await session.get_one(PostHiding, post_id, populate_existing=True)).tries
    later: dict[str, Any] = {"due_at": func.now() + pause(tries, error)}
    if error.permanent or tries >= MOST_TRIES:
        later = {"wanted": None, "due_at": None}
    settled = await _settle(session, post_id, attempt, trouble=error.message, **later)
    if settled is not None:
        item = await _newest_item(session, (await session.get_one(Post, post_id)).conversation_id)
        announce(session, "items", [item.id])
    return settled is not None


async def _settle(session: AsyncSession, post_id: int, attempt: int, **values: Any) -> PostHiding | None:
    statement = (
        update(PostHiding)
        .where(PostHiding.post_id == post_id, PostHiding.attempt == attempt, _WAITING)
        .values(values)
        .returning(PostHiding)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return (await session.scalars(statement)).one_or_none()


async def _tell(session: AsyncSession, post_id: int, actor: Actor, *, hidden: bool) -> None:
    item = await _newest_item(session, (await session.get_one(Post, post_id)).conversation_id)
    locked = await session.get_one(Item, item.id, with_for_update=True, populate_existing=True)
    await record(session, locked, Verb.HIDE if hidden else Verb.SHOW, actor, (), why={"post_id": post_id})


async def keep_hidings(session: AsyncSession, feed: Feed, told: Sequence[Hiding]) -> None:
    """Somebody hid posts on the channel itself, or showed them. What we are about to do there ourselves is not news."""
    newest = {one.external_id: one for one in sorted(told, key=lambda one: one.at)}
    if not newest:
        return
    known = select(Post.id, Post.external_id, PostHiding.post_id.label("known")).outerjoin(
        PostHiding, PostHiding.post_id == Post.id
    )
    posts = await session.execute(known.where(Post.channel == feed.channel, Post.external_id.in_(newest)))
    for post in posts.all():
        one = newest[post.external_id]
        if one.hidden or post.known is not None:
            await _keep(session, post.id, one)


async def _keep(session: AsyncSession, post_id: int, told: Hiding) -> None:
    values = {"hidden": told.hidden, "agent_id": None, "done_at": told.at, "trouble": ""}
    changed = await session.scalar(
        insert(PostHiding)
        .values(post_id=post_id, **values)
        .on_conflict_do_update(
            index_elements=[PostHiding.post_id],
            set_=values,
            where=PostHiding.wanted.is_(None) & (PostHiding.hidden != told.hidden),
        )
        .returning(PostHiding.post_id)
    )
    if changed is not None:
        await _tell(session, post_id, FEED, hidden=told.hidden)
