"""Delete replies that stand on their channels: what was asked, and how far it has come."""

import sqlalchemy as sa
from alembic import op

revision = "0025_reply_change"
down_revision = "0024_sign_replies"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reply_change",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("key", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("reply_id", sa.BigInteger(), nullable=False),
        sa.Column("agent_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("trouble", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("kind IN ('delete')", name=op.f("ck_reply_change_kind")),
        sa.CheckConstraint("state IN ('waiting', 'done', 'failed')", name=op.f("ck_reply_change_state")),
        sa.ForeignKeyConstraint(["reply_id"], ["reply.id"], name=op.f("fk_reply_change_reply_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_reply_change_agent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reply_change")),
    )
    op.create_index("ix_reply_change_reply_id", "reply_change", ["reply_id"])
    waiting = sa.text("state = 'waiting'")
    op.create_index("uq_reply_change_waiting", "reply_change", ["reply_id"], unique=True, postgresql_where=waiting)
    op.create_index("ix_reply_change_due", "reply_change", ["due_at"], postgresql_where=waiting)


def downgrade() -> None:
    op.drop_table("reply_change")
