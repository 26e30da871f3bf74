"""What was counted already today, of an allowance where each thing counts once a day."""

import sqlalchemy as sa
from alembic import op

revision = "0032_budget_once"
down_revision = "0031_reply_edit"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "budget_once",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("thing", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", "name", "day", "thing", name=op.f("pk_budget_once")),
    )


def downgrade() -> None:
    op.drop_table("budget_once")
