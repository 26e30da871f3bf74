"""Check the constraints that came unchecked, without stopping reads or writes."""

from alembic import op

revision = "0004_routing_checked"
down_revision = "0003_routing"
branch_labels = None
depends_on = None

ADDED = {
    "fk_item_preferred_agent_id": "item",
    "fk_queue_overflow_queue_id": "queue",
    "ck_queue_policy": "queue",
    "ck_queue_overflow": "queue",
}


def upgrade() -> None:
    for name, table in ADDED.items():
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")


def downgrade() -> None:
    """Nothing to undo: a checked constraint is the same constraint."""
