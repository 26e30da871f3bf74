"""What the search found, with the words that are shown of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from app.i18n import _
from app.models.agent import Agent
from app.models.change import newest_version
from app.models.post import Author, Post
from app.models.queue import Queue
from app.models.reply import Note, Reply
from app.models.search import Kind
from app.queries.shield import order_pattern, shielded


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that was found, with the item in which the reader may look at it."""

    kind: str
    ref_id: int
    at: datetime
    item_id: int
    state: str
    posts: int  # of the item
    queue: str
    channel: str
    who: str
    handle: str
    language: str | None
    title: str
    text: str


async def hits_of(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> tuple[Hit, ...]:
    """What was said, for the page."""
    ids: dict[str, set[int]] = {}
    for row in rows:
        ids.setdefault(row["kind"], set()).add(row["ref_id"])
    said = {
        **{(Kind.POST.value, key): value for key, value in await _said_by_people(session, ids.get(Kind.POST, ()))},
        **{(Kind.REPLY.value, key): value for key, value in await _said_by_us(session, Reply, ids.get(Kind.REPLY, ()))},
        **{(Kind.NOTE.value, key): value for key, value in await _said_by_us(session, Note, ids.get(Kind.NOTE, ()))},
    }
    queues = {row["queue_id"] for row in rows}
    names = {row[0]: row[1] for row in await session.execute(select(Queue.id, Queue.name).where(Queue.id.in_(queues)))}
    return tuple(
        Hit(
            row["kind"], row["ref_id"], row["at"], row["item_id"], row["state"], row["posts"],
            names[row["queue_id"]], row["channel"], *said[row["kind"], row["ref_id"]],
        )
        for row in rows
        if (row["kind"], row["ref_id"]) in said
    )  # fmt: skip


Words = tuple[int, tuple[str, str, str | None, str, str]]  # id, then who, handle, language, title, text


async def _said_by_people(session: AsyncSession, ids: Iterable[int]) -> list[Words]:
    """Posts; our own that came back by a feed are left out where the reply itself is there."""
    sent = select(Reply.id).where(Reply.channel == Post.channel, Reply.external_id == Post.external_id).exists()
    newest = newest_version()
    title, said = func.coalesce(newest.c.title, Post.title), func.coalesce(newest.c.text, Post.text)
    found = (
        select(Post.id, Author.name, Author.handle, Post.language, title, said)
        .join(Author, Author.id == Post.author_id)
        .outerjoin(newest, true())
        .where(Post.id.in_(ids), ~sent)
    )
    order = await order_pattern(session)
    return [
        (row[0], (row[1] or row[2], row[2], row[3], shielded(row[4], order), shielded(row[5], order)))
        for row in await session.execute(found)
    ]


async def _said_by_us(session: AsyncSession, table: type[Reply | Note], ids: Iterable[int]) -> list[Words]:
    found = (
        select(table.id, Agent.name, table.text).outerjoin(Agent, Agent.id == table.agent_id).where(table.id.in_(ids))
    )
    return [(row[0], (row[1] or _("Careline"), "", None, "", row[2])) for row in await session.execute(found)]
