"""Queues: named waiting lines with their target, order, membership and what a priority is worth."""

from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, SmallInteger, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.columns import Big, Created, Id, Str, one_of


class Order(StrEnum):
    """What a queue is served by."""

    RANK = "rank"  # ready_at - boost(priority)
    DUE = "due"  # the time by which it should be answered


class Queue(Base):
    """A named waiting line. All times are in seconds, but `boosts`, which are minutes as the admin sees them."""

    __tablename__ = "queue"
    __table_args__ = (
        one_of("served_by", Order),
        CheckConstraint("cardinality(boosts) = 5", name="boosts"),
        CheckConstraint("target > 0 AND offer_seconds > 0 AND weight > 0", name="positive"),
        Index("uq_queue_name", text("lower(name)"), unique=True),
    )

    id: Mapped[Id]
    name: Mapped[Str]
    team_id: Mapped[Big] = mapped_column(ForeignKey("team.id"), index=True)  # who sees it
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    target: Mapped[int] = mapped_column(server_default="3600")  # answer within
    target_share: Mapped[int] = mapped_column(SmallInteger, server_default="80")  # per cent to be answered in time
    served_by: Mapped[Str] = mapped_column(server_default=Order.RANK)
    boosts: Mapped[list[int]] = mapped_column(ARRAY(Integer), server_default="{240,60,0,-60,-240}")  # P1 to P5
    weight: Mapped[int] = mapped_column(SmallInteger, server_default="1")  # how much one of its items counts
    offer_seconds: Mapped[int] = mapped_column(server_default="30")  # an offer is reserved for so long
    reoffer_after: Mapped[int] = mapped_column(server_default="300")  # not offered to the same agent again before
    misses_limit: Mapped[int] = mapped_column(SmallInteger, server_default="2")  # misses in a row: not ready
    undo_seconds: Mapped[int] = mapped_column(server_default="10")  # a reply is held for so long
    reopen_within: Mapped[int] = mapped_column(server_default="604800")  # a new post reopens a closed item
    created_at: Mapped[Created]

    def rank_from(self, ready_at: Any, priority: int) -> Any:
        """The rank of an item that became ready at a time (a datetime, or an SQL expression of one)."""
        if self.served_by == Order.DUE:
            return ready_at + timedelta(seconds=self.target)
        return ready_at - timedelta(minutes=self.boosts[priority - 1])


class QueueMember(Base):
    """An agent to whom the router may offer items of the queue."""

    __tablename__ = "queue_member"

    queue_id: Mapped[Big] = mapped_column(ForeignKey("queue.id", ondelete="CASCADE"), primary_key=True)
    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"), primary_key=True, index=True)
