"""Tell admins of credentials that end soon: notices about accounts, in one row of ids with those about items."""

import sqlalchemy as sa
from alembic import op

revision = "0037_ending_notice"
down_revision = "0036_template"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account", sa.Column("end_told", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "account_notice",
        sa.Column("id", sa.BigInteger(), server_default=sa.text("nextval('notice_id_seq')"), nullable=False),
        sa.Column("agent_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_account_notice_agent_id")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_account_notice_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_notice")),
    )
    op.create_index("ix_account_notice_agent", "account_notice", ["agent_id", "id"])
    op.create_index(op.f("ix_account_notice_account_id"), "account_notice", ["account_id"])


def downgrade() -> None:
    op.drop_table("account_notice")
    op.drop_column("account", "end_told")
