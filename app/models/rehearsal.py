"""Rehearsals: what somebody wanted to know, how far it is, and what came out."""

from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.columns import Big, Created, Id, Jsonb, Str, one_of


class RehearsalState(StrEnum):
    """How far it is."""

    WAITING = "waiting"  # for a worker
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Rehearsal(Base):
    """A changed configuration, played through a stretch of the past. See `app.flow.rehearse`."""

    __tablename__ = "rehearsal"
    __table_args__ = (
        one_of("state", RehearsalState),
        CheckConstraint("progress BETWEEN 0 AND 100", name="progress"),
        CheckConstraint("(state = 'done') = (result IS NOT NULL)", name="result"),
    )

    id: Mapped[Id]
    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"))  # who asked
    created_at: Mapped[Created]
    document: Mapped[Str]  # the configuration file
    stretch: Mapped[Jsonb]  # see app.flow.rehearse.Stretch
    state: Mapped[Str] = mapped_column(server_default=RehearsalState.WAITING)
    progress: Mapped[int] = mapped_column(server_default="0")  # per cent
    told_at: Mapped[Created]  # the worker's last sign of life
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB)  # see app.flow.rehearse.compare
    error: Mapped[Str] = mapped_column(server_default="")
