"""Who is asked and who holds: offers and assignments."""

from enum import StrEnum

from sqlalchemy import ForeignKey, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.columns import Big, Created, Id, Jsonb, Str, Time, one_of


class Outcome(StrEnum):
    """How an offer ended. Open offers have none."""

    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"  # RONA
    REVOKED = "revoked"


MOST_EXTENSIONS = 10  # of one offer


class Offer(Base):
    """An item reserved for one agent until `expires_at`. At most one open offer an item."""

    __tablename__ = "offer"
    __table_args__ = (
        one_of("outcome", Outcome),
        Index("uq_offer_open", "item_id", unique=True, postgresql_where=text("outcome IS NULL")),
        Index("ix_offer_expiry", "expires_at", postgresql_where=text("outcome IS NULL")),
        Index("ix_offer_item", "item_id", "agent_id", "ended_at"),
        Index("ix_offer_agent", "agent_id", "made_at"),
        Index("ix_offer_told", "ended_at", postgresql_where=text("why <> '{}' AND outcome IS NOT NULL")),
    )

    id: Mapped[Id]
    item_id: Mapped[Big] = mapped_column(ForeignKey("item.id"))
    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"))
    made_at: Mapped[Created]
    expires_at: Mapped[Time]
    extended: Mapped[int] = mapped_column(SmallInteger, server_default="0")  # how often its agent asked for more time
    outcome: Mapped[Str | None]
    ended_at: Mapped[Time | None]
    reason: Mapped[Str | None]
    why: Mapped[Jsonb]  # the decision: candidates, score parts, rejections


class Assignment(Base):
    """Who holds an item from when to when. At most one without an end."""

    __tablename__ = "assignment"
    __table_args__ = (
        Index("uq_assignment_live", "item_id", unique=True, postgresql_where=text("until IS NULL")),
        Index("ix_assignment_agent", "agent_id", "since"),
        Index("ix_assignment_passed", "item_id", "until", postgresql_where=text("ended_by IN ('release', 'transfer')")),
    )

    id: Mapped[Id]
    item_id: Mapped[Big] = mapped_column(ForeignKey("item.id"))
    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"))
    since: Mapped[Created]
    until: Mapped[Time | None]
    began_by: Mapped[Str]  # accept | claim | assign | transfer
    ended_by: Mapped[Str | None]  # release | close | wake ...


class RouterLease(Base):
    """One router decides at a time: whoever holds the row until `expires_at`, at this `epoch`."""

    __tablename__ = "router_lease"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    holder: Mapped[Str]
    epoch: Mapped[Big]
    expires_at: Mapped[Time]
