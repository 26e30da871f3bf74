"""Several budgets of one credential, by name, and each feed's share of those that Careline counts itself."""

import sqlalchemy as sa
from alembic import op

revision = "0026_named_budget"
down_revision = "0025_reply_change"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "named_budget",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("allowance", sa.Integer(), nullable=True),
        sa.Column("remaining", sa.Integer(), nullable=True),
        sa.Column("spent", sa.Integer(), server_default="0", nullable=False),
        sa.Column("resets_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("wait_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("key", "name", name=op.f("pk_named_budget")),
    )
    op.create_table(
        "budget_share",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("feed_id", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.Integer(), server_default="0", nullable=False),
        sa.Column("resets_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["feed_id"], ["feed.id"], name=op.f("fk_budget_share_feed_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key", "name", "feed_id", name=op.f("pk_budget_share")),
    )


def downgrade() -> None:
    op.drop_table("budget_share")
    op.drop_table("named_budget")
