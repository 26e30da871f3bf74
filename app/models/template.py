"""Approved texts of channels that take no words of our own for a while, and which reply was made of one."""

from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.columns import Big, Created, Id, Str


class ChannelTemplate(Base):
    """A text that the channel has approved for an account of ours, as it stood there when it was last asked."""

    __tablename__ = "channel_template"
    __table_args__ = (UniqueConstraint("account_id", "name", "language"),)

    id: Mapped[Id]
    account_id: Mapped[Big] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    name: Mapped[Str]
    language: Mapped[Str]
    body: Mapped[Str]
    header: Mapped[Str] = mapped_column(server_default="")
    footer: Mapped[Str] = mapped_column(server_default="")
    variables: Mapped[list[str]] = mapped_column(JSONB, server_default="[]")
    named: Mapped[bool] = mapped_column(server_default=text("false"))
    seen_at: Mapped[Created]


class ReplyTemplate(Base):
    """The template that a reply is sent as, frozen with its blanks filled in."""

    __tablename__ = "reply_template"

    reply_id: Mapped[Big] = mapped_column(ForeignKey("reply.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[Str]
    language: Mapped[Str]
    values: Mapped[list[list[Any]]] = mapped_column(
        JSONB, server_default="[]"
    )  # pairs of variable and what stands there
    named: Mapped[bool] = mapped_column(server_default=text("false"))
