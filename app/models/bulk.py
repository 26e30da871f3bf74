"""What was done to many items at once: kept for a while, so that the same form sent twice does it once."""

from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.columns import Big, Created, Str


class BulkRun(Base):
    """One form that was sent: who did what to many items, and what came of each."""

    __tablename__ = "bulk_run"

    key: Mapped[UUID] = mapped_column(primary_key=True)  # of the page on which it was decided
    agent_id: Mapped[Big] = mapped_column(ForeignKey("agent.id"))
    deed: Mapped[Str]
    told: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")
    done_at: Mapped[Created] = mapped_column(index=True)
