"""Keep what came with a post itself: the attachments of mails."""

import sqlalchemy as sa
from alembic import op

revision = "0029_post_file"
down_revision = "0028_passed_on"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET lock_timeout = '3s'")  # the foreign key waits for posts that are being written
    op.create_table(
        "post_file",
        sa.Column("post_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["post_id"], ["post.id"], name=op.f("fk_post_file_post_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("post_id", "position", name=op.f("pk_post_file")),
    )


def downgrade() -> None:
    op.drop_table("post_file")
