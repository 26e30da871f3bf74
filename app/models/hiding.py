"""Posts that are hidden on their channels: what stands there, and what was asked for and is not done yet."""

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.columns import Big, Created, Str, Time


class PostHiding(Base):
    """Whether a post is hidden on its channel. Every write after an attempt names it, so that an old one is dropped."""

    __tablename__ = "post_hiding"
    __table_args__ = (Index("ix_post_hiding_due", "due_at", postgresql_where=text("wanted IS NOT NULL")),)

    post_id: Mapped[Big] = mapped_column(
        ForeignKey("post.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    hidden: Mapped[bool] = mapped_column(server_default=text("false"))  # as it stands on the channel, by all we know
    wanted: Mapped[bool | None]  # what was asked for and is not done yet
    agent_id: Mapped[Big | None] = mapped_column(ForeignKey("agent.id"))  # who asked last; none: somebody there
    attempt: Mapped[int] = mapped_column(server_default="0")  # only grows
    tries: Mapped[int] = mapped_column(server_default="0")  # since it was asked for
    asked_at: Mapped[Created]
    due_at: Mapped[Time | None]  # the next try, or the end of the lease of the one under way
    done_at: Mapped[Time | None]
    trouble: Mapped[Str] = mapped_column(server_default="")  # why the last try failed, in plain words
