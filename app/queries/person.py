"""The person behind an item: identities over channels, tags, notes, and all their items. Each part loads by itself."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, or_, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.agent import Agent
from app.models.change import first_words, newest_version
from app.models.item import OPEN_STATES, Item
from app.models.person import ContactLook, CustomerLink, CustomerNote, CustomerTag
from app.models.post import Author, FormerHandle, Post
from app.queries.shield import order_pattern, shielded

PAGE = 50  # items of the history at once
NEWEST = 12  # of them beside an item
NOTES = 20
SNIPPET = 120  # characters of a post
FORMER = 3  # names that an author had before
HANDLES_LIKE_MAIL = frozenset({"mastodon"})
# An e-mail address, or what looks like a telephone number: seven digits and more, with what people put between.
_CONTACT = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+|\+?\d[\d ()/.-]{5,}\d")


@dataclass(frozen=True, slots=True)
class Identity:
    """One author of the person. `linked` says that an agent took them for this person; it can be undone."""

    id: int
    channel: str
    name: str
    handle: str  # masked, unless the reader asked
    masked: bool
    url: str | None
    followers: int | None
    linked: bool
    former: tuple[str, ...] = ()  # what they were called before, the latest first; masked as the handle is


@dataclass(frozen=True, slots=True)
class Remark:
    """A note about the person."""

    id: int
    who: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Past:
    """An item of the person."""

    item_id: int
    channel: str
    text: str
    state: str
    opened_at: datetime
    holder: str | None


def masked(text: str, channel: str = "") -> str:
    """The same words with addresses and numbers masked: `l•••t@posteo.example`, `+49•••56`.

    On Mastodon a handle with a server behind it (`lena@ruhr.social`) is public, and no address.
    """
    return text if channel in HANDLES_LIKE_MAIL else _CONTACT.sub(_mask, text)


def _mask(found: re.Match[str]) -> str:
    before, at, after = found.group().partition("@")
    if at:
        return f"{before[0]}•••{before[-1] if len(before) > 1 else ''}@{after}"
    return f"{before[:3]}•••{before[-2:]}"


async def identities(session: AsyncSession, reader: Agent, customer_id: int, shown_for: Any) -> list[Identity]:
    """The authors of a customer, the oldest first."""
    asked = select(ContactLook.id).where(
        ContactLook.author_id == Author.id, ContactLook.agent_id == reader.id, ContactLook.at > func.now() - shown_for
    )
    linked = select(CustomerLink.id).where(
        CustomerLink.author_id == Author.id, CustomerLink.to_id == customer_id, CustomerLink.undone_at.is_(None)
    )
    rows = await session.execute(
        select(Author, asked.exists(), linked.exists()).where(Author.customer_id == customer_id).order_by(Author.id)
    )
    found = rows.all()
    former = await _former(session, [author.id for author, _, _ in found])
    return [_identity(author, former.get(author.id, []), is_open, is_linked) for author, is_open, is_linked in found]


async def _former(session: AsyncSession, author_ids: Sequence[int]) -> dict[int, list[str]]:
    told = (
        select(FormerHandle.author_id, FormerHandle.handle)
        .join(Author, Author.id == FormerHandle.author_id)
        .where(FormerHandle.author_id.in_(author_ids), FormerHandle.handle != Author.handle)
        .order_by(FormerHandle.until.desc())
    )
    found: dict[int, list[str]] = defaultdict(list)
    for author_id, handle in await session.execute(told):
        found[author_id].append(handle)
    return found


def _identity(author: Author, former: Sequence[str], is_open: bool, is_linked: bool) -> Identity:
    hidden = masked(author.handle, author.channel)
    secret = hidden != author.handle and not is_open
    return Identity(
        author.id,
        author.channel,
        masked(author.name or author.handle, author.channel),
        hidden if secret else author.handle,
        secret,
        author.url,
        author.followers,
        is_linked,
        tuple(one if is_open else masked(one, author.channel) for one in former[:FORMER]),
    )


def _of(customer_id: int) -> Select[Any]:
    """The customers whose authors are linked to this one: their tags and notes are this one's as long as they are."""
    return select(CustomerLink.from_id).where(CustomerLink.to_id == customer_id, CustomerLink.undone_at.is_(None))


async def tags(session: AsyncSession, customer_id: int) -> Sequence[str]:
    """The customer's tags, by name."""
    theirs = or_(CustomerTag.customer_id == customer_id, CustomerTag.customer_id.in_(_of(customer_id)))
    return (await session.scalars(select(CustomerTag.tag).where(theirs).distinct().order_by(CustomerTag.tag))).all()


async def notes(session: AsyncSession, customer_id: int) -> list[Remark]:
    """The newest notes about the customer, the newest first."""
    theirs = or_(CustomerNote.customer_id == customer_id, CustomerNote.customer_id.in_(_of(customer_id)))
    rows = await session.execute(
        select(CustomerNote.id, Agent.name, CustomerNote.text, CustomerNote.created_at)
        .join(Agent, Agent.id == CustomerNote.agent_id)
        .where(theirs)
        .order_by(CustomerNote.id.desc())
        .limit(NOTES)
    )
    return [Remark(*row) for row in rows]


async def history(
    session: AsyncSession,
    reader: Agent,
    customer_id: int,
    queues: Select[Any],
    *,
    before: tuple[datetime, int] | None = None,
    most: int = PAGE,
) -> tuple[list[Past], tuple[datetime, int] | None]:
    """Items of the customer that the reader may see, the newest first, and where the next page begins."""
    mine = Item.queue_id.in_(queues) | (Item.agent_id == reader.id)
    newest = newest_version()
    found = (
        select(Item.id, Item.channel, first_words(newest, SNIPPET), Item.state, Item.opened_at, Agent.name)
        .join(Post, Post.id == Item.post_id)
        .outerjoin(Agent, Agent.id == Item.agent_id)
        .outerjoin(newest, true())
        .where(Item.customer_id == customer_id, mine)
        .order_by(Item.opened_at.desc(), Item.id.desc())
        .limit(most + 1)
    )
    if before is not None:
        found = found.where(tuple_(Item.opened_at, Item.id) < tuple_(*before))
    past = await _past(session, found)
    following = (past[most - 1].opened_at, past[most - 1].item_id) if len(past) > most else None
    return past[:most], following


async def open_items(session: AsyncSession, reader: Agent, customer_id: int, queues: Select[Any]) -> list[Past]:
    """Items of the customer that are open and that the reader may see."""
    mine = Item.queue_id.in_(queues) | (Item.agent_id == reader.id)
    newest = newest_version()
    found = (
        select(Item.id, Item.channel, first_words(newest, SNIPPET), Item.state, Item.opened_at, Agent.name)
        .join(Post, Post.id == Item.post_id)
        .outerjoin(Agent, Agent.id == Item.agent_id)
        .outerjoin(newest, true())
        .where(Item.customer_id == customer_id, mine, Item.state.in_(OPEN_STATES))
        .order_by(Item.id.desc())
        .limit(NEWEST)
    )
    return await _past(session, found)


async def _past(session: AsyncSession, found: Select[*tuple[Any, ...]]) -> list[Past]:
    order = await order_pattern(session)
    past = [Past(*row) for row in await session.execute(found)]
    return [replace(one, text=shielded(one.text, order)) for one in past]
