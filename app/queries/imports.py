"""How the imports of a feed go, and what they rejected."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.feed_import import ImportReject, ImportState

SILENT = timedelta(minutes=2)  # after which a worker is missed
REJECTS_AT_ONCE = 2_000  # rows of the report read in one go
FIRST_REJECTS = 20  # shown on the page

_IMPORTS = text(
    """
    SELECT i.*, a.name AS agent, now() AS now FROM feed_import i JOIN agent a ON a.id = i.agent_id
    WHERE i.feed_id = :feed AND (CAST(:id AS bigint) IS NULL OR i.id = :id) ORDER BY i.id DESC
    """
)


@dataclass(frozen=True, slots=True)
class ImportLine:
    """One import. `percent` of its file is done."""

    id: int
    feed_id: int
    name: str
    agent: str
    state: ImportState
    shape: dict[str, Any]
    size: int
    line: int
    percent: int
    imported: int
    known: int
    left_out: int
    rejected: int
    created_at: datetime
    ended_at: datetime | None
    waits: bool  # nobody has done anything about it for a while

    @property
    def rows(self) -> int:
        """How many rows were read."""
        return self.imported + self.known + self.left_out + self.rejected


async def imports_of(session: AsyncSession, feed_id: int, import_id: int | None = None) -> list[ImportLine]:
    """The imports of a feed that are kept, newest first, or one of them."""
    return [_line(row) for row in await session.execute(_IMPORTS, {"feed": feed_id, "id": import_id})]


def _line(row: Any) -> ImportLine:
    running = row.state == ImportState.RUNNING
    return ImportLine(
        id=row.id,
        feed_id=row.feed_id,
        name=row.name,
        agent=row.agent,
        state=ImportState(row.state),
        shape=row.shape,
        size=row.size,
        line=row.line,
        percent=100 if row.state == ImportState.DONE else 100 * row.position // max(row.size, 1),
        imported=row.imported,
        known=row.known,
        left_out=row.left_out,
        rejected=row.rejected,
        created_at=row.created_at,
        ended_at=row.ended_at,
        waits=running and row.now - (row.leased_until or row.started_at) > SILENT,
    )


async def first_rejects(session: AsyncSession, import_id: int) -> list[ImportReject]:
    """The first rejected rows."""
    return [row async for row in rejects(session, import_id, most=FIRST_REJECTS)]


async def rejects(
    session: AsyncSession, import_id: int, most: int | None = None, after: int = 0
) -> AsyncIterator[ImportReject]:
    """The rejected rows in the order of the file, read some at a time."""
    rows = (
        select(ImportReject)
        .where(ImportReject.import_id == import_id, ImportReject.line > after)
        .order_by(ImportReject.line)
        .limit(most or REJECTS_AT_ONCE)
    )
    found = (await session.scalars(rows)).all()
    for one in found:
        yield one
    if most is None and len(found) == REJECTS_AT_ONCE:
        async for one in rejects(session, import_id, after=found[-1].line):
            yield one
