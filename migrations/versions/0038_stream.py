"""Keep who holds the stream of which feed, and how it goes."""

import sqlalchemy as sa
from alembic import op

revision = "0038_stream"
down_revision = "0037_ending_notice"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feed_stream",
        sa.Column("feed_id", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("live_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("trouble", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["feed_id"], ["feed.id"], name=op.f("fk_feed_stream_feed_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("feed_id", name=op.f("pk_feed_stream")),
    )


def downgrade() -> None:
    op.drop_table("feed_stream")
