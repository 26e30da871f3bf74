"""Routing in full: policies, relaxing, relationships, overflow, wrap-up, hours, and what parks and closes by itself."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003_routing"
down_revision = "0002_jobs"
branch_labels = None
depends_on = None

# Added unchecked; the next migration checks them, in a transaction that stops no reads or writes.
CONSTRAINTS = {
    "fk_item_preferred_agent_id": ("item", "FOREIGN KEY (preferred_agent_id) REFERENCES agent (id)"),
    "fk_queue_overflow_queue_id": ("queue", "FOREIGN KEY (overflow_queue_id) REFERENCES queue (id)"),
    "ck_queue_policy": ("queue", "CHECK (policy IN ('longest', 'spare', 'skilled'))"),
    "ck_queue_overflow": ("queue", "CHECK (overflow_queue_id IS NULL OR overflow_queue_id <> id)"),
}


def upgrade() -> None:
    op.add_column(
        "agent", sa.Column("channel_caps", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False)
    )
    op.add_column("conversation", sa.Column("closed_reply_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("customer", sa.Column("tier", sa.Text(), server_default="", nullable=False))
    op.add_column(
        "item", sa.Column("steps", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False)
    )
    op.add_column("item", sa.Column("emergency", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("item", sa.Column("preferred_agent_id", sa.BigInteger(), nullable=True))
    op.add_column("item", sa.Column("raised", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False))
    op.add_column(
        "presence", sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)
    )
    op.add_column("presence", sa.Column("wrap_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("presence", sa.Column("wrap_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("queue", sa.Column("policy", sa.Text(), server_default="longest", nullable=False))
    op.add_column(
        "queue",
        sa.Column("channel_weights", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
    )
    op.add_column("queue", sa.Column("auto_accept", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("queue", sa.Column("emergency_over", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("queue", sa.Column("prefer_seconds", sa.Integer(), server_default="0", nullable=False))
    op.add_column("queue", sa.Column("overflow_queue_id", sa.BigInteger(), nullable=True))
    op.add_column("queue", sa.Column("overflow_after", sa.Integer(), nullable=True))
    op.add_column(
        "queue", sa.Column("overflow_when_nobody", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column("queue", sa.Column("wrap_up", sa.Integer(), server_default="0", nullable=False))
    op.add_column("queue", sa.Column("wrap_up_most", sa.Integer(), server_default="600", nullable=False))
    op.add_column("queue", sa.Column("return_after", sa.Integer(), server_default="900", nullable=False))
    op.add_column("queue", sa.Column("timezone", sa.Text(), server_default="UTC", nullable=False))
    op.add_column(
        "queue", sa.Column("hours", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False)
    )
    op.add_column("queue", sa.Column("holidays", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False))
    op.add_column("queue", sa.Column("closed_reply", sa.Text(), server_default="", nullable=False))
    op.add_column("queue", sa.Column("park_close_after", sa.Integer(), nullable=True))
    op.add_column("queue", sa.Column("park_close_reply", sa.Text(), server_default="", nullable=False))
    op.add_column(
        "queue", sa.Column("raises", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False)
    )
    op.add_column(
        "rule", sa.Column("steps", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False)
    )
    op.add_column("rule", sa.Column("emergency", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    for name, (table, rule) in CONSTRAINTS.items():
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {rule} NOT VALID")


def downgrade() -> None:
    op.drop_column("rule", "emergency")
    op.drop_column("rule", "steps")
    op.drop_column("queue", "raises")
    op.drop_column("queue", "park_close_reply")
    op.drop_column("queue", "park_close_after")
    op.drop_column("queue", "closed_reply")
    op.drop_column("queue", "holidays")
    op.drop_column("queue", "hours")
    op.drop_column("queue", "timezone")
    op.drop_column("queue", "return_after")
    op.drop_column("queue", "wrap_up_most")
    op.drop_column("queue", "wrap_up")
    op.drop_column("queue", "overflow_when_nobody")
    op.drop_column("queue", "overflow_after")
    op.drop_column("queue", "overflow_queue_id")
    op.drop_column("queue", "prefer_seconds")
    op.drop_column("queue", "emergency_over")
    op.drop_column("queue", "auto_accept")
    op.drop_column("queue", "channel_weights")
    op.drop_column("queue", "policy")
    op.drop_column("presence", "wrap_since")
    op.drop_column("presence", "wrap_until")
    op.drop_column("presence", "seen_at")
    op.drop_column("item", "raised")
    op.drop_column("item", "preferred_agent_id")
    op.drop_column("item", "emergency")
    op.drop_column("item", "steps")
    op.drop_column("customer", "tier")
    op.drop_column("conversation", "closed_reply_at")
    op.drop_column("agent", "channel_caps")
