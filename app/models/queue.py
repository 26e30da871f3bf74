"""Queues: named waiting lines with their target, order, membership and what a priority is worth."""

from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, SmallInteger, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.i18n import _
from app.models.columns import Big, Created, Id, Jsonb, Str, one_of


class Order(StrEnum):
    """What a queue is served by."""

    RANK = "rank"  # ready_at - boost(priority)
    DUE = "due"  # the time by which it should be answered

    @property
    def words(self) -> str:
        """For people."""
        return _("Rank") if self is Order.RANK else _("Due time")


class Policy(StrEnum):
    """Who of the eligible gets an item; ties go to the longest available."""

    LONGEST = "longest"  # longest available
    SPARE = "spare"  # most spare capacity
    SKILLED = "skilled"  # best skilled

    @property
    def words(self) -> str:
        """For people."""
        return {
            Policy.LONGEST: _("Longest available"),
            Policy.SPARE: _("Most spare capacity"),
            Policy.SKILLED: _("Best skilled"),
        }[self]


class Queue(Base):
    """A named waiting line. All times are in seconds, but `boosts`, which are minutes as the admin sees them."""

    __tablename__ = "queue"
    __table_args__ = (
        one_of("served_by", Order),
        one_of("policy", Policy),
        CheckConstraint("overflow_queue_id IS NULL OR overflow_queue_id <> id", name="overflow"),
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
    policy: Mapped[Str] = mapped_column(server_default=Policy.LONGEST)
    channel_weights: Mapped[Jsonb]  # channel -> weight of its items, where it is not `weight`
    auto_accept: Mapped[bool] = mapped_column(server_default=text("false"))  # an offer is accepted as it is made
    emergency_over: Mapped[bool] = mapped_column(server_default=text("false"))  # emergencies may exceed capacity by one
    prefer_seconds: Mapped[int] = mapped_column(server_default="0")  # wait so long for the agent who knows the customer
    overflow_queue_id: Mapped[Big | None] = mapped_column(ForeignKey("queue.id"))
    overflow_after: Mapped[int | None]  # waiting so long sends an item there
    overflow_when_nobody: Mapped[bool] = mapped_column(server_default=text("false"))  # so does: nobody who could is in
    wrap_up: Mapped[int] = mapped_column(server_default="0")  # time for the after-work of a closed item
    wrap_up_most: Mapped[int] = mapped_column(server_default="600")  # with its extensions
    return_after: Mapped[int] = mapped_column(server_default="900")  # active items of an agent whose desk is gone
    timezone: Mapped[Str] = mapped_column(server_default="UTC")
    hours: Mapped[Jsonb]  # weekday (mon ... sun) -> [["09:00", "17:30"], ...]; empty: always open
    holidays: Mapped[list[str]] = mapped_column(ARRAY(TEXT), server_default="{}")  # dates on which it is closed
    closed_reply: Mapped[Str] = mapped_column(server_default="")  # sent once a conversation outside the hours
    park_close_after: Mapped[int | None]  # a parked item that waits for the customer closes by itself
    park_close_reply: Mapped[Str] = mapped_column(server_default="")  # its last message; empty: none
    take_over_after: Mapped[int] = mapped_column(
        server_default="600"
    )  # a holder so long away can be relieved; 0: always
    sign_replies: Mapped[bool] = mapped_column(server_default=text("false"))  # with the agent's initials
    raises: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")  # signals that raise the rank
    created_at: Mapped[Created]


class QueueMember(Base):
    """An agent to whom the router may offer items of the queue."""

    __tablename__ = "queue_member"

    queue_id: Mapped[Big] = mapped_column(ForeignKey("queue.id", ondelete="CASCADE"), primary_key=True)
    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"), primary_key=True, index=True)
