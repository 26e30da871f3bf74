"""What agents keep to use again: saved replies, macros, and views of lists."""

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.columns import Big, Created, Id, Str

ONE_OWNER = "agent_id IS NULL OR team_id IS NULL"


class SavedReply(Base):
    """A text to answer with. It is an agent's own, a team's, or (neither) everybody's."""

    __tablename__ = "saved_reply"
    __table_args__ = (
        CheckConstraint(ONE_OWNER, name="owner"),
        Index("ix_saved_reply_agent", "agent_id", postgresql_where=text("agent_id IS NOT NULL")),
        Index("ix_saved_reply_team", "team_id", postgresql_where=text("team_id IS NOT NULL")),
    )

    id: Mapped[Id]
    title: Mapped[Str]
    body: Mapped[Str]  # with placeholders: see app/flow/placeholders.py
    language: Mapped[Str] = mapped_column(server_default="")  # BCP 47; empty for any
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")  # its topics
    agent_id: Mapped[Big | None] = mapped_column(ForeignKey("agent.id"))
    team_id: Mapped[Big | None] = mapped_column(ForeignKey("team.id", ondelete="CASCADE"))
    uses: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[Created]


class Macro(Base):
    """Several actions under one name. It is an agent's own, a team's, or (neither) everybody's."""

    __tablename__ = "macro"
    __table_args__ = (
        CheckConstraint(ONE_OWNER, name="owner"),
        Index("ix_macro_agent", "agent_id", postgresql_where=text("agent_id IS NOT NULL")),
        Index("ix_macro_team", "team_id", postgresql_where=text("team_id IS NOT NULL")),
    )

    id: Mapped[Id]
    name: Mapped[Str]
    steps: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)  # see app/flow/macro.py
    agent_id: Mapped[Big | None] = mapped_column(ForeignKey("agent.id"))
    team_id: Mapped[Big | None] = mapped_column(ForeignKey("team.id", ondelete="CASCADE"))
    uses: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[Created]


class SavedView(Base):
    """A list with its filter and order, under a name. It is an agent's own, a team's, or (neither) everybody's."""

    __tablename__ = "saved_view"
    __table_args__ = (
        CheckConstraint(ONE_OWNER, name="owner"),
        Index("ix_saved_view_agent", "agent_id", postgresql_where=text("agent_id IS NOT NULL")),
        Index("ix_saved_view_team", "team_id", postgresql_where=text("team_id IS NOT NULL")),
    )

    id: Mapped[Id]
    name: Mapped[Str]
    list: Mapped[Str]  # as `?list=` names it: see app/web/lists.py
    place: Mapped[int]  # among those of the same owner, from the first
    agent_id: Mapped[Big | None] = mapped_column(ForeignKey("agent.id"))
    team_id: Mapped[Big | None] = mapped_column(ForeignKey("team.id", ondelete="CASCADE"))
    created_at: Mapped[Created]
