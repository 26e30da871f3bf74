"""One conversation as the desk shows it: everything said so far, what happened to it, and who it is about."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.agent import Agent, AgentSkill
from app.models.assignment import Offer
from app.models.event import Event
from app.models.item import OPEN_STATES, Item
from app.models.post import Author, Post
from app.models.queue import Queue
from app.models.reply import Note, Reply, ReplyState
from app.models.rule import Rule
from app.queries.desk import skill_names

POSTS = 200  # the newest posts of a conversation that are shown at once
EVENTS = 300
HISTORY = 12  # other items of the customer


@dataclass(frozen=True, slots=True)
class Said:
    """One thing in the thread: a post of somebody, a reply of ours or a note. `kind` is post, own, reply or note."""

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


@dataclass(frozen=True, slots=True)
class Happened:
    """Events between two things that were said, folded into one line."""

    events: tuple[Event, ...]

    @property
    def at(self) -> datetime:
        """When the first of them happened."""
        return self.events[0].at


@dataclass(frozen=True, slots=True)
class Need:
    """A skill that the item asks for, and how well the reader has it."""

    skill: str
    level: int
    mine: int | None


@dataclass(frozen=True, slots=True)
class Past:
    """Another item of the same customer."""

    item_id: int
    channel: str
    text: str
    state: str
    opened_at: datetime
    holder: str | None


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


@dataclass(frozen=True, slots=True)
class Thread:
    """The conversation around an item."""

    item: Item
    queue: str
    holder: str | None
    author: Who
    authors: tuple[Who, ...]
    entries: tuple[Said | Happened, ...]
    older: bool  # there are posts before the first that is shown
    rule: str | None
    needs: tuple[Need, ...]
    why: Mapping[str, Any] | None  # of the newest offer to the reader
    past: tuple[Past, ...]
    names: Mapping[int, str]  # of agents who appear in events

    @property
    def open(self) -> bool:
        """Whether something is still to be done."""
        return self.item.state in OPEN_STATES

    @property
    def answered(self) -> bool:
        """Whether our first answer is newer than the customer's newest post."""
        posts = [one.at for one in self.entries if isinstance(one, Said) and one.kind == "post"]
        return self.item.answered_at is not None and all(at <= self.item.answered_at for at in posts)


async def thread(session: AsyncSession, reader: Agent, item: Item, queues: Select[Any]) -> Thread:
    """Load the conversation of an item that the reader may see."""
    said, authors, older = await _posts(session, item)
    replies, sent = await _replies(session, item, reader.id)
    told = [one for one, external in said if external not in sent] + replies + await _notes(session, item, reader.id)
    events = await _events(session, item)
    agents = {e.agent_id for e in events} | {e.changes.get("agent_id") for e in events} | {item.agent_id}
    names = await _names(session, agents)
    opener = authors.get(item.author_id) or await _author(session, item.author_id)
    return Thread(
        item=item,
        queue=str(await session.scalar(select(Queue.name).where(Queue.id == item.queue_id))),
        holder=names.get(item.agent_id or 0),
        author=opener,
        authors=tuple({opener.id: opener, **authors}.values()),
        entries=_woven(told, events),
        older=older,
        rule=await session.scalar(select(Rule.name).where(Rule.id == item.rule_id)) if item.rule_id else None,
        needs=await _needs(session, item, reader.id),
        why=await session.scalar(
            select(Offer.why)
            .where(Offer.item_id == item.id, Offer.agent_id == reader.id)
            .order_by(Offer.id.desc())
            .limit(1)
        ),
        past=await _past(session, item, queues),
        names=names,
    )


async def _posts(session: AsyncSession, item: Item) -> tuple[list[tuple[Said, str]], dict[int, Who], bool]:
    newest = (
        select(Post, Author)
        .join(Author, Author.id == Post.author_id)
        .where(Post.conversation_id == item.conversation_id)
        .order_by(Post.posted_at.desc(), Post.id.desc())
        .limit(POSTS + 1)
    )
    found = (await session.execute(newest)).all()
    said = [(_said(post, author), post.external_id) for post, author in found[:POSTS]]
    authors = {author.id: _who(author) for post, author in reversed(found) if not post.own}
    return said, authors, len(found) > POSTS


def _said(post: Post, author: Author) -> Said:
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
    )


def _who(author: Author) -> Who:
    avatar = bool(author.avatar_url)
    return Who(
        author.id, author.channel, author.name or author.handle, author.handle, author.url, avatar, author.followers
    )


async def _author(session: AsyncSession, author_id: int) -> Who:
    return _who(await session.get_one(Author, author_id))


async def _replies(session: AsyncSession, item: Item, reader_id: int) -> tuple[list[Said], set[str]]:
    ours = (
        select(Reply, Agent.name)
        .outerjoin(Agent, Agent.id == Reply.agent_id)
        .where(Reply.conversation_id == item.conversation_id, Reply.state != ReplyState.DRAFT)
        .order_by(Reply.id)
    )
    found = (await session.execute(ours)).all()
    said = [
        Said(
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
            mine=reply.agent_id == reader_id,
        )
        for reply, name in found
    ]
    return said, {reply.external_id for reply, _ in found if reply.external_id}


async def _notes(session: AsyncSession, item: Item, reader_id: int) -> list[Said]:
    written = (
        select(Note, Agent.name)
        .join(Agent, Agent.id == Note.agent_id)
        .join(Item, Item.id == Note.item_id)
        .where(Item.conversation_id == item.conversation_id)
    )
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
        )
        for note, name in await session.execute(written)
    ]


async def _events(session: AsyncSession, item: Item) -> list[Event]:
    happened = (
        select(Event)
        .join(Item, Item.id == Event.item_id)
        .where(Item.conversation_id == item.conversation_id)
        .order_by(Event.id.desc())
        .limit(EVENTS)
    )
    return list(reversed((await session.scalars(happened)).all()))


def _woven(told: Iterable[Said], events: Iterable[Event]) -> tuple[Said | Happened, ...]:
    """Everything in order of time, with neighbouring events folded into one entry."""
    in_order: list[Said | Event] = sorted([*told, *events], key=lambda one: (one.at, isinstance(one, Event), one.id))
    woven: list[Said | Happened] = []
    for one in in_order:
        if isinstance(one, Said):
            woven.append(one)
        elif woven and isinstance(woven[-1], Happened):
            woven[-1] = Happened((*woven[-1].events, one))
        else:
            woven.append(Happened((one,)))
    return tuple(woven)


async def _names(session: AsyncSession, ids: Iterable[int | None]) -> dict[int, str]:
    wanted = {i for i in ids if i is not None}
    return {row[0]: row[1] for row in await session.execute(select(Agent.id, Agent.name).where(Agent.id.in_(wanted)))}


async def _needs(session: AsyncSession, item: Item, reader_id: int) -> tuple[Need, ...]:
    asked = {int(skill): level for skill, level in item.requirements.items()}
    names = await skill_names(session, asked)
    mine = select(AgentSkill.skill_id, AgentSkill.level).where(AgentSkill.agent_id == reader_id)
    levels = {row[0]: row[1] for row in await session.execute(mine)} if asked else {}
    return tuple(Need(names.get(s, str(s)), level, levels.get(s)) for s, level in sorted(asked.items()))


async def _past(session: AsyncSession, item: Item, queues: Select[Any]) -> tuple[Past, ...]:
    if item.customer_id is None:
        return ()
    others = (
        select(Item.id, Item.channel, func.left(Post.text, 120), Item.state, Item.opened_at, Agent.name)
        .join(Post, Post.id == Item.post_id)
        .outerjoin(Agent, Agent.id == Item.agent_id)
        .where(Item.customer_id == item.customer_id, Item.id != item.id, Item.queue_id.in_(queues))
        .order_by(Item.id.desc())
        .limit(HISTORY)
    )
    return tuple(Past(*row) for row in await session.execute(others))


async def held_replies(session: AsyncSession, agent_id: int) -> list[Said]:
    """What an agent has sent and can still take back."""
    held = (
        select(Reply, Author.name, Author.handle)
        .join(Post, Post.id == Reply.post_id)
        .join(Author, Author.id == Post.author_id)
        .where(Reply.agent_id == agent_id, Reply.state == ReplyState.HELD, Reply.due_at > func.now())
        .order_by(Reply.due_at)
    )
    return [
        Said(
            kind="reply",
            id=reply.id,
            at=reply.created_at,
            who_id=None,
            who=name or handle,
            handle=handle,
            text=reply.text,
            visibility=reply.visibility,
            state=reply.state,
            due_at=reply.due_at,
            mine=True,
        )
        for reply, name, handle in await session.execute(held)
    ]


async def media_of(session: AsyncSession, post_id: int, queues: Select[Any], reader_id: int) -> list[dict[str, Any]]:
    """The media of a post in a conversation that the reader may see; empty when they may not."""
    seen = select(Item.id).where(
        Item.conversation_id == Post.conversation_id, Item.queue_id.in_(queues) | (Item.agent_id == reader_id)
    )
    return await session.scalar(select(Post.media).where(Post.id == post_id, seen.exists())) or []


async def avatar_of(session: AsyncSession, author_id: int, queues: Select[Any], reader_id: int) -> str | None:
    """The remote address of an author's picture, when the reader may see something by them."""
    seen = (
        select(Post.id)
        .join(Item, Item.conversation_id == Post.conversation_id)
        .where(Post.author_id == author_id, Item.queue_id.in_(queues) | (Item.agent_id == reader_id))
    )
    return await session.scalar(select(Author.avatar_url).where(Author.id == author_id, seen.exists()))
