"""What became of posts on their channels after they had arrived: edits and deletions, beside the posts themselves."""

from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Index, UniqueConstraint, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.selectable import LateralFromClause

from app.db import Base
from app.models.columns import Big, Created, Id, Str, Time
from app.models.post import Post


class PostChange(Base):
    """A later version of a post, or its deletion. A post stays as it arrived; its newest change is what stands now.

    Named by the channel's id, as a change may be told before its post.
    """

    __tablename__ = "post_change"
    __table_args__ = (
        UniqueConstraint("channel", "external_id", "changed_at", "deleted"),
        Index("ix_post_change_unwiped", "seen_at", postgresql_where=text("deleted AND wiped_at IS NULL")),
    )

    id: Mapped[Id]
    channel: Mapped[Str]
    external_id: Mapped[Str]
    deleted: Mapped[bool] = mapped_column(server_default=text("false"))
    title: Mapped[Str | None]  # none: as it was
    text: Mapped[Str] = mapped_column(server_default="")
    html: Mapped[Str | None]  # hostile; sanitised whenever it is shown
    media: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True))  # none: as they were
    visibility: Mapped[Str | None]  # none: as before
    changed_at: Mapped[Time]  # the channel's time: what is newest by it stands
    seen_at: Mapped[Created]
    wiped_at: Mapped[Time | None]  # of a deletion: when what the post had said was taken out


class PostLook(Base):
    """When a post was last looked at on a channel that does not tell of changes by itself."""

    __tablename__ = "post_look"

    post_id: Mapped[Big] = mapped_column(ForeignKey("post.id"), primary_key=True, autoincrement=False)
    looked_at: Mapped[Created] = mapped_column(index=True)


def newest_version() -> LateralFromClause:
    """What stands now of a post that was edited (title, text, media), to be joined to Post; nothing where it was not."""
    edits = select(PostChange.title, PostChange.text, PostChange.media).where(
        PostChange.channel == Post.channel, PostChange.external_id == Post.external_id, ~PostChange.deleted
    )
    return edits.order_by(PostChange.changed_at.desc()).limit(1).correlate(Post).lateral("newest")


def first_words(newest: LateralFromClause, most: int) -> ColumnElement[str]:
    """The first characters of what a post says now, its title first. `newest` is its `newest_version`, outer-joined."""
    title, said = func.coalesce(newest.c.title, Post.title), func.coalesce(newest.c.text, Post.text)
    return func.left(func.concat_ws(". ", func.nullif(title, ""), said), most)
