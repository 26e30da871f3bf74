"""How accounts are connected: consents that are asked for, and the addresses at which channels deliver."""

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.columns import Big, Created, Jsonb, Str, Time


class Consent(Base):
    """An admin is on the channel to agree that we use an account. Good for one return, of that browser, for minutes."""

    __tablename__ = "consent"

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)  # SHA-256 of the state
    account_id: Mapped[Big] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    sign_in_id: Mapped[Big] = mapped_column(ForeignKey("sign_in.id", ondelete="CASCADE"), index=True)
    verifier: Mapped[bytes] = mapped_column(LargeBinary)  # PKCE's, sealed
    redirect: Mapped[Str]  # where the channel was told to send the browser
    asked_of: Mapped[Str]  # the token endpoint; the code goes nowhere else
    expires_at: Mapped[Time] = mapped_column(index=True)


class Hook(Base):
    """An unguessable address for deliveries: of one feed, or of an app for all feeds of its accounts."""

    __tablename__ = "hook"
    __table_args__ = (
        UniqueConstraint("channel", "app"),
        CheckConstraint("num_nonnulls(feed_id, app) = 1", name="whose"),
    )

    key: Mapped[Str] = mapped_column(primary_key=True)
    channel: Mapped[Str]
    feed_id: Mapped[Big | None] = mapped_column(ForeignKey("feed.id", ondelete="CASCADE"), unique=True)
    app: Mapped[Str | None]  # as Connector.app_of names it
    told: Mapped[Jsonb]  # what the connector arranged for deliveries, and what the channel said of that
    created_at: Mapped[Created]
