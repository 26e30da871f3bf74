"""Find the decisions that are old enough to be emptied. Offers wait while it is built: about a second a million."""

import sqlalchemy as sa
from alembic import op

revision = "0007_told_offers"
down_revision = "0006_rehearsal"
branch_labels = None
depends_on = None


def upgrade() -> None:
    told = sa.text("why <> '{}' AND outcome IS NOT NULL")
    op.create_index("ix_offer_told", "offer", ["ended_at"], postgresql_where=told)


def downgrade() -> None:
    op.drop_index("ix_offer_told", "offer")
