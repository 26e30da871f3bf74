"""Importing a file as a background job: some rows a transaction, read in a thread, until it is done."""

import asyncio
from datetime import datetime

import structlog
from sqlalchemy import func, select

from app.flow.import_file import Chunk, Refusal, give_back, keep_chunk, part_at, take_import
from app.flow.sheet_columns import Shape, post_of, rows_of
from app.models.feed import Feed
from app.models.feed_import import FeedImport
from app.telemetry import posts_ingested
from app.workers.runtime import Runtime

log = structlog.get_logger(__name__)

ROWS = 100  # in one transaction: short, so that nothing waits long for its locks


async def import_job(run: Runtime, import_id: int) -> None:
    """Go on with an import until it is done or stopped; a worker that is to end gives it back.

    Whatever breaks leaves the lease: the sweep has another worker try again when it has run out.
    """
    async with run.sessions.begin() as session:
        taken = await take_import(session, import_id)
    if taken is None:
        return
    work = _Work(run, *taken)
    try:
        while await work.go_on():
            pass
    except asyncio.CancelledError:
        async with run.sessions.begin() as session:
            await give_back(session, work.mine)
        raise


class _Work:
    """An import under way, with what is read ahead of the file."""

    def __init__(self, run: Runtime, mine: FeedImport, feed: Feed) -> None:
        self.run = run
        self.mine = mine
        self.feed = feed
        self.ahead = b""  # of the file, from `mine.position` on
        self.now = mine.started_at or mine.created_at  # the database's time, about

    async def go_on(self) -> bool:
        """Do some rows. False: there are no more, or the import is no longer ours."""
        chunk = await self._read()
        async with self.run.turn_of_the_old(), self.run.sessions() as session:
            if not await keep_chunk(session, self.mine, self.feed, chunk):
                await session.rollback()
                log.info("import_stopped", feed=self.feed.id, file=self.mine.id)
                return False
            await session.commit()
        posts_ingested.labels(channel=self.feed.channel).inc(len(chunk.posts))
        self.ahead = self.ahead[chunk.position - self.mine.position :]
        self.mine.position, self.mine.line = chunk.position, chunk.line
        return not chunk.last

    async def _read(self) -> Chunk:
        """The next rows; more of the file is fetched where a row goes on behind what is here."""
        while True:
            if self.ahead or self.mine.position >= self.mine.size:
                source = str(self.feed.settings["source"])
                chunk = await asyncio.to_thread(read_chunk, self.mine, source, self.ahead, self.now)
                if chunk.last or chunk.position > self.mine.position:
                    return chunk
            async with self.run.sessions.begin() as session:
                self.now = (await session.execute(select(func.now()))).scalar_one()
                self.ahead += await part_at(session, self.mine.id, self.mine.position + len(self.ahead))


def read_chunk(mine: FeedImport, source: str, content: bytes, now: datetime) -> Chunk:
    """The next rows of a file, from what stands from its position on; none where the first one goes on behind it."""
    shape = Shape.model_validate(mine.shape)
    whole = mine.position + len(content) >= mine.size
    posts, rejected, position, line = [], [], mine.position, mine.line
    for row in rows_of(shape, content.decode().split("\n")[:-1], mine.line + 1, whole=whole):
        position, line = position + row.size, row.line + row.lines - 1
        if not row.blank:
            read = post_of(row, shape, source, now)
            if isinstance(read, str):
                rejected.append(Refusal(row.line, read, row.raw))
            else:
                posts.append((read, row.line, row.raw))
        if len(posts) + len(rejected) >= ROWS:
            break
    return Chunk(tuple(posts), tuple(rejected), position, line, last=position >= mine.size)
