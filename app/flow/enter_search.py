"""Enter what is new or changed into the search: little by little, after the transaction that said it.

Ingest does none of this work: triggers list what is to be entered, and workers enter it within a second or two.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, text, true
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import driver
from app.listening import tokens
from app.listening.marks import heard_marks
from app.models.change import newest_version
from app.models.item import Item
from app.models.post import Author, Customer, Post
from app.models.reply import Note, Reply, ReplyState
from app.models.search import CONVERSATION, Kind, SearchEntry, SearchPending
from app.models.signal import Signal

AT_ONCE = 500  # things entered in one transaction
ONE_AT_A_TIME = 7_215_004_132  # advisory lock of a transaction: two at once could leave the older words standing

_TAKE = text(
    """
    DELETE FROM search_pending WHERE id IN (SELECT id FROM search_pending ORDER BY id LIMIT :most)
    RETURNING kind, ref_id
    """
)
_ENTER = """
    INSERT INTO search_entry (kind, ref_id, conversation_id, at, words, name)
    SELECT kind, ref_id, conversation_id, at, words::tsvector, name
    FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::timestamptz[], %s::text[], %s::text[])
         AS g(kind, ref_id, conversation_id, at, words, name)
    ON CONFLICT (kind, ref_id) DO UPDATE
    SET conversation_id = excluded.conversation_id, at = excluded.at, words = excluded.words, name = excluded.name
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is entered of one thing."""

    kind: Kind
    ref_id: int
    conversation_id: int | None
    at: datetime
    words: str
    name: str | None = None


async def enter_search(session: AsyncSession, most: int = AT_ONCE) -> int:
    """Enter at most `most` listed things; returns how many were taken from the list, 0 also when somebody else is at it."""
    if not await session.scalar(select(func.pg_try_advisory_xact_lock(ONE_AT_A_TIME))):
        return 0
    taken = (await session.execute(_TAKE, {"most": most})).all()
    if not taken:
        return 0
    listed: dict[str, set[int]] = {}
    for kind, ref_id in taken:
        listed.setdefault(kind, set()).add(ref_id)
    await _whole_conversations(session, listed)
    entries = [
        *await _posts(session, listed.get(Kind.POST, ())),
        *await _replies(session, listed.get(Kind.REPLY, ())),
        *await _notes(session, listed.get(Kind.NOTE, ())),
        *await _people(session, listed.get(Kind.PERSON, ())),
    ]
    await _enter(session, entries)
    gone = listed.get(Kind.REPLY, set()) - {one.ref_id for one in entries if one.kind == Kind.REPLY}
    if gone:
        old = delete(SearchEntry).where(SearchEntry.kind == Kind.REPLY, SearchEntry.ref_id.in_(gone))
        await session.execute(old.execution_options(synchronize_session=False))
    return len(taken)


async def waiting(session: AsyncSession) -> int:
    """How many things are listed and not entered yet."""
    return (await session.scalar(select(func.count()).select_from(SearchPending))) or 0


async def _whole_conversations(session: AsyncSession, listed: dict[str, set[int]]) -> None:
    """What was said in a conversation that came to another queue."""
    rooms = listed.pop(CONVERSATION, None)
    if not rooms:
        return
    said = select(SearchEntry.kind, SearchEntry.ref_id).where(SearchEntry.conversation_id.in_(rooms))
    for kind, ref_id in await session.execute(said):
        listed.setdefault(kind, set()).add(ref_id)


async def _enter(session: AsyncSession, entries: Collection[Entry]) -> None:
    if not entries:
        return
    rows = [(e.kind.value, e.ref_id, e.conversation_id, e.at, e.words, e.name) for e in entries]
    connection = await driver(session)
    await connection.execute(_ENTER, [list(column) for column in zip(*rows, strict=True)])


async def _posts(session: AsyncSession, ids: Collection[int]) -> list[Entry]:
    if not ids:
        return []
    newest = newest_version()
    found = (
        select(
            Post.id, Post.conversation_id, Post.posted_at, Post.channel, Post.author_id,
            func.coalesce(Signal.language, Post.language).label("language"), Signal.also, Signal.intent, Signal.upset,
            Signal.urgent, Signal.noise, Signal.personal, Signal.copy_of, Signal.post_id.is_not(None).label("heard"),
            func.coalesce(newest.c.title, Post.title).label("title"), func.coalesce(newest.c.text, Post.text).label("text"),
            func.jsonb_array_length(func.coalesce(newest.c.media, Post.media)).label("media"),
        )
        .select_from(Post)
        .outerjoin(newest, true())
        .outerjoin(Signal, Signal.post_id == Post.id)
        .where(Post.id.in_(ids))
    )  # fmt: skip
    rows = (await session.execute(found)).all()
    queues = await _queues(session, {row.conversation_id for row in rows})
    entries = []
    for row in rows:
        marks = [f"k:{Kind.POST}", f"c:{row.channel}", f"a:{row.author_id}", *queues.get(row.conversation_id, ())]
        marks += ["m"] if row.media else []
        marks += [f"l:{row.language.lower().partition('-')[0]}"] if row.language else []
        marks += [f"l:{row.also}"] if row.also else []
        marks += heard_marks(row) if row.heard else []
        words = tokens.vector(f"{row.title} {row.text}", marks)
        entries.append(Entry(Kind.POST, row.id, row.conversation_id, row.posted_at, words))
    return entries


async def _replies(session: AsyncSession, ids: Collection[int]) -> list[Entry]:
    if not ids:
        return []
    at = func.coalesce(Reply.sent_at, Reply.enqueued_at, Reply.created_at)
    found = select(Reply.id, Reply.conversation_id, at, Reply.text, Reply.channel, Reply.agent_id).where(
        Reply.id.in_(ids), Reply.state != ReplyState.DRAFT
    )
    rows = (await session.execute(found)).all()
    queues = await _queues(session, {row[1] for row in rows})
    return [_ours(Kind.REPLY, tuple(row), queues) for row in rows]


async def _notes(session: AsyncSession, ids: Collection[int]) -> list[Entry]:
    if not ids:
        return []
    found = (
        select(Note.id, Item.conversation_id, Note.created_at, Note.text, Item.channel, Note.agent_id)
        .join(Item, Item.id == Note.item_id)
        .where(Note.id.in_(ids))
    )
    rows = (await session.execute(found)).all()
    queues = await _queues(session, {row[1] for row in rows})
    return [_ours(Kind.NOTE, tuple(row), queues) for row in rows]


def _ours(kind: Kind, row: Any, queues: Mapping[int, Iterable[str]]) -> Entry:
    ref_id, conversation_id, at, said, channel, agent_id = row
    marks = [f"k:{kind}", f"c:{channel}", *queues.get(conversation_id, ())]
    marks += [] if agent_id is None else [f"g:{agent_id}"]
    return Entry(kind, ref_id, conversation_id, at, tokens.vector(said, marks))


async def _people(session: AsyncSession, ids: Collection[int]) -> list[Entry]:
    if not ids:
        return []
    found = (
        select(Author.id, Author.created_at, Author.channel, Author.handle, Author.name, Customer.name)
        .join(Customer, Customer.id == Author.customer_id)
        .where(Author.id.in_(ids))
    )
    entries = []
    for author_id, at, channel, handle, name, customer in await session.execute(found):
        named = " ".join(dict.fromkeys(part for part in (name, customer, handle) if part))
        words = tokens.vector(named, (f"k:{Kind.PERSON}", f"c:{channel}"))
        entries.append(Entry(Kind.PERSON, author_id, None, at, words, tokens.folded(named)))
    return entries


async def _queues(session: AsyncSession, rooms: Collection[int]) -> dict[int, list[str]]:
    """The queues in which items of a conversation are or ended, as marks."""
    found = select(Item.conversation_id, Item.queue_id).where(Item.conversation_id.in_(rooms)).distinct()
    marks: dict[int, list[str]] = {}
    for room, queue_id in await session.execute(found):
        marks.setdefault(room, []).append(f"q:{queue_id}")
    return marks
