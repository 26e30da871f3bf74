"""Our answers and how they travel; notes that stay inside.

draft -> held (undo window) -> queued -> sending (attempt, lease; committed before the call)
      -> sent | failed (permanent, with cause) | unknown (a timeout, a reset, a crash: settled by looking)
"""

from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.columns import Big, Created, Id, Jsonb, Str, Time, one_of

LARGEST_PICTURE = 8_000_000  # bytes


class ReplyState(StrEnum):
    """Where a reply is on its way."""

    DRAFT = "draft"
    HELD = "held"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Reply(Base):
    """Our answer on the channel. Every write after `sending` carries the attempt it belongs to."""

    __tablename__ = "reply"
    __table_args__ = (
        one_of("state", ReplyState),
        Index("uq_reply_draft", "item_id", "agent_id", unique=True, postgresql_where=text("state = 'draft'")),
        Index("ix_reply_due", "due_at", postgresql_where=text("state IN ('held', 'queued', 'sending', 'unknown')")),
        Index("ix_reply_conversation", "conversation_id", "id"),
        Index("ix_reply_item", "item_id", "id"),
        Index(
            "uq_reply_external", "channel", "external_id", unique=True, postgresql_where=text("external_id IS NOT NULL")
        ),
    )

    id: Mapped[Id]
    key: Mapped[UUID] = mapped_column(unique=True, server_default=text("gen_random_uuid()"))
    item_id: Mapped[Big] = mapped_column(ForeignKey("item.id"))
    conversation_id: Mapped[Big] = mapped_column(ForeignKey("conversation.id"))
    post_id: Mapped[Big] = mapped_column(ForeignKey("post.id"))  # the post it answers
    agent_id: Mapped[Big | None] = mapped_column(ForeignKey("agent.id"))  # none: Careline itself, as its queue is set
    channel: Mapped[Str]
    account_id: Mapped[Big | None] = mapped_column(ForeignKey("account.id"))
    state: Mapped[Str] = mapped_column(server_default=ReplyState.DRAFT)
    version: Mapped[int] = mapped_column(server_default="1")  # of the draft; a stale save is refused
    text: Mapped[Str]
    visibility: Mapped[Str]
    then_close: Mapped[Str | None]  # the disposition to close the item with once the reply is on its way
    prepared: Mapped[Jsonb]  # frozen when enqueued
    created_at: Mapped[Created]
    due_at: Mapped[Time | None]  # when the next step is to be taken: end of the undo window, next try, lease's end
    enqueued_at: Mapped[Time | None]
    attempt: Mapped[int] = mapped_column(server_default="0")
    attempted_at: Mapped[Time | None]  # the first try
    sent_at: Mapped[Time | None]
    external_id: Mapped[Str | None]
    ref: Mapped[Jsonb]  # what the connector needs to go on from it
    url: Mapped[Str | None]
    trouble: Mapped[Str] = mapped_column(server_default="")  # cause and remedy in plain words


class Attachment(Base):
    """A picture of a draft, and of the reply that the draft becomes: then neither it nor its description changes."""

    __tablename__ = "attachment"
    __table_args__ = (
        CheckConstraint(f"octet_length(content) <= {LARGEST_PICTURE}", name="size"),
        CheckConstraint("kind IN ('image/jpeg', 'image/png')", name="kind"),
    )

    id: Mapped[Id]
    reply_id: Mapped[Big] = mapped_column(ForeignKey("reply.id", ondelete="CASCADE"), index=True)
    name: Mapped[Str]  # as the agent's file was called
    kind: Mapped[Str]
    width: Mapped[int]
    height: Mapped[int]
    alt: Mapped[Str] = mapped_column(server_default="")
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    created_at: Mapped[Created]


class ReplyPart(Base):
    """One post of a reply that is sent as a thread. A later one waits, held and without a time, for the one before it."""

    __tablename__ = "reply_part"
    __table_args__ = (UniqueConstraint("head_id", "position"),)

    reply_id: Mapped[Big] = mapped_column(ForeignKey("reply.id", ondelete="CASCADE"), primary_key=True)
    head_id: Mapped[Big] = mapped_column(ForeignKey("reply.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(SmallInteger)  # from 1
    parts: Mapped[int] = mapped_column(SmallInteger)  # in all
    source: Mapped[Str]  # as it was typed: all parts joined are what was written


class ChangeKind(StrEnum):
    """What is done to a reply that stands on its channel."""

    DELETE = "delete"
    EDIT = "edit"


class ChangeState(StrEnum):
    """How far it has come. A repeat is harmless, so one whose outcome nobody knows simply waits for the next try."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


class ReplyChange(Base):
    """A sent reply is edited or deleted on its channel. A deleted one keeps what it said; an edited one says what stands."""

    __tablename__ = "reply_change"
    __table_args__ = (
        one_of("kind", ChangeKind),
        one_of("state", ChangeState),
        Index("uq_reply_change_waiting", "reply_id", unique=True, postgresql_where=text("state = 'waiting'")),
        Index("ix_reply_change_due", "due_at", postgresql_where=text("state = 'waiting'")),
    )

    id: Mapped[Id]
    key: Mapped[UUID] = mapped_column(server_default=text("gen_random_uuid()"))  # the same at every try
    reply_id: Mapped[Big] = mapped_column(ForeignKey("reply.id", ondelete="CASCADE"), index=True)
    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"))  # who asked for it
    kind: Mapped[Str]
    text: Mapped[Str | None]  # of an edit: what the reply shall say
    was: Mapped[Str | None]  # of an edit that is done: what it said before
    state: Mapped[Str] = mapped_column(server_default=ChangeState.WAITING)
    attempt: Mapped[int] = mapped_column(server_default="0")
    asked_at: Mapped[Created]
    due_at: Mapped[Time | None]  # the next try, or the end of the lease of the one under way
    done_at: Mapped[Time | None]
    trouble: Mapped[Str] = mapped_column(server_default="")  # cause and remedy in plain words


class RevisionDraft(Base):
    """What an agent has written of an edit of a sent reply, and not sent."""

    __tablename__ = "revision_draft"
    __table_args__ = (PrimaryKeyConstraint("reply_id", "agent_id"),)

    reply_id: Mapped[Big] = mapped_column(ForeignKey("reply.id", ondelete="CASCADE"))
    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"))
    text: Mapped[Str]
    saved_at: Mapped[Created]


class HandedDraft(Base):
    """A draft that somebody began who gave the item away; whoever goes on with it sees whose it was."""

    __tablename__ = "handed_draft"

    reply_id: Mapped[Big] = mapped_column(ForeignKey("reply.id", ondelete="CASCADE"), primary_key=True)
    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"))  # who began it
    at: Mapped[Created]


class Note(Base):
    """A remark on an item, seen only inside."""

    __tablename__ = "note"

    id: Mapped[Id]
    item_id: Mapped[Big] = mapped_column(ForeignKey("item.id"), index=True)
    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"))
    text: Mapped[Str]
    created_at: Mapped[Created]
