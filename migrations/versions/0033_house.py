"""Rules of the house for each feed, and a note of what they left out."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0033_house"
down_revision = "0032_budget_once"
branch_labels = None
depends_on = None


def upgrade() -> None:
    json = postgresql.JSONB(astext_type=sa.Text())
    op.add_column("feed", sa.Column("house", json, server_default="{}", nullable=False))
    op.create_table(
        "left_out",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("feed_id", sa.BigInteger(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("facts", json, server_default="{}", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["feed_id"], ["feed.id"], name=op.f("fk_left_out_feed_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_left_out")),
        sa.UniqueConstraint("feed_id", "external_id", name=op.f("uq_left_out_feed_id_external_id")),
    )
    op.create_index("ix_left_out_feed", "left_out", ["feed_id", "at"])
    op.create_index(op.f("ix_left_out_at"), "left_out", ["at"])


def downgrade() -> None:
    op.drop_table("left_out")
    op.drop_column("feed", "house")
