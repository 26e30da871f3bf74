"""Feeds: configured sources with their cursor, lease and health; streams; quarantined posts; pushed deliveries."""

from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.columns import Big, Created, Id, Jsonb, Str, Time, one_of

NEVER = datetime(9999, 1, 1, tzinfo=UTC)  # the next poll of a feed that is pushed to


class Health(StrEnum):
    """How a feed is doing; the words beside it are in `trouble`."""

    NEW = "new"  # never fetched
    OK = "ok"
    DEGRADED = "degraded"  # works, with less than we asked for
    FAILING = "failing"  # the last tries failed; backing off
    STOPPED = "stopped"  # a person has to do something


class Feed(Base):
    """One configured source. Its lease, cursor, back-off and failures are its own; no other feed waits for it."""

    __tablename__ = "feed"
    __table_args__ = (
        one_of("health", Health),
        CheckConstraint("min_interval > 0 AND max_interval >= min_interval", name="interval"),
        Index("ix_feed_due", "next_poll_at", postgresql_where=text("enabled")),
    )

    id: Mapped[Id]
    name: Mapped[Str]
    channel: Mapped[Str]  # the connector's name
    account_id: Mapped[Big | None] = mapped_column(ForeignKey("account.id"), index=True)
    settings: Mapped[Jsonb]
    house: Mapped[Jsonb]  # its rules of the house, those that ask for something: app.flow.house.House
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    import_backlog: Mapped[bool] = mapped_column(server_default=text("false"))  # queue what the first sync brings
    cursor: Mapped[Jsonb]
    min_interval: Mapped[int] = mapped_column(server_default="15")  # seconds
    max_interval: Mapped[int] = mapped_column(server_default="300")  # seconds
    interval: Mapped[int] = mapped_column(server_default="15")  # seconds, adapted to how much comes
    next_poll_at: Mapped[Created]
    attempt: Mapped[Big] = mapped_column(server_default="0")  # fence: only the holder of this attempt may write
    leased_until: Mapped[Time | None]
    synced_at: Mapped[Time | None]  # end of the first sync; until then posts are imported silently
    health: Mapped[Str] = mapped_column(server_default=Health.NEW)
    trouble: Mapped[Str] = mapped_column(server_default="")  # in plain words
    failures: Mapped[int] = mapped_column(server_default="0")  # in a row
    ok_at: Mapped[Time | None]
    post_at: Mapped[Time | None]  # when the newest post was ingested
    created_at: Mapped[Created]


class FeedStream(Base):
    """The stream of a feed: one process holds it by a lease of its own, polls go on beneath.

    `epoch` is the fence: it grows with each holder and whenever somebody changes the feed, and only the holder of
    this one may write.
    """

    __tablename__ = "feed_stream"

    feed_id: Mapped[Big] = mapped_column(ForeignKey("feed.id", ondelete="CASCADE"), primary_key=True)
    epoch: Mapped[Big] = mapped_column(server_default="0")
    leased_until: Mapped[Time | None]
    live_at: Mapped[Time | None]  # since when the connection stands; None: it does not
    next_at: Mapped[Created]  # when it is tried again
    failures: Mapped[int] = mapped_column(server_default="0")  # in a row
    trouble: Mapped[Str] = mapped_column(server_default="")  # why it does not stand, in plain words


class FeedBacklog(Base):
    """How far the first sync of a feed is. `left` is told where the channel tells it."""

    __tablename__ = "feed_backlog"

    feed_id: Mapped[Big] = mapped_column(ForeignKey("feed.id", ondelete="CASCADE"), primary_key=True)
    begun_at: Mapped[Created]
    posts: Mapped[Big] = mapped_column(server_default="0")  # brought so far, known ones among them
    left: Mapped[Big | None]  # still to come
    reached: Mapped[Time | None]  # when the last one that was brought was written
    ended_at: Mapped[Time | None]


class Quarantine(Base):
    """A post that could not be read or stored, kept with its payload until a person retries or drops it."""

    __tablename__ = "quarantine"
    __table_args__ = (UniqueConstraint("feed_id", "external_id"),)

    id: Mapped[Id]
    feed_id: Mapped[Big] = mapped_column(ForeignKey("feed.id", ondelete="CASCADE"))
    external_id: Mapped[Str]
    reason: Mapped[Str]
    payload: Mapped[Jsonb]
    tries: Mapped[int] = mapped_column(server_default="1")
    first_at: Mapped[Created]
    last_at: Mapped[Created]
    resolved_at: Mapped[Time | None]


class LeftOut(Base):
    """A post that the rules of the house left out: what they looked at, for a month, never more."""

    __tablename__ = "left_out"
    __table_args__ = (UniqueConstraint("feed_id", "external_id"), Index("ix_left_out_feed", "feed_id", "at"))

    id: Mapped[Id]
    feed_id: Mapped[Big] = mapped_column(ForeignKey("feed.id", ondelete="CASCADE"))
    external_id: Mapped[Str]
    why: Mapped[Str]
    detail: Mapped[Str] = mapped_column(server_default="")
    posted_at: Mapped[Time]
    facts: Mapped[Jsonb]
    at: Mapped[Created] = mapped_column(index=True)


class Delivery(Base):
    """A pushed delivery that was taken, so that its repeat is dropped."""

    __tablename__ = "delivery"

    feed_id: Mapped[Big] = mapped_column(ForeignKey("feed.id", ondelete="CASCADE"), primary_key=True)
    delivery_id: Mapped[Str] = mapped_column(primary_key=True)
    received_at: Mapped[Created] = mapped_column(index=True)
