"""Events: who did what to an item, when and why. Append-only; replaying them gives the item's row."""

from enum import StrEnum

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.columns import Big, Created, Id, Jsonb, Str, one_of


class ActorKind(StrEnum):
    """Who acts."""

    AGENT = "agent"
    ROUTER = "router"
    FEED = "feed"
    SYSTEM = "system"


class Event(Base):
    """One thing that happened. `changes` holds the item's columns it set, `why` what a person wants to know."""

    __tablename__ = "event"
    __table_args__ = (
        one_of("actor", ActorKind),
        Index("ix_event_item", "item_id", "id"),
        Index("ix_event_at", "at", postgresql_using="brin"),
        Index("ix_event_agent", "agent_id", "at", postgresql_where=text("agent_id IS NOT NULL")),
    )

    id: Mapped[Id]
    item_id: Mapped[Big] = mapped_column(ForeignKey("item.id"))
    at: Mapped[Created]
    verb: Mapped[Str]
    actor: Mapped[Str]
    agent_id: Mapped[Big | None] = mapped_column(ForeignKey("agent.id"))  # who, when the actor is an agent
    changes: Mapped[Jsonb]
    why: Mapped[Jsonb]
