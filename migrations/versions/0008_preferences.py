"""Keep an agent's own preferences. The default is the same for every row, so that no row is written."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008_preferences"
down_revision = "0007_told_offers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("agent", sa.Column("preferences", postgresql.JSONB(), server_default="{}", nullable=False))


def downgrade() -> None:
    op.drop_column("agent", "preferences")
