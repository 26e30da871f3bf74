"""Keep what a machine made of posts in other languages."""

import sqlalchemy as sa
from alembic import op

revision = "0022_translation"
down_revision = "0021_bulk"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "translation",
        sa.Column("post_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["post_id"], ["post.id"], name=op.f("fk_translation_post_id")),
        sa.PrimaryKeyConstraint("post_id", "language", name=op.f("pk_translation")),
    )


def downgrade() -> None:
    op.drop_table("translation")
