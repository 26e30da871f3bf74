"""Keep what was heard in posts, and by what alike ones are found."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0039_signal"
down_revision = "0038_stream"
branch_labels = None
depends_on = None

TEXTS = postgresql.ARRAY(sa.Text())


def upgrade() -> None:
    op.create_table(
        "signal",
        sa.Column("post_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.Column("heard_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("conversation_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("also", sa.Text(), server_default="", nullable=False),
        sa.Column("confidence", sa.SmallInteger(), nullable=False),
        sa.Column("intent", sa.Text(), server_default="", nullable=False),
        sa.Column("mood", sa.SmallInteger(), nullable=False),
        sa.Column("upset", sa.SmallInteger(), nullable=False),
        sa.Column("urgent", TEXTS, server_default="{}", nullable=False),
        sa.Column("noise", sa.Text(), server_default="", nullable=False),
        sa.Column("personal", TEXTS, server_default="{}", nullable=False),
        sa.Column("copy_of", sa.BigInteger(), nullable=True),
        sa.Column("because", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(["post_id"], ["post.id"], name=op.f("fk_signal_post_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("post_id", name=op.f("pk_signal")),
    )
    op.create_index("ix_signal_conversation", "signal", ["conversation_id", "at"])
    op.create_index("ix_signal_copy_of", "signal", ["copy_of"], postgresql_where=sa.text("copy_of IS NOT NULL"))
    op.create_table(
        "likeness",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("post_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("key", "post_id", name=op.f("pk_likeness")),
    )
    op.create_index("ix_likeness_at", "likeness", ["at"], postgresql_using="brin")
    op.create_table(
        "listening",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.Column("heard_to", sa.BigInteger(), nullable=False),
        sa.Column("tuned_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("order_pattern", sa.Text(), server_default="", nullable=False),
        sa.Column("namesakes", TEXTS, server_default="{}", nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_listening_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listening")),
    )
    op.execute("INSERT INTO listening (id, version, heard_to) VALUES (1, 0, 0)")


def downgrade() -> None:
    op.drop_table("listening")
    op.drop_table("likeness")
    op.drop_table("signal")
