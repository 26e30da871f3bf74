"""Let a wrap-up end at the latest, parked items close by themselves, and replies be said by nobody but Careline."""

import sqlalchemy as sa
from alembic import op

revision = "0005_presence_and_time"
down_revision = "0004_routing_checked"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("presence", sa.Column("wrap_latest", sa.DateTime(timezone=True), nullable=True))
    op.add_column("item", sa.Column("closes_at", sa.DateTime(timezone=True), nullable=True))
    op.alter_column("reply", "agent_id", existing_type=sa.BigInteger(), nullable=True)


def downgrade() -> None:
    op.execute("DELETE FROM reply WHERE agent_id IS NULL")
    op.alter_column("reply", "agent_id", existing_type=sa.BigInteger(), nullable=False)
    op.drop_column("item", "closes_at")
    op.drop_column("presence", "wrap_latest")
