"""Reply: what an agent wrote goes out, after a moment in which it can be taken back.

The composer's `key` makes it once: a form sent twice finds its reply already on the way.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import jobs
from app.connectors import registry
from app.connectors.base import Visibility
from app.connectors.length import fits, left
from app.db import announce
from app.errors import Conflict, Invalid
from app.flow.answerable import Answerable, answerable
from app.flow.claim import claim
from app.flow.close import close
from app.flow.draft import carries, move_pictures
from app.flow.kept_template import forget_template
from app.flow.placeholders import refuse_blanks
from app.flow.preferences import preferences
from app.flow.reopen import requeue
from app.flow.take_along import take_along
from app.flow.thread import hold_parts, let_follow, numbered_text, parts_of, take_back_rest, written
from app.flow.visibility import held_item, own_reply, visible_item
from app.i18n import N_, _, ngettext
from app.listening.clean import matchable, storable
from app.models.agent import Agent
from app.models.item import Disposition, Item, State, agent_actor
from app.models.post import Post
from app.models.queue import Queue
from app.models.reply import Reply, ReplyState

OTHER_WORDS = N_(
    "This reply was sent from another window, in other words. Nothing was sent again; copy what you wrote, if it still"
    " has to be said."
)
WHITE = " \t\r\n"


async def reply(
    session: AsyncSession,
    agent: Agent,
    item_id: int,
    text: str,
    visibility: str,
    *,
    key: UUID | None = None,
    then_close: Disposition | None = None,
    pictures: Sequence[int] | None = None,
    thread: bool = False,
    numbered: bool = False,
    account_id: int | None = None,
) -> Reply:
    """Hold a reply for the queue's undo time, after which the outbox sends it. The agent must hold the item.

    `pictures` are the ids of those that its writer saw beside it (None: whatever its draft has). As a `thread` a text
    that is too long for one post goes out as several, `numbered` or not; the first of them is returned. The agent's
    signature is put behind. `account_id` is who of us answers (None: who was addressed).

    Raises:
        NotFound, Conflict: see `held_item` and `answerable`; or the item is not active.
        Invalid: empty, too long for the channel, wider than the post that is answered, or by an account that cannot.
    """
    key = key or uuid4()
    known = await session.scalar(select(Reply).where(Reply.key == key, Reply.state != ReplyState.DRAFT))
    if known is not None:
        await own_reply(session, agent, known.id)
        said, wrote = storable(text).strip(), await written(session, known.id)
        queue = await queue_of(session, known.item_id)
        if said not in {known.text, wrote} and signed(agent, queue, said) != known.text:
            raise Conflict(_(OTHER_WORDS))
        return known
    item = await held_item(session, agent, item_id)
    if item.state != State.ACTIVE:
        raise Conflict(
            _("Item %(item_id)s is not in progress (%(state)s). Wake it before you answer.")
            % {"item_id": item_id, "state": State(item.state).words}
        )
    way = await answerable(session, item)
    way = replace(way, account_id=way.answering(account_id))
    queue = await queue_of(session, item_id)
    sources = [storable(text).strip()]
    if thread:
        sources = pieces(agent, queue, item.channel, sources[0], way, numbered=numbered)
    first = numbered_text(sources[0], 1, len(sources), numbered=numbered)
    body = checked(item.channel, first if len(sources) > 1 else signed(agent, queue, first), visibility, way)
    held = await hold(session, agent, item, way, key=key, text=body, visibility=visibility, then_close=then_close)
    if len(sources) > 1:
        await hold_parts(session, held, sources, numbered=numbered, tail=signed(agent, queue, ""))
    await take_along(session, agent, held, pictures)
    await _forget_the_same(session, held)
    if then_close is not None:
        await close(session, agent, item_id, then_close)
    announce(session, "items", [item.id])
    return held


async def queue_of(session: AsyncSession, item_id: int) -> Queue:
    """The queue of an item: its settings hold for what is written there."""
    return await session.get_one(Queue, (await session.get_one(Item, item_id)).queue_id)


def signed(agent: Agent, queue: Queue, text: str) -> str:
    """A text with its writer's signature; an empty text gives what is put behind others.

    It is what they have set themselves, or their initials (`^FE`) where the queue signs replies.
    """
    mark = preferences(agent).signature or (f"^{agent.initials}" if queue.sign_replies else "")
    return text if not mark or text.endswith(mark) else f"{text} {mark}"


def pieces(agent: Agent, queue: Queue, channel: str, text: str, way: Answerable, *, numbered: bool) -> list[str]:
    """The posts that a text goes out as; one where it fits, or where the channel has no threads.

    Raises:
        Invalid: it cannot be cut, or not into a readable number of posts.
    """
    connector = registry.get(channel)
    can, lead = connector.able(way.post.ref), connector.lead(way.post.ref)
    if not can.threads or fits(signed(agent, queue, text), can, lead):
        return [text]
    return parts_of(text, lambda part: fits(part + signed(agent, queue, ""), can, lead), numbered=numbered)


def checked(channel: str, text: str, visibility: str, way: Answerable) -> str:
    """The text as it will be sent.

    Raises:
        Invalid: empty, with a blank still to fill in, too long for the channel, or an audience that it may not have.
    """
    body = _sound(text)
    if visibility not in way.visibilities:
        raise Invalid(
            _("A reply here cannot have this audience. It can be: %(visibilities)s.")
            % {"visibilities": ", ".join(Visibility(one).words for one in way.visibilities)},
            field="visibility",
        )
    return _fitting(channel, body, way.post, Visibility(visibility))


def checked_text(channel: str, text: str, post: Post) -> str:
    """What a reply to this post says, as it will stand. Raises Invalid: empty, with a blank left, or too long."""
    return _fitting(channel, _sound(text), post)


def _sound(text: str) -> str:
    body = storable(text).strip()
    if not matchable(body).strip():
        raise Invalid(_("Write something before you send it."), field="text")
    refuse_blanks(body)
    return body


def _fitting(channel: str, body: str, post: Post, visibility: Visibility | None = None) -> str:
    connector = registry.get(channel)
    room = left(body, connector.able(post.ref, visibility), connector.lead(post.ref))
    if room is not None and room < 0:
        raise Invalid(
            ngettext(
                "The reply is %d character too long for this channel. Shorten it.",
                "The reply is %d characters too long for this channel. Shorten it.",
                -room,
            )
            % -room,
            field="text",
        )
    return body


async def hold(
    session: AsyncSession,
    agent: Agent,
    item: Item,
    way: Answerable,
    *,
    key: UUID,
    text: str,
    visibility: str,
    then_close: Disposition | None,
) -> Reply:
    """Hold what was found in order for the queue's undo time. Raises Conflict: it is on its way already."""
    queue = await session.get_one(Queue, item.queue_id)
    values = {
        "text": text,
        "visibility": visibility,
        "state": ReplyState.HELD,
        "then_close": then_close,
        "post_id": way.post.id,
        "account_id": way.account_id,
        "due_at": func.now() + timedelta(seconds=queue.undo_seconds),
    }
    fixed = {
        "key": key,
        "item_id": item.id,
        "conversation_id": item.conversation_id,
        "agent_id": agent.id,
        "channel": item.channel,
    }
    held = await session.scalar(
        insert(Reply)
        .values(**fixed, **values)
        .on_conflict_do_update(
            index_elements=[Reply.key],
            set_=values,
            where=(Reply.state == ReplyState.DRAFT) & (Reply.agent_id == agent.id) & (Reply.item_id == item.id),
        )
        .returning(Reply)
        .execution_options(populate_existing=True)
    )
    if held is None:
        raise Conflict(_("This reply is on its way already."))
    await jobs.defer(session, jobs.SEND, "reply_id", [held.id], delay=queue.undo_seconds)
    return held


async def _forget_the_same(session: AsyncSession, held: Reply) -> None:
    """A draft of another window goes if it says what was sent, or nothing; any other is kept."""
    same = delete(Reply).where(
        Reply.item_id == held.item_id,
        Reply.agent_id == held.agent_id,
        Reply.state == ReplyState.DRAFT,
        func.btrim(Reply.text, WHITE).in_((held.text, "")),
        ~carries(Reply.id),
    )
    await session.execute(same.execution_options(synchronize_session=False))


async def undo(session: AsyncSession, agent: Agent, reply_id: int) -> Reply:
    """Take a reply back while it is held: it is a draft again, and an item closed with it is in hand again.

    Raises:
        NotFound, Forbidden: not theirs.
        Conflict: it has left, or nobody wrote it.
    """
    found = await own_reply(session, agent, reply_id)
    if found.agent_id is None:
        raise Conflict(_("Careline said this by itself, so there is no draft to go back to."))
    closed_with = found.then_close
    typed = await _newer_draft(session, found)
    back = await _step(session, reply_id, ReplyState.HELD, state=ReplyState.DRAFT, then_close=None, due_at=None)
    if back is None:
        raise Conflict(_("It is too late to undo: the reply has left. Write another one if something is wrong."))
    whole = await take_back_rest(session, reply_id)
    await forget_template(session, reply_id)
    writer = await session.get_one(Agent, found.agent_id)
    tail = signed(writer, await queue_of(session, found.item_id), "")
    said = back.text.removesuffix(tail) if whole is None else whole
    text = f"{said}\n\n{typed}" if typed.strip() else said  # nothing that was typed is lost
    back = await _step(session, reply_id, ReplyState.DRAFT, text=text) or back
    item = await visible_item(session, agent, found.item_id)
    if closed_with is not None and item.state == State.CLOSED:
        await requeue(session, item, agent_actor(agent.id), because=N_("the closing reply was taken back"))
        await claim(session, agent, item.id)
    announce(session, "items", [item.id])
    return back


async def _newer_draft(session: AsyncSession, found: Reply) -> str:
    """What was begun since, to be put behind what comes back; its pictures come along."""
    newer = select(Reply).where(
        Reply.item_id == found.item_id, Reply.agent_id == found.agent_id, Reply.state == ReplyState.DRAFT
    )
    draft = await session.scalar(newer.with_for_update().execution_options(populate_existing=True))
    if draft is None:
        return ""
    await move_pictures(session, draft.id, found.id)
    await session.delete(draft)
    await session.flush()
    return draft.text


async def send_now(session: AsyncSession, agent: Agent, reply_id: int) -> Reply:
    """Do not wait for the undo time to pass.

    Raises:
        NotFound, Forbidden: not theirs.
        Conflict: it has left already, or was taken back.
    """
    found = await own_reply(session, agent, reply_id)
    waits = found.due_at is None  # a post of a thread, for the one before it
    due = None if waits else await _step(session, reply_id, ReplyState.HELD, state=ReplyState.HELD, due_at=func.now())
    if due is None:
        raise Conflict(_("This reply is not held any more."))
    await jobs.defer(session, jobs.SEND, "reply_id", [reply_id])
    return due


async def retry(session: AsyncSession, agent: Agent, reply_id: int) -> Reply:
    """Send a failed reply again, or one whose fate is unknown and that a person knows not to have arrived.

    Raises:
        NotFound, Forbidden: not theirs.
        Conflict: it did not fail.
    """
    found = await own_reply(session, agent, reply_id)
    stuck = ReplyState(found.state)
    if stuck not in {ReplyState.FAILED, ReplyState.UNKNOWN}:
        raise Conflict(_("Only a reply that failed, or whose fate is unknown, can be sent again."))
    # One that no attempt was made for may have failed before it was prepared: it is held, so that it is prepared now.
    to = ReplyState.QUEUED if found.attempt else ReplyState.HELD
    again = await _step(session, reply_id, stuck, state=to, due_at=func.now(), trouble="")
    if again is None:
        raise Conflict(_("The reply's state changed just now. Look at it again."))
    await jobs.defer(session, jobs.SEND, "reply_id", [reply_id])
    announce(session, "items", [found.item_id])
    return again


async def arrived(session: AsyncSession, agent: Agent, reply_id: int, url: str = "") -> Reply:
    """A person has looked: the reply whose fate was unknown stands on the channel.

    Raises:
        NotFound, Forbidden: not theirs.
        Conflict: its fate is known.
    """
    found = await own_reply(session, agent, reply_id)
    place: dict[str, object] = {"url": url or None}
    stands = await _brought_by_a_feed(session, found)
    if stands is not None:
        place = {"url": url or stands.url, "external_id": stands.external_id, "ref": stands.ref}
    settled = await _step(
        session,
        reply_id,
        ReplyState.UNKNOWN,
        state=ReplyState.SENT,
        sent_at=func.now(),
        due_at=None,
        trouble="",
        **place,
    )
    if settled is None:
        raise Conflict(_("The reply's fate is known by now. Look at it again."))
    await let_follow(session, reply_id)
    announce(session, "items", [found.item_id])
    return settled


async def _brought_by_a_feed(session: AsyncSession, reply: Reply) -> Post | None:
    """Our own post that a feed has brought meanwhile and that says what the reply says: then it is shown once."""
    taken = select(Reply.external_id).where(Reply.channel == reply.channel, Reply.external_id.is_not(None))
    ours = select(Post).where(
        Post.conversation_id == reply.conversation_id,
        Post.own,
        Post.text.contains(reply.text, autoescape=True),
        Post.external_id.not_in(taken.where(Reply.conversation_id == reply.conversation_id)),
    )
    return await session.scalar(ours.order_by(Post.id.desc()).limit(1))


async def _step(session: AsyncSession, reply_id: int, seen: ReplyState, **changes: object) -> Reply | None:
    statement = (
        update(Reply)
        .where(Reply.id == reply_id, Reply.state == seen)
        .values(changes)
        .returning(Reply)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return (await session.scalars(statement)).one_or_none()
