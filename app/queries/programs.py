"""What the API reads: the same items, posts and queues that the desk would show to the token's agent, by keyset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Invalid
from app.models.agent import Agent, Role, Skill, Team
from app.models.item import Item
from app.models.post import Author, Post
from app.models.queue import Queue
from app.models.reply import Note, Reply, ReplyChange, ReplyState
from app.models.signal import Signal
from app.queries.filters import Filter
from app.queries.listing import narrowed
from app.queries.shield import covered, order_pattern
from app.queries.worded import worded

ANYTHING = Filter()


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An item with the names around it."""

    item: Item
    queue: Queue
    holder: Agent | None
    author: Author
    requirements: Mapping[str, int]


def _sees(agent: Agent, queues: Select[Any]) -> Any:
    return Item.queue_id.in_(queues) | (Item.agent_id == agent.id)


async def items(
    session: AsyncSession,
    agent: Agent,
    queues: Select[Any],
    *,
    state: str | None = None,
    queue: int | None = None,
    holder: int | None = None,
    item: int | None = None,
    wanted: Filter = ANYTHING,
    after: int | None = None,
    limit: int = 50,
) -> list[ItemRow]:
    """Items, newest first, at most `limit` whose id is below `after`."""
    said = await worded(session, agent, wanted.text)
    query = (
        select(Item, Queue, Agent, Author)
        .join(Queue, Queue.id == Item.queue_id)
        .join(Author, Author.id == Item.author_id)
        .outerjoin(Agent, Agent.id == Item.agent_id)
        .where(_sees(agent, queues), *narrowed(agent, wanted), *said.conditions)
    )
    equal = ((Item.state, state), (Item.queue_id, queue), (Item.agent_id, holder), (Item.id, item))
    for column, value in equal:
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(Item.id < after)
    rows = (
        await session.execute(query.order_by(Item.id.desc()).limit(limit).execution_options(populate_existing=True))
    ).all()
    skills = {str(key): name for key, name in await session.execute(select(Skill.id, Skill.name))}
    return [ItemRow(row[0], row[1], row[2], row[3], _named(row[0].requirements, skills)) for row in rows]


def _named(requirements: Mapping[str, int], skills: Mapping[str, str]) -> dict[str, int]:
    return {skills.get(skill, skill): level for skill, level in requirements.items()}


@dataclass(frozen=True, slots=True)
class PostRow:
    """A post, by whom it is, what was heard in it, and what of it the reader is shown."""

    post: Post
    author: Author
    signal: Signal | None
    shown: Mapping[str, str | None]  # title, text, html


async def posts(
    session: AsyncSession,
    agent: Agent,
    queues: Select[Any],
    *,
    conversation: int | None = None,
    post: int | None = None,
    after: int | None = None,
    limit: int = 50,
) -> list[PostRow]:
    """Posts of conversations that have an item for the agent's eyes, newest first."""
    seen = exists().where(Item.conversation_id == Post.conversation_id, _sees(agent, queues))
    held = exists().where(Item.conversation_id == Post.conversation_id, Item.agent_id == agent.id)
    query = (
        select(Post, Author, Signal, held)
        .join(Author, Author.id == Post.author_id)
        .outerjoin(Signal, Signal.post_id == Post.id)
        .where(seen)
    )
    for column, value in ((Post.conversation_id, conversation), (Post.id, post)):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(Post.id < after)
    order, whole = await order_pattern(session), agent.is_at_least(Role.SUPERVISOR)
    rows = await session.execute(query.order_by(Post.id.desc()).limit(limit))
    return [PostRow(post, by, heard, _shown(post, order, whole=whole or mine)) for post, by, heard, mine in rows]


def _shown(post: Post, order: str, *, whole: bool) -> dict[str, str | None]:
    if whole or post.own:
        return {"title": post.title, "text": post.text, "html": post.html}
    title, text = (covered(said, post.visibility, order) for said in (post.title, post.text))
    return {"title": title, "text": text, "html": post.html if (title, text) == (post.title, post.text) else None}


async def replies(session: AsyncSession, item_id: int) -> Sequence[Reply]:
    """The replies of an item, drafts excepted, oldest first."""
    query = select(Reply).where(Reply.item_id == item_id, Reply.state != ReplyState.DRAFT).order_by(Reply.id)
    return (await session.scalars(query)).all()


async def reply_changes(session: AsyncSession, reply_id: int) -> Sequence[ReplyChange]:
    """What was asked to be done to a sent reply, oldest first."""
    asked = select(ReplyChange).where(ReplyChange.reply_id == reply_id).order_by(ReplyChange.id)
    return (await session.scalars(asked)).all()


async def notes(session: AsyncSession, item_id: int) -> Sequence[Note]:
    """The notes of an item, oldest first."""
    return (await session.scalars(select(Note).where(Note.item_id == item_id).order_by(Note.id))).all()


async def by_skill(session: AsyncSession, needs: Mapping[str, int]) -> dict[int, int]:
    """Levels by the ids of skills that are given by name. Raises Invalid, naming the first that does not exist."""
    ids = dict(list(await session.execute(select(Skill.name, Skill.id))))
    for name in needs:
        if name not in ids:
            raise Invalid(f"There is no skill named '{name}'.", "needs")
    return {ids[name]: level for name, level in needs.items()}


async def queues_of(session: AsyncSession, queues: Select[Any]) -> list[tuple[Queue, Team]]:
    """The queues for the agent's eyes."""
    query = select(Queue, Team).join(Team, Team.id == Queue.team_id).where(Queue.id.in_(queues)).order_by(Queue.id)
    return [(row[0], row[1]) for row in await session.execute(query)]
