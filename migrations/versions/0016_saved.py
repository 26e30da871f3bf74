"""Keep saved replies and macros: an agent's own, a team's, or everybody's."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016_saved"
down_revision = "0015_search"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _kept(
        "saved_reply",
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), server_default="", nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
    )
    _kept(
        "macro",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("steps", postgresql.JSONB(), nullable=False),
    )


def _kept(table: str, *columns: sa.Column[object]) -> None:
    op.create_table(
        table,
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        *columns,
        sa.Column("agent_id", sa.BigInteger(), sa.ForeignKey("agent.id")),
        sa.Column("team_id", sa.BigInteger(), sa.ForeignKey("team.id", ondelete="CASCADE")),
        sa.Column("uses", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("agent_id IS NULL OR team_id IS NULL", name=f"ck_{table}_owner"),
    )
    op.create_index(f"ix_{table}_agent", table, ["agent_id"], postgresql_where=sa.text("agent_id IS NOT NULL"))
    op.create_index(f"ix_{table}_team", table, ["team_id"], postgresql_where=sa.text("team_id IS NOT NULL"))


def downgrade() -> None:
    op.drop_table("macro")
    op.drop_table("saved_reply")
