"""Keep what became of posts on their channels: later versions and deletions, and when they were last looked at."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012_post_change"
down_revision = "0011_lists"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "post_change",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("html", sa.Text(), nullable=True),
        sa.Column("media", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("wiped_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_post_change")),
        sa.UniqueConstraint(
            "channel",
            "external_id",
            "changed_at",
            "deleted",
            name=op.f("uq_post_change_channel_external_id_changed_at_deleted"),
        ),
    )
    op.create_index(
        "ix_post_change_unwiped",
        "post_change",
        ["seen_at"],
        postgresql_where=sa.text("deleted AND wiped_at IS NULL"),
    )
    op.create_table(
        "post_look",
        sa.Column("post_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["post_id"], ["post.id"], name=op.f("fk_post_look_post_id")),
        sa.PrimaryKeyConstraint("post_id", name=op.f("pk_post_look")),
    )
    op.create_index(op.f("ix_post_look_looked_at"), "post_look", ["looked_at"])


def downgrade() -> None:
    op.drop_table("post_look")
    op.drop_table("post_change")
