"""What was said in a conversation and what happened to it, part by part: posts, replies, notes and events."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import registry
from app.connectors.base import Capabilities, Label, Visibility
from app.errors import NotFound
from app.models.account import Account
from app.models.agent import Agent, Role
from app.models.change import PostChange
from app.models.event import Event
from app.models.item import Item
from app.models.post import Author, Post
from app.models.reply import ChangeKind, ChangeState, Note, Reply, ReplyChange, ReplyPart, ReplyState
from app.models.sight import sees
from app.models.together import Mention
from app.models.translation import Translation
from app.queries.attachments import Attached, of_replies
from app.queries.together import Asked

POSTS = 200  # of a conversation that are shown at once
EVENTS = 300


@dataclass(frozen=True, slots=True)
class Version:
    """What a post said before it was edited, and from when."""

    at: datetime
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Translated:
    """What a machine made of a post. `source` is the language it was in; empty when nobody knows."""

    language: str
    source: str
    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """One thing in the thread. `kind` is post, own, reply, note, or context (above what came to us)."""

    kind: str
    id: int
    at: datetime
    who_id: int | None
    who: str
    handle: str
    text: str
    visibility: str = ""
    title: str = ""
    html: str | None = None
    url: str | None = None
    language: str | None = None
    media: tuple[Mapping[str, Any], ...] = ()
    post_kind: str = ""
    state: str = ""
    trouble: str = ""
    due_at: datetime | None = None
    mine: bool = False
    edited_at: datetime | None = None
    earlier: tuple[Version, ...] = ()  # what it said before, newest first
    deleted_at: datetime | None = None  # on the channel
    wiped: bool = False  # what it had said is not kept
    pictures: tuple[Attached, ...] = ()  # of a reply of ours
    account: str = ""  # under which a reply of ours went out
    named: frozenset[str] = frozenset()  # colleagues, as a note of ours may name them
    editable: bool = False  # a reply of ours that the reader may have edited on the channel
    deletable: bool = False  # or deleted
    change_kind: str = ""  # of an edit or deletion of a reply of ours that is waiting, or failed
    change_state: str = ""
    change_trouble: str = ""
    part: tuple[int, int] | None = None  # which post of a thread of ours it is, and of how many
    hidden: bool = False  # on the channel, by us or there
    hideable: bool = False  # the reader may have it hidden, or shown again
    hide_state: str = ""  # of what was asked: waiting, failed
    hide_trouble: str = ""
    translated: Translated | None = None  # into the reader's language
    labels: tuple[Label, ...] = ()  # of the channel's moderation, or the author
    personal: tuple[str, ...] = ()  # kinds of personal data that it holds and should not
    masked: bool = False  # what is personal in it is not shown to the reader

    @property
    def whole(self) -> str:
        """Its title and its text, as they are translated."""
        return "\n\n".join(part for part in (self.title.strip(), self.text.strip()) if part)

    @property
    def digest(self) -> bytes:
        """What tells this version from others."""
        return hashlib.sha256(self.whole.encode(errors="surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class Happened:
    """Events between two things that were said, folded into one line."""

    events: tuple[Event, ...]

    @property
    def at(self) -> datetime:
        """When the first of them happened."""
        return self.events[0].at


@dataclass(frozen=True, slots=True)
class Who:
    """An author of the conversation."""

    id: int
    channel: str
    name: str
    handle: str
    url: str | None
    avatar: bool
    followers: int | None


Place = tuple[datetime, int]  # of a post in its conversation: `posted_at`, `id`


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a conversation is shown: from the post `first` on, up to just before the post `until`."""

    first: Place | None = None  # None: from its beginning
    until: Place | None = None  # None: up to now

    def holds(self, at: datetime) -> bool:
        """Whether something other than a post stands in this part."""
        return (self.first is None or at >= self.first[0]) and (self.until is None or at < self.until[0])


async def posts(
    session: AsyncSession, item: Item, until: Place | None
) -> tuple[list[tuple[Said, str]], dict[int, Who], Window]:
    """A part of the conversation's posts with their ids on the channel, who wrote them, and which part it is."""
    newest = (
        select(Post, Author)
        .join(Author, Author.id == Post.author_id)
        .where(Post.conversation_id == item.conversation_id)
        .order_by(Post.posted_at.desc(), Post.id.desc())
        .limit(POSTS + 1)
    )
    if until is not None:
        newest = newest.where(tuple_(Post.posted_at, Post.id) < tuple_(*until))
    found = (await session.execute(newest)).all()
    shown = found[:POSTS]
    changes = await told_changes(session, item.channel, [post.external_id for post, _author in shown])
    said = [(_said(post, author, changes.get(post.external_id, ())), post.external_id) for post, author in shown]
    authors = {author.id: _who(author) for post, author in reversed(found) if not post.own}
    first = (shown[-1][0].posted_at, shown[-1][0].id) if len(found) > POSTS else None
    return said, authors, Window(first, until)


async def one_post(
    session: AsyncSession, post_id: int, queues: Select[Any], reader_id: int, language: str
) -> Said | None:
    """A post as it stands, with its translation, in a conversation that the reader may see; None when they may not."""
    seen = select(Item.id).where(Item.conversation_id == Post.conversation_id, sees(reader_id, queues))
    asked = select(Post, Author).join(Author, Author.id == Post.author_id).where(Post.id == post_id, seen.exists())
    found = (await session.execute(asked)).one_or_none()
    if found is None:
        return None
    changes = await told_changes(session, found[0].channel, [found[0].external_id])
    return (await with_translations(session, [_said(*found, changes.get(found[0].external_id, ()))], language))[0]


async def with_translations(session: AsyncSession, told: Sequence[Said], language: str) -> list[Said]:
    """The same posts, with what a machine made in this language of what they say now."""
    wanted = select(Translation).where(
        Translation.post_id.in_([one.id for one in told]), Translation.language == language
    )
    found = {one.post_id: one for one in await session.scalars(wanted)} if told else {}
    return [
        replace(one, translated=Translated(language, found[one.id].source, found[one.id].text))
        if one.id in found and found[one.id].digest == one.digest
        else one
        for one in told
    ]


async def told_changes(session: AsyncSession, channel: str, ids: Sequence[str]) -> dict[str, list[PostChange]]:
    """What became of these posts, oldest first."""
    told = select(PostChange).where(PostChange.channel == channel, PostChange.external_id.in_(ids))
    found: dict[str, list[PostChange]] = defaultdict(list)
    for change in await session.scalars(told.order_by(PostChange.changed_at, PostChange.id)):
        found[change.external_id].append(change)
    return found


def _said(post: Post, author: Author, changes: Sequence[PostChange]) -> Said:
    return as_changed(_original(post, author), changes)


def as_changed(original: Said, changes: Sequence[PostChange]) -> Said:
    """A post as it stands after these changes, oldest first."""
    deleted = next((change for change in changes if change.deleted), None)
    edits = [change for change in changes if not change.deleted]
    said, earlier = original, list[Version]()
    for edit in edits:
        said = replace(said, visibility=edit.visibility or said.visibility)
        title = said.title if edit.title is None else edit.title
        media = said.media if edit.media is None else tuple(edit.media)
        if edit.visibility and (title, edit.text, media) == (said.title, said.text, said.media):
            continue  # only who can read it changed
        earlier.insert(0, Version(said.edited_at or said.at, said.title, said.text))
        at = min(edit.changed_at, edit.seen_at)
        said = replace(said, title=title, text=edit.text, html=edit.html, media=media, edited_at=at)
    gone = min(deleted.changed_at, deleted.seen_at) if deleted else None
    return replace(said, earlier=tuple(earlier), deleted_at=gone, wiped=bool(deleted and deleted.wiped_at))


def _original(post: Post, author: Author) -> Said:
    return Said(
        kind="own" if post.own else "post",
        id=post.id,
        at=post.posted_at,
        who_id=author.id,
        who=author.name or author.handle,
        handle=author.handle,
        text=post.text,
        visibility=post.visibility,
        title=post.title,
        html=post.html,
        url=post.url,
        language=post.language,
        media=tuple(post.media),
        post_kind=post.kind,
        labels=labels_of(post.channel, post.ref),
    )


def labels_of(channel: str, ref: Mapping[str, Any]) -> tuple[Label, ...]:
    """What a channel's moderation says of a post, as far as its connector can tell."""
    try:
        return registry.get(channel).labels(dict(ref))
    except NotFound:
        return ()  # its package is gone; what it brought is still read


def _who(author: Author) -> Who:
    avatar = bool(author.avatar_url)
    return Who(
        author.id, author.channel, author.name or author.handle, author.handle, author.url, avatar, author.followers
    )


async def author(session: AsyncSession, author_id: int) -> Who:
    """An author by id."""
    return _who(await session.get_one(Author, author_id))


async def replies(session: AsyncSession, item: Item, reader: Agent) -> tuple[list[Said], set[str]]:
    """Our replies, and the ids under which they stand on the channel."""
    ours = (
        select(Reply, Agent.name, Item.agent_id, Account.name, Post.ref)
        .join(Item, Item.id == Reply.item_id)
        .join(Post, Post.id == Reply.post_id)
        .outerjoin(Agent, Agent.id == Reply.agent_id)
        .outerjoin(Account, Account.id == Reply.account_id)
        .where(Reply.conversation_id == item.conversation_id, Reply.state != ReplyState.DRAFT)
        .order_by(Reply.id)
    )
    found = (await session.execute(ours)).all()
    ids = [row[0].id for row in found]
    pictures = await of_replies(session, ids)
    parts, changes = await _parts(session, ids), await _reply_changes(session, ids)
    said = []
    for reply, name, holder_id, account, ref in found:
        one = Said(
            kind="reply",
            id=reply.id,
            at=reply.sent_at or reply.enqueued_at or reply.created_at,
            who_id=reply.agent_id,
            who=name or "Careline",
            handle="",
            text=reply.text,
            visibility=reply.visibility,
            url=reply.url,
            state=reply.state,
            trouble=reply.trouble,
            due_at=reply.due_at,
            mine=reply.agent_id == reader.id,
            pictures=pictures.get(reply.id, ()),
            part=parts.get(reply.id),
            account=account or "",
        )
        may = reader.id in {reply.agent_id, holder_id} or reader.is_at_least(Role.SUPERVISOR)
        known = may and reply.state == ReplyState.SENT and reply.external_id is not None
        said.append(
            _changed(
                one,
                changes.get(reply.id, ()),
                registry.get(reply.channel).able(ref, Visibility(reply.visibility)),
                may=known,
            )
        )
    return said, {row[0].external_id for row in found if row[0].external_id}


def _changed(one: Said, changes: Sequence[ReplyChange], can: Capabilities, *, may: bool) -> Said:
    """A reply with what was done to it on the channel, and what the reader may do."""
    done = [told for told in changes if told.state == ChangeState.DONE and told.done_at is not None]
    gone = next((told.done_at for told in done if told.kind == ChangeKind.DELETE), None)
    edits = [told for told in done if told.kind == ChangeKind.EDIT]
    began = [one.at, *(told.done_at or one.at for told in edits)]  # when it came to say what it said
    earlier = [Version(at, "", told.was or "") for at, told in zip(began, edits, strict=False)]
    newest = changes[-1] if changes and changes[-1].state != ChangeState.DONE else None
    free = may and gone is None and (newest is None or newest.state == ChangeState.FAILED)
    return replace(
        one,
        edited_at=began[-1] if edits else None,
        earlier=tuple(reversed(earlier)),
        deleted_at=gone,
        editable=free and can.edit,
        deletable=free and can.delete,
        change_kind=newest.kind if newest else "",
        change_state=newest.state if newest else "",
        change_trouble=newest.trouble if newest else "",
    )


async def _reply_changes(session: AsyncSession, reply_ids: list[int]) -> dict[int, list[ReplyChange]]:
    """What was done to these replies after they were sent, oldest first."""
    found: dict[int, list[ReplyChange]] = defaultdict(list)
    if reply_ids:
        asked = select(ReplyChange).where(ReplyChange.reply_id.in_(reply_ids))
        for change in await session.scalars(asked.order_by(ReplyChange.id)):
            found[change.reply_id].append(change)
    return found


async def _parts(session: AsyncSession, reply_ids: list[int]) -> dict[int, tuple[int, int]]:
    asked = select(ReplyPart).where(ReplyPart.reply_id.in_(reply_ids))
    return {one.reply_id: (one.position, one.parts) for one in await session.scalars(asked)} if reply_ids else {}


async def notes(session: AsyncSession, item: Item, reader_id: int) -> list[Said]:
    """The notes of all items of the conversation."""
    written = (
        select(Note, Agent.name)
        .join(Agent, Agent.id == Note.agent_id)
        .join(Item, Item.id == Note.item_id)
        .where(Item.conversation_id == item.conversation_id)
    )
    found = (await session.execute(written)).all()
    named = await _named(session, [row[0].id for row in found])
    return [
        Said(
            kind="note",
            id=note.id,
            at=note.created_at,
            who_id=note.agent_id,
            who=name,
            handle="",
            text=note.text,
            mine=note.agent_id == reader_id,
            named=frozenset(named.get(note.id, ())),
        )
        for note, name in found
    ]


async def _named(session: AsyncSession, note_ids: list[int]) -> dict[int, set[str]]:
    """Of each note the names, and beginnings of mail addresses, of the colleagues it names (see `app.flow.mention`)."""
    asked = (
        select(Mention.note_id, Agent.name, Agent.email)
        .join(Agent, Agent.id == Mention.agent_id)
        .where(Mention.note_id.in_(note_ids))
    )
    named: dict[int, set[str]] = defaultdict(set)
    for note_id, name, email in await session.execute(asked) if note_ids else ():
        named[note_id] |= {name, email.partition("@")[0]}
    return named


async def events(session: AsyncSession, item: Item, window: Window) -> list[Event]:
    """What happened to the items of the conversation in a part of it."""
    happened = (
        select(Event)
        .join(Item, Item.id == Event.item_id)
        .where(Item.conversation_id == item.conversation_id)
        .order_by(Event.id.desc())
        .limit(EVENTS)
    )
    if window.until is not None:
        happened = happened.where(Event.at < window.until[0])
    return [event for event in reversed((await session.scalars(happened)).all()) if window.holds(event.at)]


def woven(told: Iterable[Said | Asked], events: Iterable[Event]) -> tuple[Said | Asked | Happened, ...]:
    """Everything in order of time, with neighbouring events folded into one entry."""
    in_order: list[Said | Asked | Event] = sorted(
        [*told, *events], key=lambda one: (one.at, isinstance(one, Event), one.id)
    )
    woven: list[Said | Asked | Happened] = []
    for one in in_order:
        if isinstance(one, Said | Asked):
            woven.append(one)
        elif woven and isinstance(woven[-1], Happened):
            woven[-1] = Happened((*woven[-1].events, one))
        else:
            woven.append(Happened((one,)))
    return tuple(woven)
