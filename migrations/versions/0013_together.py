"""Working together: notices, watches, mentions, consults, requests for what a colleague holds, and viewers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013_together"
down_revision = "0012_post_change"
branch_labels = None
depends_on = None

KINDS = "'mention', 'consult', 'answer', 'wanted', 'given', 'kept', 'taken', 'transfer', 'watched', 'failed', 'woke'"
NOW = sa.text("now()")


def upgrade() -> None:
    op.add_column("queue", sa.Column("take_over_after", sa.Integer(), server_default="600", nullable=False))
    op.create_table(
        "notice",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("agent_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("why", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.CheckConstraint(f"kind IN ({KINDS})", name=op.f("ck_notice_kind")),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_notice_agent_id")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_notice_item_id")),
        sa.ForeignKeyConstraint(["actor_id"], ["agent.id"], name=op.f("fk_notice_actor_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
    )
    op.create_index("ix_notice_agent", "notice", ["agent_id", "id"])
    op.create_index("ix_notice_at", "notice", ["at"])
    op.create_index("ix_notice_unread", "notice", ["agent_id", "item_id"], postgresql_where=sa.text("read_at IS NULL"))
    op.create_index(
        "uq_notice_watched",
        "notice",
        ["agent_id", "item_id"],
        unique=True,
        postgresql_where=sa.text("kind = 'watched' AND read_at IS NULL"),
    )
    op.create_table(
        "watch",
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("agent_id", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_watch_agent_id")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_watch_item_id")),
        sa.PrimaryKeyConstraint("item_id", "agent_id", name=op.f("pk_watch")),
    )
    op.create_index("ix_watch_agent", "watch", ["agent_id"])
    op.create_table(
        "mention",
        sa.Column("note_id", sa.BigInteger(), nullable=False),
        sa.Column("agent_id", sa.BigInteger(), nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_mention_agent_id")),
        sa.ForeignKeyConstraint(["note_id"], ["note.id"], name=op.f("fk_mention_note_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("note_id", "agent_id", name=op.f("pk_mention")),
    )
    op.create_table(
        "consult",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("asker_id", sa.BigInteger(), nullable=False),
        sa.Column("whom", sa.Text(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("answerer_id", sa.BigInteger(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_consult_item_id")),
        sa.ForeignKeyConstraint(["asker_id"], ["agent.id"], name=op.f("fk_consult_asker_id")),
        sa.ForeignKeyConstraint(["answerer_id"], ["agent.id"], name=op.f("fk_consult_answerer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consult")),
    )
    op.create_index("ix_consult_item", "consult", ["item_id", "id"])
    op.create_table(
        "consult_expert",
        sa.Column("consult_id", sa.BigInteger(), nullable=False),
        sa.Column("agent_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_consult_expert_agent_id")),
        sa.ForeignKeyConstraint(
            ["consult_id"], ["consult.id"], name=op.f("fk_consult_expert_consult_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("consult_id", "agent_id", name=op.f("pk_consult_expert")),
    )
    op.create_index("ix_consult_expert_agent", "consult_expert", ["agent_id"])
    op.create_table(
        "item_request",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("asker_id", sa.BigInteger(), nullable=False),
        sa.Column("holder_id", sa.BigInteger(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("outcome IN ('given', 'kept', 'withdrawn')", name=op.f("ck_item_request_outcome")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_item_request_item_id")),
        sa.ForeignKeyConstraint(["asker_id"], ["agent.id"], name=op.f("fk_item_request_asker_id")),
        sa.ForeignKeyConstraint(["holder_id"], ["agent.id"], name=op.f("fk_item_request_holder_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item_request")),
    )
    op.create_index(
        "uq_item_request_open",
        "item_request",
        ["item_id", "asker_id"],
        unique=True,
        postgresql_where=sa.text("outcome IS NULL"),
    )
    op.create_table(
        "viewer",
        sa.Column("item_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("agent_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("typing_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("item_id", "agent_id", name=op.f("pk_viewer")),
        prefixes=["UNLOGGED"],
    )


def downgrade() -> None:
    for table in ("viewer", "item_request", "consult_expert", "consult", "mention", "watch", "notice"):
        op.drop_table(table)
    op.drop_column("queue", "take_over_after")
