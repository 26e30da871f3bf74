"""Keep rehearsals: what was asked, how far it is, and what came out."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006_rehearsal"
down_revision = "0005_presence_and_time"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rehearsal",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("agent_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("stretch", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("progress", sa.Integer(), server_default="0", nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'running', 'done', 'failed')", name=op.f("ck_rehearsal_state")),
        sa.CheckConstraint("progress BETWEEN 0 AND 100", name=op.f("ck_rehearsal_progress")),
        sa.CheckConstraint("(state = 'done') = (result IS NOT NULL)", name=op.f("ck_rehearsal_result")),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_rehearsal_agent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rehearsal")),
    )


def downgrade() -> None:
    op.drop_table("rehearsal")
