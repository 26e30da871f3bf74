"""Connect accounts by OAuth: consents asked for, addresses for deliveries, the end of credentials, turns to refresh."""

import sqlalchemy as sa
from alembic import op

revision = "0030_connecting"
down_revision = "0029_post_file"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account", sa.Column("app", sa.Text(), server_default="", nullable=False))
    op.add_column("account", sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("account", sa.Column("ends_on", sa.Date(), nullable=True))
    op.add_column("account", sa.Column("renewing_until", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "consent",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("sign_in_id", sa.BigInteger(), nullable=False),
        sa.Column("verifier", sa.LargeBinary(), nullable=False),
        sa.Column("redirect", sa.Text(), nullable=False),
        sa.Column("asked_of", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_consent_account_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["sign_in_id"], ["sign_in.id"], name=op.f("fk_consent_sign_in_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_consent")),
    )
    for column in ("account_id", "sign_in_id", "expires_at"):
        op.create_index(op.f(f"ix_consent_{column}"), "consent", [column])
    op.create_table(
        "hook",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("feed_id", sa.BigInteger(), nullable=True),
        sa.Column("app", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("num_nonnulls(feed_id, app) = 1", name=op.f("ck_hook_whose")),
        sa.ForeignKeyConstraint(["feed_id"], ["feed.id"], name=op.f("fk_hook_feed_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_hook")),
        sa.UniqueConstraint("channel", "app", name=op.f("uq_hook_channel_app")),
        sa.UniqueConstraint("feed_id", name=op.f("uq_hook_feed_id")),
    )
    # Senders know the addresses of the feeds that are there; those stay as they are.
    op.execute(
        "INSERT INTO hook (key, channel, feed_id) SELECT id::text, channel, id FROM feed WHERE channel = 'webhook'"
    )


def downgrade() -> None:
    op.drop_table("hook")
    op.drop_table("consent")
    for column in ("renewing_until", "ends_on", "ends_at", "app"):
        op.drop_column("account", column)
