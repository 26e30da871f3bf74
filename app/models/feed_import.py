"""Imports: a file that somebody brings to a feed, how its columns are read, how far it is, and what was rejected."""

from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.columns import Big, Created, Id, Jsonb, Str, Time, one_of


class ImportState(StrEnum):
    """How far it is."""

    DRAFT = "draft"  # uploaded; somebody says how it is to be read
    RUNNING = "running"  # to be done by whichever worker leases it
    DONE = "done"
    STOPPED = "stopped"  # by a person; what was imported stays


class FeedImport(Base):
    """One file for one feed. `position` and the counts move in the transaction that stores the posts before them."""

    __tablename__ = "feed_import"
    __table_args__ = (
        one_of("state", ImportState),
        Index("ix_feed_import_running", "id", postgresql_where=text("state = 'running'")),
    )

    id: Mapped[Id]
    feed_id: Mapped[Big] = mapped_column(ForeignKey("feed.id", ondelete="CASCADE"), index=True)
    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"))  # who brought it
    created_at: Mapped[Created]
    name: Mapped[Str]  # of the file
    size: Mapped[Big] = mapped_column(server_default="0")  # bytes, as kept: UTF-8, lines ending in LF
    shape: Mapped[Jsonb]  # how it is read: app.flow.sheet_columns.Shape
    state: Mapped[Str] = mapped_column(server_default=ImportState.DRAFT)
    position: Mapped[Big] = mapped_column(server_default="0")  # bytes that are done
    line: Mapped[Big] = mapped_column(server_default="0")  # lines that are done
    imported: Mapped[Big] = mapped_column(server_default="0")
    known: Mapped[Big] = mapped_column(server_default="0")
    left_out: Mapped[Big] = mapped_column(server_default="0")
    rejected: Mapped[Big] = mapped_column(server_default="0")
    attempt: Mapped[Big] = mapped_column(server_default="0")  # fence: only the holder of this attempt may write
    leased_until: Mapped[Time | None]
    started_at: Mapped[Time | None]
    ended_at: Mapped[Time | None]


class ImportPart(Base):
    """A stretch of the file, whole lines of it; dropped when the import ends."""

    __tablename__ = "feed_import_part"

    import_id: Mapped[Big] = mapped_column(ForeignKey("feed_import.id", ondelete="CASCADE"), primary_key=True)
    start: Mapped[Big] = mapped_column(primary_key=True)  # where in the file, in bytes
    content: Mapped[bytes] = mapped_column(LargeBinary)


class ImportReject(Base):
    """A row that was not imported, and why, in plain words."""

    __tablename__ = "feed_import_reject"

    import_id: Mapped[Big] = mapped_column(ForeignKey("feed_import.id", ondelete="CASCADE"), primary_key=True)
    line: Mapped[Big] = mapped_column(primary_key=True)  # where it begins
    reason: Mapped[Str]
    row: Mapped[Str]  # as it stands in the file, its beginning
