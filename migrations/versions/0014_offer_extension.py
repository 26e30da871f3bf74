"""Count how often an agent took more time for an offer. The default is the same for every row: none is written."""

import sqlalchemy as sa
from alembic import op

revision = "0014_offer_extension"
down_revision = "0013_together"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("offer", sa.Column("extended", sa.SmallInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("offer", "extended")
