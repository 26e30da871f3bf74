"""Hide posts on their channels: what stands there, and what was asked for and is not done yet."""

import sqlalchemy as sa
from alembic import op

revision = "0027_post_hiding"
down_revision = "0026_named_budget"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "post_hiding",
        sa.Column("post_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hidden", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=True),
        sa.Column("agent_id", sa.BigInteger(), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("trouble", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["post_id"], ["post.id"], name=op.f("fk_post_hiding_post_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_post_hiding_agent_id")),
        sa.PrimaryKeyConstraint("post_id", name=op.f("pk_post_hiding")),
    )
    op.create_index("ix_post_hiding_due", "post_hiding", ["due_at"], postgresql_where=sa.text("wanted IS NOT NULL"))


def downgrade() -> None:
    op.drop_table("post_hiding")
