"""What was done to many items at once."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021_bulk"
down_revision = "0020_notice_free"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bulk_run",
        sa.Column("key", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.BigInteger(), nullable=False),
        sa.Column("deed", sa.Text(), nullable=False),
        sa.Column("told", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_bulk_run_agent_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_bulk_run")),
    )
    op.create_index(op.f("ix_bulk_run_done_at"), "bulk_run", ["done_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_bulk_run_done_at"), table_name="bulk_run")
    op.drop_table("bulk_run")
