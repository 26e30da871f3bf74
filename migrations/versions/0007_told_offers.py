"""Find the decisions that are old enough to be emptied. Offers go on while the index is built."""

import sqlalchemy as sa
from alembic import op

revision = "0007_told_offers"
down_revision = "0006_rehearsal"
branch_labels = None
depends_on = None


def upgrade() -> None:
    told = sa.text("why <> '{}' AND outcome IS NOT NULL")
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_offer_told",
            "offer",
            ["ended_at"],
            postgresql_where=told,
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_offer_told", "offer", postgresql_concurrently=True, if_exists=True)
