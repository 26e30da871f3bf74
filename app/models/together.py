"""Working together on an item: notices, watches, mentions, consults, requests for what a colleague holds, and viewers."""

from datetime import timedelta
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, PrimaryKeyConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.columns import Big, Created, Id, Jsonb, Str, Time, one_of

SEEN = timedelta(seconds=15)  # without a sign for so long, who looked on has gone
TYPED = timedelta(seconds=6)  # and writes no more


class NoticeKind(StrEnum):
    """Why somebody is told."""

    MENTION = "mention"
    CONSULT = "consult"  # they are asked as an expert
    ANSWER = "answer"  # their question was answered
    WANTED = "wanted"  # a colleague asks for the item they hold
    GIVEN = "given"  # what they asked for is theirs
    KEPT = "kept"  # its holder keeps it
    TAKEN = "taken"  # somebody took it over from them
    TRANSFER = "transfer"  # it was put into their hands
    WATCHED = "watched"  # an item that they watch changed
    FAILED = "failed"  # a reply of theirs did not arrive
    WOKE = "woke"  # what they parked came back


class Notice(Base):
    """Something that an agent should know, about one item. Whether they may see the item is asked when it is read."""

    __tablename__ = "notice"
    __table_args__ = (
        one_of("kind", NoticeKind),
        Index("ix_notice_agent", "agent_id", "id"),
        Index("ix_notice_unread", "agent_id", "item_id", postgresql_where=text("read_at IS NULL")),
        Index(
            "uq_notice_watched",
            "agent_id",
            "item_id",
            unique=True,
            postgresql_where=text("kind = 'watched' AND read_at IS NULL"),
        ),
        Index("ix_notice_at", "at"),
    )

    id: Mapped[Id]
    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"))  # who is told
    kind: Mapped[Str]
    item_id: Mapped[Big]  # without a reference, whose check would lock the item; items are never deleted
    actor_id: Mapped[Big | None] = mapped_column(ForeignKey("agent.id"))  # who caused it; none: Careline itself
    at: Mapped[Created]
    read_at: Mapped[Time | None]
    why: Mapped[Jsonb]


class AccountNotice(Base):
    """Something that an admin should know about an account of ours: that its credentials end soon.

    Its ids are of one row with those of notices about items, so that both are listed together.
    """

    __tablename__ = "account_notice"
    __table_args__ = (Index("ix_account_notice_agent", "agent_id", "id"),)

    id: Mapped[Big] = mapped_column(primary_key=True, server_default=text("nextval('notice_id_seq')"))
    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"))
    account_id: Mapped[Big] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    at: Mapped[Created]
    read_at: Mapped[Time | None]


class Watch(Base):
    """An agent wants to be told what becomes of an item."""

    __tablename__ = "watch"
    __table_args__ = (PrimaryKeyConstraint("item_id", "agent_id"), Index("ix_watch_agent", "agent_id"))

    item_id: Mapped[Big] = mapped_column(ForeignKey("item.id"))
    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"))
    since: Mapped[Created]
    event_id: Mapped[Big]  # they have been told of the item's events up to this one


class Mention(Base):
    """A note names a colleague. Who could not see the item then was not told."""

    __tablename__ = "mention"
    __table_args__ = (PrimaryKeyConstraint("note_id", "agent_id"),)

    note_id: Mapped[Big] = mapped_column(ForeignKey("note.id", ondelete="CASCADE"))
    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"))
    told: Mapped[bool]


class Consult(Base):
    """A question to a colleague, or to all who have a skill or are in a team; the first answer ends it."""

    __tablename__ = "consult"
    __table_args__ = (Index("ix_consult_item", "item_id", "id"),)

    id: Mapped[Id]
    item_id: Mapped[Big] = mapped_column(ForeignKey("item.id"))
    asker_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"))
    whom: Mapped[Str]  # the colleague, skill or team as it was called then
    question: Mapped[Str]
    asked_at: Mapped[Created]
    answer: Mapped[Str | None]
    answerer_id: Mapped[Big | None] = mapped_column(ForeignKey("agent.id"))
    answered_at: Mapped[Time | None]
    withdrawn_at: Mapped[Time | None]


class ConsultExpert(Base):
    """Somebody who is asked: while the question is open, and after their own answer, they may see the item."""

    __tablename__ = "consult_expert"
    __table_args__ = (PrimaryKeyConstraint("consult_id", "agent_id"), Index("ix_consult_expert_agent", "agent_id"))

    consult_id: Mapped[Big] = mapped_column(ForeignKey("consult.id", ondelete="CASCADE"))
    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"))


class RequestOutcome(StrEnum):
    """How a request ended. Open ones have none, and say nothing any more once the item has another holder."""

    GIVEN = "given"
    KEPT = "kept"
    WITHDRAWN = "withdrawn"


class ItemRequest(Base):
    """An agent asks the holder of an item for it. At most one open request of an agent for an item."""

    __tablename__ = "item_request"
    __table_args__ = (
        one_of("outcome", RequestOutcome),
        Index("uq_item_request_open", "item_id", "asker_id", unique=True, postgresql_where=text("outcome IS NULL")),
    )

    id: Mapped[Id]
    item_id: Mapped[Big] = mapped_column(ForeignKey("item.id"))
    asker_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"))
    holder_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"))
    asked_at: Mapped[Created]
    outcome: Mapped[Str | None]
    ended_at: Mapped[Time | None]


class Viewer(Base):
    """Somebody has an item before their eyes. Not logged, and without references: their checks would lock the item."""

    __tablename__ = "viewer"
    __table_args__ = (PrimaryKeyConstraint("item_id", "agent_id"), {"prefixes": ["UNLOGGED"]})

    item_id: Mapped[Big] = mapped_column(autoincrement=False)
    agent_id: Mapped[Big] = mapped_column(autoincrement=False)
    seen_at: Mapped[Created]
    typing_at: Mapped[Time | None]
