"""What arrives: posts, their authors, the customers behind them, the conversations they belong to."""

from typing import Any

from sqlalchemy import Computed, ForeignKey, Index, LargeBinary, SmallInteger, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.columns import Big, Created, Id, Jsonb, Str, Time


class Customer(Base):
    """A person: one or more authors."""

    __tablename__ = "customer"

    id: Mapped[Id]
    name: Mapped[Str]
    tier: Mapped[Str] = mapped_column(server_default="")  # of their contract; empty: none
    created_at: Mapped[Created]


class Author(Base):
    """The identity that wrote a post on one channel. `external_id` never changes; `handle` may."""

    __tablename__ = "author"
    __table_args__ = (UniqueConstraint("channel", "external_id"),)

    id: Mapped[Id]
    channel: Mapped[Str]
    external_id: Mapped[Str]
    customer_id: Mapped[Big] = mapped_column(ForeignKey("customer.id"), index=True)
    handle: Mapped[Str]
    name: Mapped[Str] = mapped_column(server_default="")
    url: Mapped[Str | None]
    avatar_url: Mapped[Str | None]
    followers: Mapped[int | None]
    created_at: Mapped[Created]


class FormerHandle(Base):
    """What an author was called before, and until when we know of it."""

    __tablename__ = "former_handle"

    author_id: Mapped[Big] = mapped_column(ForeignKey("author.id", ondelete="CASCADE"), primary_key=True)
    handle: Mapped[Str] = mapped_column(primary_key=True)
    until: Mapped[Created]


class Conversation(Base):
    """Posts that belong together: a thread, a direct-message channel, a mail thread."""

    __tablename__ = "conversation"
    __table_args__ = (UniqueConstraint("channel", "external_id"),)

    id: Mapped[Id]
    channel: Mapped[Str]
    external_id: Mapped[Str]
    customer_id: Mapped[Big | None] = mapped_column(ForeignKey("customer.id"), index=True)
    feed_id: Mapped[Big | None] = mapped_column(ForeignKey("feed.id", ondelete="SET NULL"))
    title: Mapped[Str] = mapped_column(server_default="")
    closed_reply_at: Mapped[Time | None]  # when it was told that we are closed: once is enough
    created_at: Mapped[Created]


class Post(Base):
    """What arrived, verbatim and immutable; unique by (channel, external_id) however many feeds saw it."""

    __tablename__ = "post"
    __table_args__ = (
        UniqueConstraint("channel", "external_id"),
        Index("ix_post_conversation", "conversation_id", "posted_at", "id"),
        Index("ix_post_feed", "feed_id", "id"),
        Index("ix_post_media", "conversation_id", postgresql_where=sql("media <> '[]'")),
    )

    id: Mapped[Id]
    channel: Mapped[Str]
    external_id: Mapped[Str]
    conversation_id: Mapped[Big] = mapped_column(ForeignKey("conversation.id"))
    author_id: Mapped[Big] = mapped_column(ForeignKey("author.id"), index=True)
    feed_id: Mapped[Big | None] = mapped_column(ForeignKey("feed.id", ondelete="SET NULL"))
    kind: Mapped[Str]
    visibility: Mapped[Str]
    title: Mapped[Str] = mapped_column(server_default="")
    text: Mapped[Str]
    html: Mapped[Str | None]  # hostile; sanitised whenever it is shown
    url: Mapped[Str | None]
    language: Mapped[Str | None]
    in_reply_to: Mapped[Str | None]  # external_id of the parent
    own: Mapped[bool] = mapped_column(server_default=sql("false"))  # written by us, here or on the channel itself
    repost: Mapped[bool] = mapped_column(server_default=sql("false"))
    media: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")
    ref: Mapped[Jsonb]  # what the connector needs to answer it
    payload: Mapped[Jsonb]  # what the channel sent
    posted_at: Mapped[Time]  # the channel's time, never later than received_at
    received_at: Mapped[Created]
    search: Mapped[Any] = mapped_column(
        TSVECTOR, Computed("to_tsvector('simple', left(title || ' ' || text, 20000))", persisted=True), deferred=True
    )


class PostFile(Base):
    """What came with a post itself (a mail's attachment), whole and untouched; handed out under `/media` only."""

    __tablename__ = "post_file"

    post_id: Mapped[Big] = mapped_column(ForeignKey("post.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True)  # among the post's media, from 0
    name: Mapped[Str]  # as its sender called it
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
