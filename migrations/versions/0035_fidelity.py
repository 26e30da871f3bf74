"""Keep who can read a post now, and what authors were called before."""

import sqlalchemy as sa
from alembic import op

revision = "0035_fidelity"
down_revision = "0034_context"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("post_change", sa.Column("visibility", sa.Text(), nullable=True))
    op.create_table(
        "former_handle",
        sa.Column("author_id", sa.BigInteger(), nullable=False),
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["author_id"], ["author.id"], name=op.f("fk_former_handle_author_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("author_id", "handle", name=op.f("pk_former_handle")),
    )


def downgrade() -> None:
    op.drop_table("former_handle")
    op.drop_column("post_change", "visibility")
