"""A queue may sign replies with the agents' initials."""

import sqlalchemy as sa
from alembic import op

revision = "0024_sign_replies"
down_revision = "0023_saved_view"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("queue", sa.Column("sign_replies", sa.Boolean(), server_default=sa.text("false"), nullable=False))


def downgrade() -> None:
    op.drop_column("queue", "sign_replies")
