"""Edit replies that stand on their channels: what they shall say, what they said, and what is being written."""

import sqlalchemy as sa
from alembic import op

revision = "0031_reply_edit"
down_revision = "0030_connecting"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reply_change", sa.Column("text", sa.Text(), nullable=True))
    op.add_column("reply_change", sa.Column("was", sa.Text(), nullable=True))
    _allow("kind IN ('delete', 'edit')")
    op.create_table(
        "revision_draft",
        sa.Column("reply_id", sa.BigInteger(), nullable=False),
        sa.Column("agent_id", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["reply_id"], ["reply.id"], name=op.f("fk_revision_draft_reply_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_revision_draft_agent_id")),
        sa.PrimaryKeyConstraint("reply_id", "agent_id", name=op.f("pk_revision_draft")),
    )


def downgrade() -> None:
    op.drop_table("revision_draft")
    op.execute("DELETE FROM reply_change WHERE kind = 'edit'")
    _allow("kind IN ('delete')")
    op.drop_column("reply_change", "was")
    op.drop_column("reply_change", "text")


def _allow(rule: str) -> None:
    """Put this rule in the place of the one that stands. The few rows of this table are read in no time."""
    op.drop_constraint(op.f("ck_reply_change_kind"), "reply_change", type_="check")
    op.create_check_constraint(op.f("ck_reply_change_kind"), "reply_change", rule)
