"""Keep how far the first sync of a feed is."""

import sqlalchemy as sa
from alembic import op

revision = "0041_feed_backlog"
down_revision = "0040_feed_import"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feed_backlog",
        sa.Column("feed_id", sa.BigInteger(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("posts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("left", sa.BigInteger(), nullable=True),
        sa.Column("reached", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["feed_id"], ["feed.id"], name=op.f("fk_feed_backlog_feed_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("feed_id", name=op.f("pk_feed_backlog")),
    )


def downgrade() -> None:
    op.drop_table("feed_backlog")
