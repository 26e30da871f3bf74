"""The outbox: what happens to a reply between the agent's Send and the channel's answer.

held -> queued     its undo time is over; what will be sent is frozen (`prepared`)
queued -> sending  with a new attempt and a lease, committed before the call
sending -> sent | failed | queued (certainly not delivered) | unknown (nobody can tell)
unknown -> sent | queued | unknown for a person, after looking or after a repeat that the channel itself makes safe

Every write after `sending` names its attempt, so a worker that was thought dead cannot undo what came after it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import Connector, Fate, Filled, Link, OutgoingReply, Picture, Sent, Visibility
from app.db import announce
from app.errors import CarelineError, ConnectorError, RateLimited
from app.flow.kept_template import template_of
from app.flow.notices import tell
from app.flow.reopen import requeue
from app.flow.thread import before, let_follow
from app.flow.watch import REPLY, tell_watchers
from app.i18n import N_
from app.models.feed import Feed
from app.models.item import OPEN_STATES, SYSTEM, Item, State, Verb, alter
from app.models.post import Conversation, Post
from app.models.reply import Attachment, Reply, ReplyState
from app.models.together import NoticeKind

LEASE = timedelta(seconds=60)  # longer than the transport lets any call last
LOOK_AFTER = timedelta(seconds=20)  # what was sent may take a while to be seen
MOST_TRIES = 8  # without delivery, then a person decides
MOST_LOOKS = 5
TAKEN = N_(
    "The channel named the place of another reply of ours, so nobody can tell whether this one stands there as well."
)
DUE = (ReplyState.HELD, ReplyState.QUEUED, ReplyState.SENDING, ReplyState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Errand:
    """A reply with the post it answers and the feed that leads back to it."""

    reply: Reply
    post: Post
    feed: Feed | None
    pictures: tuple[Picture, ...] = ()
    after: Mapping[str, Any] = field(default_factory=dict)  # where the part before it stands
    template: Filled | None = None


async def errand(session: AsyncSession, reply_id: int) -> Errand | None:
    """Load a reply whose next step is due, locked; None when there is nothing to do or somebody is at it."""
    due = (
        select(Reply)
        .where(Reply.id == reply_id, Reply.state.in_(DUE), Reply.due_at <= func.now())
        .with_for_update(skip_locked=True)
    )
    reply = await session.scalar(due.execution_options(populate_existing=True))
    if reply is None:
        return None
    post = await session.get_one(Post, reply.post_id)
    feed = await session.get(Feed, post.feed_id) if post.feed_id else None
    pictures, after = await pictures_of(session, reply_id), await before(session, reply_id)
    return Errand(reply, post, feed, pictures, after, await template_of(session, reply_id))


async def pictures_of(session: AsyncSession, reply_id: int) -> tuple[Picture, ...]:
    """What the reply carries, as it was frozen."""
    columns = (Attachment.kind, Attachment.width, Attachment.height, Attachment.alt, Attachment.content)
    found = await session.execute(select(*columns).where(Attachment.reply_id == reply_id).order_by(Attachment.id))
    return tuple(Picture(*row) for row in found)


def outgoing(errand: Errand) -> OutgoingReply:
    """The reply as its connector wants it."""
    reply = errand.reply
    return OutgoingReply(
        key=str(reply.key),
        text=reply.text,
        visibility=Visibility(reply.visibility),
        to=errand.post.ref,
        to_external_id=errand.post.external_id,
        created_at=reply.enqueued_at or reply.created_at,
        prepared=reply.prepared,
        attempted_at=reply.attempted_at,
        pictures=errand.pictures,
        after=dict(errand.after),
        template=errand.template,
        automatic=reply.agent_id is None,
    )


async def enqueue(session: AsyncSession, errand: Errand, connector: Connector, link: Link) -> None:
    """The undo time is over: freeze what will be sent. A connector that refuses it fails the reply for good."""
    reply = errand.reply
    reply.enqueued_at = link.now
    reply.prepared = connector.prepare(link, outgoing(errand))
    reply.state = ReplyState.QUEUED
    await session.flush()
    announce(session, "items", [reply.item_id])


async def take(session: AsyncSession, reply: Reply) -> int:
    """Begin an attempt; commit before the call. Returns its number, the fence of all later writes."""
    reply.state = ReplyState.SENDING
    reply.attempt += 1
    reply.attempted_at = reply.attempted_at or await session.scalar(select(func.clock_timestamp()))
    await _lease(session, reply)
    return reply.attempt


async def look(session: AsyncSession, reply: Reply) -> int:
    """Begin to settle an unknown reply: it stays unknown, under a new attempt and lease."""
    reply.attempt += 1
    await _lease(session, reply)
    return reply.attempt


async def _lease(session: AsyncSession, reply: Reply) -> None:
    await session.flush()
    until = update(Reply).where(Reply.id == reply.id).values(due_at=func.now() + LEASE)
    await session.execute(until.execution_options(synchronize_session=False))
    announce(session, "items", [reply.item_id])


async def doubt(session: AsyncSession, reply: Reply) -> None:
    """The lease of a sending reply ran out: its worker died or hangs, and nobody knows what arrived."""
    reply.state = ReplyState.UNKNOWN
    reply.trouble = N_("The connection broke while it was sent. Careline is looking whether it arrived.")
    await session.flush()
    announce(session, "items", [reply.item_id])


async def give_up(session: AsyncSession, reply: Reply, error: CarelineError) -> None:
    """It cannot even be tried (credentials gone, the connector refuses the text): failed, with the cause.

    One whose fate is unknown stays so, for a person: an earlier try may stand there.
    """
    if reply.state == ReplyState.UNKNOWN:
        await leave_to_person(session, reply.id, reply.attempt, error.message)
        return
    reply.state = ReplyState.FAILED
    reply.due_at = None
    reply.trouble = error.message
    await session.flush()
    announce(session, "items", [reply.item_id])
    await _not_delivered(session, reply)
    await bring_back(session, reply.item_id)


async def postpone(session: AsyncSession, reply: Reply, wait: timedelta) -> None:
    """The credential has to rest: try again when it may be used."""
    later = update(Reply).where(Reply.id == reply.id).values(due_at=func.now() + wait)
    await session.execute(later.execution_options(synchronize_session=False))


async def succeed(session: AsyncSession, reply_id: int, attempt: int, sent: Sent) -> bool:
    """The reply stands on the channel. False when a later attempt has taken over, or the place is another reply's."""
    place = {
        "external_id": sent.external_id,
        "ref": sent.ref,
        "url": sent.url,
        "sent_at": func.coalesce(sent.posted_at, func.now()),
    }
    try:
        async with session.begin_nested():
            stands = await _settle(session, reply_id, attempt, state=ReplyState.SENT, due_at=None, trouble="", **place)
    except IntegrityError:
        await leave_to_person(session, reply_id, attempt, TAKEN)
        return False
    if stands is None:
        return False
    await let_follow(session, reply_id)
    await tell_watchers(session, stands.item_id, REPLY, by=stands.agent_id, said=stands.text)
    item = await session.get_one(Item, stands.item_id, with_for_update=True, populate_existing=True)
    if item.answered_at is None and stands.agent_id is not None:  # what Careline says by itself answers nothing
        await alter(session, item, Verb.ANSWER, SYSTEM, answered_at=func.now(), why={"reply_id": reply_id})
    return True


async def fail(session: AsyncSession, reply_id: int, attempt: int, error: ConnectorError) -> bool:
    """The call went wrong: try again later, give up with the cause, or say that nobody knows."""
    reply = await session.get_one(Reply, reply_id, populate_existing=True)
    if error.delivered is None:
        changes: dict[str, Any] = {"state": ReplyState.UNKNOWN, "due_at": func.now() + LOOK_AFTER}
    elif error.permanent or reply.attempt >= MOST_TRIES:
        changes = {"state": ReplyState.FAILED, "due_at": None}
    else:
        changes = {"state": ReplyState.QUEUED, "due_at": func.now() + pause(reply.attempt, error)}
    settled = await _settle(session, reply_id, attempt, trouble=error.message, **changes)
    if settled is not None and settled.state == ReplyState.FAILED:
        await _not_delivered(session, settled)
        await bring_back(session, settled.item_id)
    return settled is not None


def pause(attempt: int, error: ConnectorError) -> timedelta:
    """How long to wait before the next try: what the channel asks for, else 5 s doubled each time, at most 15 min."""
    if isinstance(error, RateLimited):
        return max(error.retry_after, timedelta(seconds=1))
    return min(timedelta(seconds=5 * 2 ** max(attempt - 1, 0)), timedelta(minutes=15))


async def not_found(session: AsyncSession, reply_id: int, attempt: int) -> bool:
    """We looked, and the reply does not stand there: send it again."""
    return await _settle(session, reply_id, attempt, state=ReplyState.QUEUED, due_at=func.now(), trouble="") is not None


async def leave_to_person(session: AsyncSession, reply_id: int, attempt: int, why: str) -> bool:
    """Nothing more can be found out by us: the desk asks 'Did it arrive?'."""
    trouble = N_("%(why)s Look at the channel: if the reply stands there, say so; if not, send it again.") % {
        "why": why
    }
    settled = await _settle(session, reply_id, attempt, state=ReplyState.UNKNOWN, due_at=None, trouble=trouble)
    if settled is not None:
        await _not_delivered(session, settled)
        await bring_back(session, settled.item_id)
    return settled is not None


async def look_later(session: AsyncSession, reply_id: int, attempt: int, error: ConnectorError) -> bool:
    """Looking failed too: look again later, a few times, then leave it to a person."""
    if attempt >= MOST_TRIES + MOST_LOOKS or (error.permanent and error.delivered is False):
        return await leave_to_person(session, reply_id, attempt, error.message)
    later = func.now() + pause(attempt, error)
    return await _settle(session, reply_id, attempt, state=ReplyState.UNKNOWN, due_at=later) is not None


async def keep_fates(session: AsyncSession, channel: str, fates: Sequence[Fate]) -> None:
    """A channel tells later what became of replies: one that stood fails after all, one in doubt turns out to stand."""
    for fate in fates:
        if fate.reason:
            await _failed_after_all(session, channel, fate)
        elif fate.key:
            await _stands_after_all(session, channel, fate)


async def _failed_after_all(session: AsyncSession, channel: str, fate: Fate) -> None:
    lost = update(Reply).where(
        Reply.channel == channel, Reply.external_id == fate.external_id, Reply.state == ReplyState.SENT
    )
    values = {"state": ReplyState.FAILED, "trouble": fate.reason, "due_at": None}
    found = await session.scalars(lost.values(values).returning(Reply).execution_options(populate_existing=True))
    for reply in found.all():
        announce(session, "items", [reply.item_id])
        await _not_delivered(session, reply)
        await bring_back(session, reply.item_id)


async def _stands_after_all(session: AsyncSession, channel: str, fate: Fate) -> None:
    """By the key that we gave the channel; one that is being sent, or stands already, is left alone."""
    try:
        key = UUID(fate.key)
    except ValueError:
        return
    doubted = select(Reply).where(Reply.key == key, Reply.channel == channel, Reply.state == ReplyState.UNKNOWN)
    reply = await session.scalar(doubted.with_for_update().execution_options(populate_existing=True))
    if reply is not None:
        await succeed(session, reply.id, reply.attempt, Sent(fate.external_id, ref={"id": fate.external_id}))


async def _not_delivered(session: AsyncSession, reply: Reply) -> None:
    """Its writer hears of it, wherever they are."""
    if reply.agent_id is not None:
        await tell(session, [reply.agent_id], NoticeKind.FAILED, reply.item_id, by=None, said=reply.trouble)


async def bring_back(session: AsyncSession, item_id: int) -> None:
    """An item that was closed although its reply did not arrive goes back to its queue, unless another is open."""
    conversation_id = (await session.get_one(Item, item_id)).conversation_id
    # Locked in the order of ingest: the conversation, then the item.
    await session.execute(select(Conversation.id).where(Conversation.id == conversation_id).with_for_update())
    item = await session.get_one(Item, item_id, populate_existing=True, with_for_update=True)
    other = select(Item.id).where(Item.conversation_id == conversation_id, Item.state.in_(OPEN_STATES))
    if item.state == State.CLOSED and await session.scalar(other.limit(1)) is None:
        await requeue(session, item, SYSTEM, because=N_("its reply did not arrive"))


async def _settle(session: AsyncSession, reply_id: int, attempt: int, **changes: Any) -> Reply | None:
    statement = (
        update(Reply)
        .where(
            Reply.id == reply_id,
            Reply.attempt == attempt,
            Reply.state.in_((ReplyState.SENDING, ReplyState.UNKNOWN)),
        )
        .values(changes)
        .returning(Reply)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    settled = (await session.scalars(statement)).one_or_none()
    if settled is not None:
        announce(session, "items", [settled.item_id])
    return settled
