"""Keep beside a hook's address what was arranged for it, and what the channel said of that."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0042_hook_told"
down_revision = "0041_feed_backlog"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column("told", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False)
    op.add_column("hook", column)


def downgrade() -> None:
    op.drop_column("hook", "told")
