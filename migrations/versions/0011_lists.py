"""Lists in any order over all queues. Items go on moving while the indexes are built."""

import sqlalchemy as sa
from alembic import op

revision = "0011_lists"
down_revision = "0010_reason_codes"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_item_waiting_due": ("item", ["queue_id", "due_at", "id"], "state = 'queued'"),
    "ix_item_waiting_since": ("item", ["queue_id", "ready_at", "id"], "state = 'queued'"),
    "ix_item_held": ("item", ["queue_id"], "agent_id IS NOT NULL"),
    "ix_post_media": ("post", ["conversation_id"], "media <> '[]'"),
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, (table, columns, where) in INDEXES.items():
            op.create_index(
                name,
                table,
                columns,
                postgresql_where=sa.text(where),
                postgresql_concurrently=True,
                if_not_exists=True,
            )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name, (table, _columns, _where) in INDEXES.items():
            op.drop_index(name, table, postgresql_concurrently=True, if_exists=True)
