"""Rules: ordered conditions on a post that decide its queue, skills, priority and tags, or discard it."""

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, SmallInteger, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.columns import Big, Created, Id, Jsonb, Str


class Rule(Base):
    """The first enabled rule whose conditions all hold decides. The last one has none and catches all."""

    __tablename__ = "rule"
    __table_args__ = (
        UniqueConstraint("position", deferrable=True, initially="DEFERRED"),
        CheckConstraint("priority BETWEEN 1 AND 5", name="priority"),
        CheckConstraint("discard OR queue_id IS NOT NULL", name="outcome"),
    )

    id: Mapped[Id]
    position: Mapped[int]
    name: Mapped[Str]
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    conditions: Mapped[Jsonb]  # see app.flow.triage.Conditions
    discard: Mapped[bool] = mapped_column(server_default=text("false"))
    queue_id: Mapped[Big | None] = mapped_column(ForeignKey("queue.id"), index=True)
    priority: Mapped[int] = mapped_column(SmallInteger, server_default="3")
    requirements: Mapped[Jsonb]  # skill id -> lowest level
    steps: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")  # how requirements relax in time
    emergency: Mapped[bool] = mapped_column(server_default=text("false"))
    tags: Mapped[list[str]] = mapped_column(ARRAY(TEXT), server_default="{}")
    updated_at: Mapped[Created]
