"""Who gave an item back is not offered it again at once: found by item. Work goes on while the index is built."""

import sqlalchemy as sa
from alembic import op

revision = "0028_passed_on"
down_revision = "0027_post_hiding"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_assignment_passed",
            "assignment",
            ["item_id", "until"],
            postgresql_where=sa.text("ended_by IN ('release', 'transfer')"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_assignment_passed", "assignment", postgresql_concurrently=True, if_exists=True)
