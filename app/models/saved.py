"""What agents keep to use again: saved replies, macros, and views of lists."""

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from app.db import Base
from app.models.columns import Big, Created, Id, Str


class Kept:
    """Something that is an agent's own, a team's, or (neither) everybody's."""

    id: Mapped[Id]
    agent_id: Mapped[Big | None] = mapped_column(ForeignKey("agent.id"))
    team_id: Mapped[Big | None] = mapped_column(ForeignKey("team.id", ondelete="CASCADE"))
    created_at: Mapped[Created]

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[CheckConstraint | Index, ...]:
        table: str = cls.__tablename__  # type: ignore[attr-defined]
        return (
            CheckConstraint("agent_id IS NULL OR team_id IS NULL", name="owner"),
            Index(f"ix_{table}_agent", "agent_id", postgresql_where=text("agent_id IS NOT NULL")),
            Index(f"ix_{table}_team", "team_id", postgresql_where=text("team_id IS NOT NULL")),
        )


class SavedReply(Kept, Base):
    """A text to answer with."""

    __tablename__ = "saved_reply"

    title: Mapped[Str]
    body: Mapped[Str]  # with placeholders: see app/flow/placeholders.py
    language: Mapped[Str] = mapped_column(server_default="")  # BCP 47; empty for any
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")  # its topics
    uses: Mapped[int] = mapped_column(server_default="0")


class Macro(Kept, Base):
    """Several actions under one name."""

    __tablename__ = "macro"

    name: Mapped[Str]
    steps: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)  # see app/flow/macro.py
    uses: Mapped[int] = mapped_column(server_default="0")


class SavedView(Kept, Base):
    """A list with its filter and order, under a name."""

    __tablename__ = "saved_view"

    name: Mapped[Str]
    list: Mapped[Str]  # as `?list=` names it: see app/web/lists.py
    place: Mapped[int]  # among those of the same owner, from the first
