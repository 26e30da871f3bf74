"""Send a long reply as a thread: which posts it is, and where each of them stands."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019_reply_part"
down_revision = "0018_person"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reply", sa.Column("ref", postgresql.JSONB(), server_default="{}", nullable=False))
    op.create_table(
        "reply_part",
        sa.Column("reply_id", sa.BigInteger(), nullable=False),
        sa.Column("head_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("parts", sa.SmallInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["reply_id"], ["reply.id"], name=op.f("fk_reply_part_reply_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["head_id"], ["reply.id"], name=op.f("fk_reply_part_head_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("reply_id", name=op.f("pk_reply_part")),
        sa.UniqueConstraint("head_id", "position", name=op.f("uq_reply_part_head_id_position")),
    )


def downgrade() -> None:
    op.drop_table("reply_part")
    op.drop_column("reply", "ref")
