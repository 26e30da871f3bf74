"""Our identities on channels, with sealed credentials and the budgets of each credential."""

from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, Date, DateTime, ForeignKey, LargeBinary, cast, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.columns import Big, Created, Id, Jsonb, Str, Time

SOON = timedelta(days=14)  # before credentials end, people are told


class Account(Base):
    """One identity on a channel (`@northwindhelp`). `sealed` opens only in the worker, by `app.vault`."""

    __tablename__ = "account"

    id: Mapped[Id]
    channel: Mapped[Str]
    name: Mapped[Str]  # for people; the handle until somebody renames it
    external_id: Mapped[Str | None]  # who we are there, once a check has said so
    handle: Mapped[Str | None]
    profile: Mapped[Jsonb]  # url, avatar_url, what the server can do
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    needs_reconnect: Mapped[bool] = mapped_column(server_default=text("false"))
    trouble: Mapped[Str] = mapped_column(server_default="")  # why, in plain words
    app: Mapped[Str] = mapped_column(server_default="")  # Connector.app_of its credentials
    ends_at: Mapped[Time | None]  # when its credentials end, as the channel told
    ends_on: Mapped[date | None]  # the same, as an admin knows it (of an app password)
    end_told: Mapped[Time | None]  # the end that admins were told of
    renewing_until: Mapped[Time | None]  # somebody refreshes its credentials; nobody else does
    created_at: Mapped[Created]


def ends() -> ColumnElement[datetime | None]:
    """When an account's credentials end: what the channel told, or the admin knows, whichever comes first."""
    return func.least(Account.ends_at, cast(Account.ends_on + 1, DateTime(timezone=True)))


class Budget(Base):
    """What is left of our allowance with one credential (or one host, where there is none).

    Replies come before polls: polls stop while `remaining` is at or below `reserve`.
    """

    __tablename__ = "budget"

    key: Mapped[Str] = mapped_column(primary_key=True)  # account:17 | host:example.org
    remaining: Mapped[int | None]
    allowance: Mapped[int | None]
    resets_at: Mapped[Time | None]
    wait_until: Mapped[Time | None]  # the channel's Retry-After; nothing is called before
    updated_at: Mapped[Created]


class NamedBudget(Base):
    """One allowance of several that a credential has (`Connector.allowances`).

    `remaining` is what the channel told; where it tells nothing, `spent` is what Careline counted until `resets_at`.
    """

    __tablename__ = "named_budget"

    key: Mapped[Str] = mapped_column(primary_key=True)  # as in `budget`
    name: Mapped[Str] = mapped_column(primary_key=True)
    title: Mapped[Str]  # for people, in the catalogue's English
    allowance: Mapped[int | None]
    remaining: Mapped[int | None]
    spent: Mapped[int] = mapped_column(server_default="0")
    resets_at: Mapped[Time | None]
    wait_until: Mapped[Time | None]  # the channel's Retry-After for this one
    updated_at: Mapped[Created]


class BudgetOnce(Base):
    """What was counted today already, of an allowance where each thing counts once a UTC day."""

    __tablename__ = "budget_once"

    key: Mapped[Str] = mapped_column(primary_key=True)
    name: Mapped[Str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    thing: Mapped[Str] = mapped_column(primary_key=True)


class BudgetShare(Base):
    """What one feed spent of a counted allowance until `resets_at`: each has its share of it."""

    __tablename__ = "budget_share"

    key: Mapped[Str] = mapped_column(primary_key=True)
    name: Mapped[Str] = mapped_column(primary_key=True)
    feed_id: Mapped[Big] = mapped_column(ForeignKey("feed.id", ondelete="CASCADE"), primary_key=True)
    spent: Mapped[int] = mapped_column(server_default="0")
    resets_at: Mapped[Time]
