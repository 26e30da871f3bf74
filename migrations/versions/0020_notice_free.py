"""Let notices refer to their item without a reference: its check locked the item, against the order of locks."""

from alembic import op

revision = "0020_notice_free"
down_revision = "0019_reply_part"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint("fk_notice_item_id", "notice", type_="foreignkey")


def downgrade() -> None:
    op.execute(
        "ALTER TABLE notice ADD CONSTRAINT fk_notice_item_id FOREIGN KEY (item_id) REFERENCES item (id) NOT VALID"
    )
