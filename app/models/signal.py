"""What was heard in posts, what nearly the same texts are found by, and what a company tells of itself to be heard rightly."""

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.columns import Big, Created, Str, Time


class Signal(Base):
    """The signals of a post, as `app.listening.heard` of this version hears them."""

    __tablename__ = "signal"
    __table_args__ = (
        Index("ix_signal_conversation", "conversation_id", "at"),
        Index("ix_signal_copy_of", "copy_of", postgresql_where=text("copy_of IS NOT NULL")),
    )

    post_id: Mapped[Big] = mapped_column(
        ForeignKey("post.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    version: Mapped[int] = mapped_column(SmallInteger)
    heard_at: Mapped[Created]
    conversation_id: Mapped[Big]
    at: Mapped[Time]  # when we received the post
    language: Mapped[Str | None]  # to go by; None when nothing tells
    also: Mapped[Str] = mapped_column(server_default="")  # the second language of a mixed post
    confidence: Mapped[int] = mapped_column(SmallInteger)  # per cent, of what was heard
    intent: Mapped[Str] = mapped_column(server_default="")  # of app.listening.intent; empty: none
    mood: Mapped[int] = mapped_column(SmallInteger)  # -100 to 100
    upset: Mapped[int] = mapped_column(SmallInteger)  # 0 to 3
    urgent: Mapped[list[str]] = mapped_column(ARRAY(TEXT), server_default="{}")
    noise: Mapped[Str] = mapped_column(server_default="")  # empty: none
    personal: Mapped[list[str]] = mapped_column(ARRAY(TEXT), server_default="{}")  # kinds of personal data in it
    copy_of: Mapped[Big | None]  # the first post that says nearly the same
    because: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")  # by signal, the words that told


class Likeness(Base):
    """By what a text is found that says nearly the same. Only the first of alike posts has keys, and not for ever."""

    __tablename__ = "likeness"
    __table_args__ = (Index("ix_likeness_at", "at", postgresql_using="brin"),)

    key: Mapped[Big] = mapped_column(primary_key=True, autoincrement=False)
    post_id: Mapped[Big] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[Created]


class Listening(Base):
    """The one row of what the company tells of itself, and how far posts of before have been gone over."""

    __tablename__ = "listening"
    __table_args__ = (CheckConstraint("id = 1", name="one"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(SmallInteger)  # with which posts are gone over
    heard_to: Mapped[Big]  # the last post that was gone over
    tuned_at: Mapped[Created]  # what was heard before is gone over, too
    order_pattern: Mapped[Str] = mapped_column(server_default="")  # RE2
    namesakes: Mapped[list[str]] = mapped_column(ARRAY(TEXT), server_default="{}")
