"""What colleagues do around items: notices, who looks on, who is asked, who wants what, who watches."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.models.account import Account
from app.models.agent import Agent, Role
from app.models.item import Item
from app.models.post import Author, Post
from app.models.reply import Note
from app.models.sight import sees
from app.models.together import (
    SEEN,
    TYPED,
    AccountNotice,
    Consult,
    ConsultExpert,
    ItemRequest,
    Mention,
    Notice,
    Viewer,
    Watch,
)

MOST_UNREAD = 99  # are counted
ENDING = "ending"  # the kind of a notice about an account: its credentials end soon


@dataclass(frozen=True, slots=True)
class Told:
    """A notice, with the item and the person it is about."""

    id: int
    kind: str
    item_id: int | None  # none: it is about an account of ours
    who: str | None  # who caused it; none: Careline itself
    at: datetime
    read: bool
    why: Mapping[str, Any]
    customer: str
    account_id: int | None = None
    account: str = ""


@dataclass(frozen=True, slots=True)
class Onlooker:
    """A colleague who has the item before their eyes."""

    id: int
    name: str
    typing: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to experts, as it stands in the thread; `kind` is expert, as `Said.kind`."""

    id: int
    item_id: int
    at: datetime
    asker_id: int
    asker: str
    whom: str
    question: str
    answer: str | None
    answerer_id: int | None
    answerer: str | None
    withdrawn: bool
    experts: frozenset[int]
    kind: str = "expert"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A colleague asks for the item."""

    id: int
    asker_id: int
    asker: str
    at: datetime


def _seen_notices(reader_id: int, queues: Select[Any]) -> Select[Any]:
    """The reader's notices about items that they may still read."""
    return (
        select(Notice.id)
        .join(Item, Item.id == Notice.item_id)
        .where(Notice.agent_id == reader_id, sees(reader_id, queues))
    )


async def unread(session: AsyncSession, reader: Agent, queues: Select[Any]) -> int:
    """How many notices the reader has not read, up to MOST_UNREAD."""
    count = await session.scalar(_unread(reader.id, queues)) or 0
    if not reader.is_at_least(Role.ADMIN):
        return count
    mine = select(func.count()).where(AccountNotice.agent_id == reader.id, AccountNotice.read_at.is_(None))
    return min(count + (await session.scalar(mine) or 0), MOST_UNREAD)


@lru_cache(maxsize=2_000)
def _unread(reader_id: int, queues: Select[Any]) -> Select[int]:
    """Kept, since building it costs more than running it, and every page asks."""
    some = _seen_notices(reader_id, queues).where(Notice.read_at.is_(None)).limit(MOST_UNREAD).subquery()
    return select(func.count()).select_from(some)


async def notices(
    session: AsyncSession, reader: Agent, queues: Select[Any], most: int, before: int | None = None
) -> list[Told]:
    """The reader's newest notices; `before` is the id of the oldest that was shown."""
    seen = _seen_notices(reader.id, queues)
    if before is not None:
        seen = seen.where(Notice.id < before)
    query = (
        select(
            Notice.id,
            Notice.kind,
            Notice.item_id,
            Agent.name,
            Notice.at,
            Notice.read_at.is_not(None),
            Notice.why,
            func.coalesce(func.nullif(Author.name, ""), Author.handle),
        )
        .join(Item, Item.id == Notice.item_id)
        .join(Post, Post.id == Item.post_id)
        .join(Author, Author.id == Post.author_id)
        .outerjoin(Agent, Agent.id == Notice.actor_id)
        .where(Notice.id.in_(seen.order_by(Notice.id.desc()).limit(most)))
        .order_by(Notice.id.desc())
    )
    told = [Told(*row) for row in await session.execute(query)]
    if reader.is_at_least(Role.ADMIN):
        told = sorted([*told, *await _of_accounts(session, reader, most, before)], key=lambda one: -one.id)
    return told[:most]


async def _of_accounts(session: AsyncSession, reader: Agent, most: int, before: int | None) -> list[Told]:
    """What an admin should know about accounts of ours."""
    n = AccountNotice
    query = (
        select(n.id, n.at, n.read_at.is_not(None), n.account_id, Account.name)
        .join(Account)
        .where(n.agent_id == reader.id)
    )
    if before is not None:
        query = query.where(n.id < before)
    rows = await session.execute(query.order_by(n.id.desc()).limit(most))
    return [Told(key, ENDING, None, None, at, read, {}, "", account, name) for key, at, read, account, name in rows]


async def onlookers(session: AsyncSession, item_ids: Iterable[int], reader_id: int) -> dict[int, list[Onlooker]]:
    """Who else looks at items that the reader may read."""
    ids = list(item_ids)
    if not ids:
        return {}
    typing = func.coalesce(Viewer.typing_at > func.now() - TYPED, False)
    query = (
        select(Viewer.item_id, Agent.id, Agent.name, typing)
        .join(Agent, Agent.id == Viewer.agent_id)
        .where(Viewer.item_id.in_(ids), Viewer.agent_id != reader_id, Viewer.seen_at > func.now() - SEEN)
        .order_by(Agent.name, Agent.id)
    )
    found: dict[int, list[Onlooker]] = {}
    for row in await session.execute(query):
        found.setdefault(row[0], []).append(Onlooker(row[1], row[2], row[3]))
    return found


async def questions(session: AsyncSession, conversation_id: int) -> list[Asked]:
    """The questions about all items of a conversation."""
    return await _questions(session, Item.conversation_id == conversation_id)


async def question(session: AsyncSession, consult_id: int) -> Asked:
    """One question, which is there."""
    [found] = await _questions(session, Consult.id == consult_id)
    return found


async def _questions(session: AsyncSession, which: ColumnElement[bool]) -> list[Asked]:
    asker, answerer = aliased(Agent), aliased(Agent)
    query = (
        select(Consult, asker.name, answerer.name)
        .join(Item, Item.id == Consult.item_id)
        .join(asker, asker.id == Consult.asker_id)
        .outerjoin(answerer, answerer.id == Consult.answerer_id)
        .where(which)
        .order_by(Consult.id)
        .execution_options(populate_existing=True)
    )
    found = (await session.execute(query)).all()
    if not found:
        return []
    of = select(ConsultExpert).where(ConsultExpert.consult_id.in_([row[0].id for row in found]))
    experts: dict[int, set[int]] = {}
    for one in await session.scalars(of):
        experts.setdefault(one.consult_id, set()).add(one.agent_id)
    return [_asked(one, asker, answerer, frozenset(experts.get(one.id, ()))) for one, asker, answerer in found]


def _asked(one: Consult, asker: str, answerer: str | None, experts: frozenset[int]) -> Asked:
    return Asked(
        id=one.id,
        item_id=one.item_id,
        at=one.answered_at or one.asked_at,
        asker_id=one.asker_id,
        asker=asker,
        whom=one.whom,
        question=one.question,
        answer=one.answer,
        answerer_id=one.answerer_id,
        answerer=answerer,
        withdrawn=one.withdrawn_at is not None,
        experts=experts,
    )


async def watches(session: AsyncSession, agent_id: int, item_id: int) -> bool:
    """Whether an agent watches an item."""
    return (
        await session.scalar(select(Watch.since).where(Watch.item_id == item_id, Watch.agent_id == agent_id))
        is not None
    )


async def wanted(session: AsyncSession, item: Item) -> list[Wanted]:
    """Who asks the item's present holder for it."""
    query = (
        select(ItemRequest.id, Agent.id, Agent.name, ItemRequest.asked_at)
        .join(Agent, Agent.id == ItemRequest.asker_id)
        .where(ItemRequest.item_id == item.id, ItemRequest.outcome.is_(None), ItemRequest.holder_id == item.agent_id)
        .order_by(ItemRequest.id)
    )
    return [Wanted(*row) for row in await session.execute(query)]


async def untold(session: AsyncSession, item_id: int, writer_id: int) -> dict[int, list[tuple[int, str]]]:
    """Of each note of the writer: the colleagues (id, name) whom it names and who could not see the item."""
    query = (
        select(Mention.note_id, Agent.id, Agent.name)
        .join(Note, Note.id == Mention.note_id)
        .join(Agent, Agent.id == Mention.agent_id)
        .where(Note.item_id == item_id, Note.agent_id == writer_id, ~Mention.told)
        .order_by(Agent.name)
    )
    found: dict[int, list[tuple[int, str]]] = {}
    for row in await session.execute(query):
        found.setdefault(row[0], []).append((row[1], row[2]))
    return found
