"""Context: posts above those that came to us, fetched so that a thread can be understood.

They stand in tables of their own: they make no item, belong to no customer, count in no report, and are not searched.
"""

from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.columns import Big, Created, Id, Jsonb, Str, Time


class ContextPost(Base):
    """A post above one of a conversation. Its author is no author of ours: they wrote to somebody else."""

    __tablename__ = "context_post"
    __table_args__ = (
        UniqueConstraint("conversation_id", "external_id"),
        Index("ix_context_post_name", "channel", "external_id"),
        Index("ix_context_post_author", "channel", "author_external_id"),
        Index("ix_context_post_feed_id", "feed_id"),
    )

    id: Mapped[Id]
    conversation_id: Mapped[Big] = mapped_column(ForeignKey("conversation.id", ondelete="CASCADE"))
    feed_id: Mapped[Big | None] = mapped_column(ForeignKey("feed.id", ondelete="SET NULL"))  # by which it came
    channel: Mapped[Str]
    external_id: Mapped[Str]
    author_external_id: Mapped[Str]
    author_handle: Mapped[Str]
    author_name: Mapped[Str] = mapped_column(server_default="")
    author_url: Mapped[Str | None]
    own: Mapped[bool] = mapped_column(server_default=sql("false"))  # written by us
    visibility: Mapped[Str]
    title: Mapped[Str] = mapped_column(server_default="")
    text: Mapped[Str]
    html: Mapped[Str | None]  # hostile; sanitised whenever it is shown
    url: Mapped[Str | None]
    language: Mapped[Str | None]
    in_reply_to: Mapped[Str | None]  # external_id of the parent
    media: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")
    ref: Mapped[Jsonb]  # what the connector needs to look at it again
    posted_at: Mapped[Time]
    fetched_at: Mapped[Created]
    looked_at: Mapped[Created]


class ParentFetch(Base):
    """A post whose parents are still to be fetched. The row goes when they came, or when trying is over."""

    __tablename__ = "parent_fetch"
    __table_args__ = (
        Index("ix_parent_fetch_due", "due_at"),
        Index("ix_parent_fetch_trouble", "feed_id", postgresql_where=sql("trouble <> ''")),
    )

    post_id: Mapped[Big] = mapped_column(
        ForeignKey("post.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    feed_id: Mapped[Big] = mapped_column(ForeignKey("feed.id", ondelete="CASCADE"))
    tries: Mapped[int] = mapped_column(server_default="0")  # fence: only the holder of this try may write
    asked_at: Mapped[Created]
    due_at: Mapped[Time | None] = mapped_column(server_default=sql("now()"))  # none: given up
    trouble: Mapped[Str] = mapped_column(server_default="")  # of the last try, in plain words
