"""Keep views: a list with its filter and order, under a name."""

import sqlalchemy as sa
from alembic import op

revision = "0023_saved_view"
down_revision = "0022_translation"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "saved_view",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("list", sa.Text(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("agent_id", sa.BigInteger(), sa.ForeignKey("agent.id")),
        sa.Column("team_id", sa.BigInteger(), sa.ForeignKey("team.id", ondelete="CASCADE")),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("agent_id IS NULL OR team_id IS NULL", name="ck_saved_view_owner"),
    )
    for owner in ("agent", "team"):
        there = sa.text(f"{owner}_id IS NOT NULL")
        op.create_index(f"ix_saved_view_{owner}", "saved_view", [f"{owner}_id"], postgresql_where=there)


def downgrade() -> None:
    op.drop_table("saved_view")
