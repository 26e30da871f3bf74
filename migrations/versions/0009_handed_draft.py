"""Remember whose draft it was that came with an item."""

import sqlalchemy as sa
from alembic import op

revision = "0009_handed_draft"
down_revision = "0008_preferences"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "handed_draft",
        sa.Column("reply_id", sa.BigInteger(), nullable=False),
        sa.Column("agent_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["reply_id"], ["reply.id"], name=op.f("fk_handed_draft_reply_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_handed_draft_agent_id")),
        sa.PrimaryKeyConstraint("reply_id", name=op.f("pk_handed_draft")),
    )


def downgrade() -> None:
    op.drop_table("handed_draft")
