"""Changes of replies that stand on their channels: asked for, committed, then carried out by a worker.

waiting -> waiting (an attempt with a lease, committed before the call) -> done | failed

To repeat such a change is harmless, so nothing has to be found out: whenever the outcome of an attempt is not known
(a broken connection, a dead worker) the same is asked for again. Every write after an attempt names it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import jobs
from app.connectors.base import Picture, Visibility
from app.connectors.base import Standing as Placed
from app.db import announce
from app.errors import Conflict, ConnectorError
from app.flow.notices import tell
from app.flow.outbox import LEASE, MOST_TRIES, pause, pictures_of
from app.i18n import _
from app.models.agent import Agent
from app.models.feed import Feed
from app.models.item import Item, Verb, agent_actor, record
from app.models.post import Post
from app.models.reply import ChangeKind, ChangeState, Reply, ReplyChange, ReplyState
from app.models.together import NoticeKind

# A newer version beside this one may ask for what this one cannot do.
_KNOWN = (ReplyChange.state == ChangeState.WAITING) & ReplyChange.kind.in_(ChangeKind)


@dataclass(frozen=True, slots=True)
class Errand:
    """A change whose next try is due, with the reply and the way to where it stands."""

    change: ReplyChange
    reply: Reply
    post: Post
    feed: Feed | None
    pictures: tuple[Picture, ...]

    @property
    def placed(self) -> Placed:
        """The reply as its connector wants it."""
        return Placed(
            external_id=self.reply.external_id or "",
            ref=self.reply.ref,
            reply_key=str(self.reply.key),
            to=self.post.ref,
            visibility=Visibility(self.reply.visibility),
            key=str(self.change.key),
            asked_at=self.change.asked_at,
            pictures=self.pictures,
        )


async def live_changes(session: AsyncSession, reply_id: int) -> list[ReplyChange]:
    """What was asked for and is done, or waits, oldest first."""
    live = (ReplyChange.reply_id == reply_id) & ReplyChange.state.in_((ChangeState.WAITING, ChangeState.DONE))
    asked = select(ReplyChange).where(live).order_by(ReplyChange.id)
    return list(await session.scalars(asked.execution_options(populate_existing=True)))


def require_settled(changes: Sequence[ReplyChange]) -> None:
    """Raises Conflict: the channel has not answered yet what was asked for before."""
    if any(one.state == ChangeState.WAITING for one in changes):
        raise Conflict(_("A change of this reply is on its way. Wait until the channel has answered."))


async def require_standing(session: AsyncSession, reply: Reply) -> None:
    """Raises Conflict: the reply does not stand on the channel, or there is no way back to it."""
    if reply.state != ReplyState.SENT:
        raise Conflict(_("Only a reply that stands on the channel can be changed there."))
    if reply.external_id is None:
        raise Conflict(_("Careline does not know where this reply stands. Change it on the channel itself."))
    post = await session.get_one(Post, reply.post_id)
    if post.feed_id is None:
        raise Conflict(_("The feed that brought this post was removed, so there is no way back to the reply."))


async def ask(
    session: AsyncSession, agent: Agent, reply: Reply, kind: ChangeKind, text: str | None = None
) -> ReplyChange:
    """Write down what is to be done to a reply, which the caller has locked, and have a worker do it.

    `text` is what an edited one shall say.
    """
    change = ReplyChange(reply_id=reply.id, agent_id=agent.id, kind=kind, text=text, due_at=func.now())
    session.add(change)
    await session.flush()
    await session.refresh(change)
    await jobs.defer(session, jobs.CHANGE, "change_id", [change.id])
    announce(session, "items", [reply.item_id])
    return change


async def due_changes(session: AsyncSession, most: int) -> list[int]:
    """The ids of those whose next try is due."""
    due = select(ReplyChange.id).where(_KNOWN, ReplyChange.due_at <= func.now())
    return list(await session.scalars(due.order_by(ReplyChange.due_at).limit(most)))


async def errand(session: AsyncSession, change_id: int) -> Errand | None:
    """Load a change whose next try is due, locked; None when there is nothing to do or somebody is at it."""
    due = (
        select(ReplyChange)
        .where(ReplyChange.id == change_id, _KNOWN, ReplyChange.due_at <= func.now())
        .with_for_update(skip_locked=True)
    )
    change = await session.scalar(due.execution_options(populate_existing=True))
    if change is None:
        return None
    reply = await session.get_one(Reply, change.reply_id)
    post = await session.get_one(Post, reply.post_id)
    feed = await session.get(Feed, post.feed_id) if post.feed_id else None
    return Errand(change, reply, post, feed, await pictures_of(session, reply.id))


async def take(session: AsyncSession, change: ReplyChange) -> int:
    """Begin an attempt; commit before the call. Returns its number, the fence of all later writes."""
    number = change.attempt + 1
    begun = update(ReplyChange).where(ReplyChange.id == change.id).values(attempt=number, due_at=func.now() + LEASE)
    await session.execute(begun.execution_options(synchronize_session=False))
    return number


async def postpone(session: AsyncSession, change_id: int, wait: timedelta) -> None:
    """The credential has to rest: try when it may be used."""
    later = update(ReplyChange).where(ReplyChange.id == change_id).values(due_at=func.now() + wait)
    await session.execute(later.execution_options(synchronize_session=False))


async def done(session: AsyncSession, change_id: int, attempt: int) -> bool:
    """The channel has done it. False when a later attempt has taken over."""
    change = await _settle(
        session, change_id, attempt, state=ChangeState.DONE, done_at=func.now(), due_at=None, trouble=""
    )
    if change is None:
        return False
    reply = await session.get_one(Reply, change.reply_id, with_for_update=True, populate_existing=True)
    if change.kind == ChangeKind.EDIT and change.text is not None:
        change.was, reply.text = reply.text, change.text
    item = await session.get_one(Item, reply.item_id, with_for_update=True, populate_existing=True)
    why = {"reply_id": reply.id, "change_id": change.id}
    verb = Verb.AMEND if change.kind == ChangeKind.EDIT else Verb.RETRACT
    await record(session, item, verb, agent_actor(change.agent_id), (), why=why)
    return True


async def fail(session: AsyncSession, change_id: int, attempt: int, error: ConnectorError) -> bool:
    """It went wrong: try again later, or give up with the cause. False when a later attempt has taken over.

    Who asked for it hears that it will not happen, wherever they are.
    """
    later: dict[str, Any] = {"due_at": func.now() + pause(attempt, error)}
    if error.permanent or attempt >= MOST_TRIES:
        later = {"state": ChangeState.FAILED, "due_at": None}
    settled = await _settle(session, change_id, attempt, trouble=error.message, **later)
    if settled is not None and settled.state == ChangeState.FAILED:
        item_id = (await session.get_one(Reply, settled.reply_id)).item_id
        told = {"what": settled.kind}
        await tell(session, [settled.agent_id], NoticeKind.FAILED, item_id, by=None, said=error.message, why=told)
    return settled is not None


async def _settle(session: AsyncSession, change_id: int, attempt: int, **values: Any) -> ReplyChange | None:
    statement = (
        update(ReplyChange)
        .where(ReplyChange.id == change_id, ReplyChange.attempt == attempt, ReplyChange.state == ChangeState.WAITING)
        .values(values)
        .returning(ReplyChange)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    settled = (await session.scalars(statement)).one_or_none()
    if settled is not None:
        reply = await session.get_one(Reply, settled.reply_id)
        announce(session, "items", [reply.item_id])
    return settled
