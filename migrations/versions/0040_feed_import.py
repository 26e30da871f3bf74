"""Keep the files that are imported to a feed, how far each is, and the rows that were rejected."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0040_feed_import"
down_revision = "0039_signal"
branch_labels = None
depends_on = None


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)


def upgrade() -> None:
    op.create_table(
        "feed_import",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("feed_id", sa.BigInteger(), nullable=False),
        sa.Column("agent_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        _count("size"),
        sa.Column("shape", JSONB(), server_default="{}", nullable=False),
        sa.Column("state", sa.Text(), server_default="draft", nullable=False),
        _count("position"),
        _count("line"),
        _count("imported"),
        _count("known"),
        _count("left_out"),
        _count("rejected"),
        _count("attempt"),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('draft', 'running', 'done', 'stopped')", name=op.f("ck_feed_import_state")),
        sa.ForeignKeyConstraint(["feed_id"], ["feed.id"], name=op.f("fk_feed_import_feed_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_feed_import_agent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feed_import")),
    )
    op.create_index(op.f("ix_feed_import_feed_id"), "feed_import", ["feed_id"])
    op.create_index("ix_feed_import_running", "feed_import", ["id"], postgresql_where=sa.text("state = 'running'"))
    op.create_table(
        "feed_import_part",
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["feed_import.id"], name=op.f("fk_feed_import_part_import_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("import_id", "start", name=op.f("pk_feed_import_part")),
    )
    op.create_table(
        "feed_import_reject",
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("row", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["feed_import.id"], name=op.f("fk_feed_import_reject_import_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("import_id", "line", name=op.f("pk_feed_import_reject")),
    )


def downgrade() -> None:
    op.drop_table("feed_import_reject")
    op.drop_table("feed_import_part")
    op.drop_table("feed_import")
