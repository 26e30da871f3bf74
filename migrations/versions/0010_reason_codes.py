"""Let admins say for what reasons agents may be not ready. Presences keep the reason they have."""

import sqlalchemy as sa
from alembic import op

revision = "0010_reason_codes"
down_revision = "0009_handed_draft"
branch_labels = None
depends_on = None


def upgrade() -> None:
    reasons = op.create_table(
        "reason_code",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.CheckConstraint("lower(name) <> 'missed'", name="ck_reason_code_name"),
    )
    op.create_index("uq_reason_code_name", "reason_code", [sa.text("lower(name)")], unique=True)
    known = ("break", "lunch", "training", "technical")
    op.bulk_insert(reasons, [{"name": name} for name in known])


def downgrade() -> None:
    op.drop_table("reason_code")
