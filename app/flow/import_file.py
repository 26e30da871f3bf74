"""Import: a file's rows become posts of a feed, some at a time, each time with how far it is in the same transaction.

A worker that dies leaves an import that goes on right behind what is stored: no row is skipped, none is read twice.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, BinaryIO

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import jobs
from app.connectors import forms
from app.connectors.base import IncomingPost
from app.db import announce
from app.errors import Conflict, Invalid, NotFound
from app.flow.ingest import Ingested
from app.flow.poll import ingest_apart
from app.flow.push import taking_feed
from app.flow.sheet import SHOWN, Encoding, columns_of, encoding_of, guess, parts
from app.flow.sheet_columns import Shape, guessed, is_recent
from app.i18n import _
from app.models.agent import Agent
from app.models.feed import Feed
from app.models.feed_import import FeedImport, ImportPart, ImportReject, ImportState

KEPT = 20  # imports of a feed; older ones go when another file is brought
DRAFTS_KEPT = timedelta(days=1)
LEASE = timedelta(seconds=60)  # a worker that says nothing for so long is gone
HEAD_LINES = 300  # that a shape is guessed from


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that is not imported."""

    line: int
    reason: str
    raw: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows, read: posts with the line and the words of their rows, what is rejected, and where the file goes on."""

    posts: tuple[tuple[IncomingPost, int, str], ...]
    rejected: tuple[Refusal, ...]
    position: int
    line: int
    last: bool


async def bring_file(
    session: AsyncSession, agent: Agent, feed_id: int, name: str, file: BinaryIO, *, encoding: Encoding
) -> FeedImport:
    """Keep a file in parts of whole lines, as a draft, with a guess of how it is to be read.

    Raises:
        NotFound: there is no such feed.
        Conflict: the feed takes no posts from files.
        Invalid: the file cannot be read.
    """
    feed = await taking_feed(session, feed_id)
    codec = encoding.value or await asyncio.to_thread(encoding_of, file)
    made = FeedImport(feed_id=feed.id, agent_id=agent.id, name=name[-200:])
    session.add(made)
    await session.flush()
    size, pieces = 0, parts(file, codec)
    while piece := await asyncio.to_thread(next, pieces, b""):
        await session.execute(insert(ImportPart).values(import_id=made.id, start=size, content=piece))
        size += len(piece)
    lines = await head_of(session, made.id)
    format_, delimiter = guess(lines)
    columns, head = columns_of(lines, format_, delimiter)
    shape = guessed(format_, delimiter, columns, lines[head:], agent.timezone)
    made.size = size
    _begin_at(made, shape, lines, head)
    await session.flush()
    await _drop_old(session, feed_id)
    return made


async def head_of(session: AsyncSession, import_id: int) -> list[str]:
    """The first lines of a file."""
    first = select(ImportPart.content).where(ImportPart.import_id == import_id).order_by(ImportPart.start).limit(1)
    content: bytes = (await session.scalar(first)) or b""
    return content.decode().split("\n")[:-1][:HEAD_LINES]


def _begin_at(draft: FeedImport, shape: Shape, lines: list[str], head: int) -> None:
    """Behind the line that names the columns."""
    draft.shape = shape.model_dump(mode="json")
    draft.line = head
    draft.position = sum(len(line.encode()) + 1 for line in lines[:head])


async def shape_import(session: AsyncSession, feed_id: int, import_id: int, given: dict[str, Any]) -> FeedImport:
    """Say how a draft is to be read. Another delimiter makes other columns, whose meaning is guessed anew.

    Raises:
        NotFound: there is no such import.
        Conflict: it has begun.
        Invalid: a value is not acceptable.
    """
    draft = await _draft(session, feed_id, import_id)
    before = Shape.model_validate(draft.shape)
    lines = await head_of(session, import_id)
    head = draft.line
    shape = forms.check(Shape, {**before.model_dump(), **given})
    if shape.delimiter != before.delimiter:
        columns, head = columns_of(lines, shape.format, shape.delimiter)
        fresh = guessed(shape.format, shape.delimiter, columns, lines[head:], shape.zone)
        shape = fresh.model_copy(update={"queue_days": shape.queue_days})
    _begin_at(draft, shape, lines, head)
    await session.flush()
    return draft


async def start_import(session: AsyncSession, feed_id: int, import_id: int) -> None:
    """Let the workers do it. Raises NotFound, Conflict (it has begun), Invalid (something has to be said first)."""
    draft = await _draft(session, feed_id, import_id)
    missing = Shape.model_validate(draft.shape).missing
    if missing:
        raise Invalid(missing, "fields")
    draft.state, draft.started_at = ImportState.RUNNING, func.now()
    await session.flush()
    await jobs.defer(session, jobs.IMPORT, "import_id", [import_id], lane=jobs.Lane.BACKLOG)
    announce(session, "feeds", [feed_id])


async def stop_import(session: AsyncSession, feed_id: int, import_id: int) -> bool:
    """Stop one that runs, or drop a draft (True). What was imported stays. Raises NotFound, Conflict (it has ended)."""
    found = await _import(session, feed_id, import_id)
    if found.state == ImportState.DRAFT:
        await session.delete(found)
        await session.flush()
        return True
    if found.state != ImportState.RUNNING:
        raise Conflict(_("This import has ended already."))
    await _end(session, found.id, ImportState.STOPPED)
    announce(session, "feeds", [feed_id])
    return False


async def _import(session: AsyncSession, feed_id: int, import_id: int) -> FeedImport:
    found = await session.get(FeedImport, import_id, populate_existing=True, with_for_update=True)
    if found is None or found.feed_id != feed_id:
        raise NotFound(_("There is no such import. Only the newest are kept."))
    return found


async def _draft(session: AsyncSession, feed_id: int, import_id: int) -> FeedImport:
    found = await _import(session, feed_id, import_id)
    if found.state != ImportState.DRAFT:
        raise Conflict(_("This import has begun already."))
    return found


async def take_import(session: AsyncSession, import_id: int) -> tuple[FeedImport, Feed] | None:
    """Lease an import that is to be done, with its feed; None when somebody has it, or it is over. Commit before work."""
    free = or_(FeedImport.leased_until.is_(None), FeedImport.leased_until <= func.now())
    taken = (
        update(FeedImport)
        .where(FeedImport.id == import_id, FeedImport.state == ImportState.RUNNING, free)
        .values(attempt=FeedImport.attempt + 1, leased_until=func.now() + LEASE)
        .returning(FeedImport)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    found = (await session.scalars(taken)).one_or_none()
    return None if found is None else (found, await session.get_one(Feed, found.feed_id, populate_existing=True))


async def part_at(session: AsyncSession, import_id: int, position: int) -> bytes:
    """What of the file stands from a position to the end of its part; empty at the end of the file."""
    part = select(ImportPart.start, ImportPart.content).where(ImportPart.import_id == import_id)
    row = (
        await session.execute(part.where(ImportPart.start <= position).order_by(ImportPart.start.desc()).limit(1))
    ).one_or_none()
    return b"" if row is None else bytes(row.content[position - row.start :])


async def keep_chunk(session: AsyncSession, mine: FeedImport, feed: Feed, chunk: Chunk) -> bool:
    """Store a chunk's posts, its rejected rows and how far the import is. False: it was stopped or lost; roll back."""
    shape = Shape.model_validate(mine.shape)
    since = mine.started_at or mine.created_at
    unique: dict[str, tuple[IncomingPost, int, str]] = {}
    for one in chunk.posts:
        unique.setdefault(one[0].external_id, one)
    recent = {name for name, (post, _line, _raw) in unique.items() if is_recent(post, shape, since)}
    done, poison = Ingested(), []
    for quiet in (True, False):
        some = sorted((post for name, (post, *_) in unique.items() if (name in recent) != quiet), key=_when)
        ingested, refused = await ingest_apart(session, feed, tuple(some), quiet)
        done += ingested
        poison += [Refusal(unique[one.external_id][1], one.reason, unique[one.external_id][2]) for one in refused]
    rejected = (*chunk.rejected, *poison)
    counts = {
        "imported": len(done.stored),
        "left_out": len(done.left_out),
        "rejected": len(rejected),
        "known": len(chunk.posts) - len(done.stored) - len(done.left_out) - len(poison),
    }
    if done.stored:
        await session.execute(
            update(Feed)
            .where(Feed.id == feed.id)
            .values(post_at=func.now())
            .execution_options(synchronize_session=False)
        )
    if rejected:
        rows = [{"import_id": mine.id, "line": r.line, "reason": r.reason, "row": r.raw[:SHOWN]} for r in rejected]
        await session.execute(insert(ImportReject).values(rows))
    return await _move_on(session, mine, chunk, counts)


def _when(post: IncomingPost) -> Any:
    return post.posted_at


async def _move_on(session: AsyncSession, mine: FeedImport, chunk: Chunk, counts: dict[str, int]) -> bool:
    held = (FeedImport.id == mine.id, FeedImport.attempt == mine.attempt, FeedImport.state == ImportState.RUNNING)
    moved = await session.execute(
        update(FeedImport)
        .where(*held)
        .values(
            position=chunk.position,
            line=chunk.line,
            leased_until=func.now() + LEASE,
            **{name: getattr(FeedImport, name) + count for name, count in counts.items()},
        )
        .returning(FeedImport.id)
        .execution_options(synchronize_session=False)
    )
    if moved.first() is None:
        return False
    if chunk.last:
        await _end(session, mine.id, ImportState.DONE)
    announce(session, "feeds", [mine.feed_id])
    return True


async def _end(session: AsyncSession, import_id: int, state: ImportState) -> None:
    """The file itself is needed no more; what was rejected stays for the report."""
    over = update(FeedImport).where(FeedImport.id == import_id)
    await session.execute(
        over.values(state=state, leased_until=None, ended_at=func.now()).execution_options(synchronize_session=False)
    )
    await session.execute(delete(ImportPart).where(ImportPart.import_id == import_id))


async def give_back(session: AsyncSession, mine: FeedImport) -> None:
    """Let another worker go on at once."""
    held = (FeedImport.id == mine.id, FeedImport.attempt == mine.attempt)
    await session.execute(update(FeedImport).where(*held).values(leased_until=None))


async def due_imports(session: AsyncSession) -> list[int]:
    """Imports that are to be done and that nobody does."""
    free = or_(FeedImport.leased_until.is_(None), FeedImport.leased_until <= func.now())
    due = select(FeedImport.id).where(FeedImport.state == ImportState.RUNNING, free).order_by(FeedImport.id)
    return list(await session.scalars(due))


async def _drop_old(session: AsyncSession, feed_id: int) -> None:
    newest = select(FeedImport.id).where(FeedImport.feed_id == feed_id).order_by(FeedImport.id.desc()).limit(KEPT)
    old = delete(FeedImport).where(FeedImport.feed_id == feed_id, FeedImport.id.not_in(newest))
    await session.execute(old.where(FeedImport.state != ImportState.RUNNING))


async def drop_drafts(session: AsyncSession) -> None:
    """Forget files that somebody brought and never began to import."""
    old = delete(FeedImport).where(FeedImport.state == ImportState.DRAFT)
    await session.execute(old.where(FeedImport.created_at < func.now() - DRAFTS_KEPT))
