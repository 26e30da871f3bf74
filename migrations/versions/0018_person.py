"""Keep which authors agents take for one person, customers' tags and notes, and who asked to see masked contacts."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0018_person"
down_revision = "0017_attachment"
branch_labels = None
depends_on = None


def big(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    """A column of ids."""
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def row_id() -> sa.Column[Any]:
    """The primary key."""
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False)


def now(name: str) -> sa.Column[Any]:
    """A time that is the transaction's unless told."""
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)


def upgrade() -> None:
    op.create_table(
        "customer_link",
        row_id(),
        big("author_id"),
        big("from_id"),
        big("to_id"),
        big("agent_id"),
        now("at"),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        big("undone_by", nullable=True),
        sa.ForeignKeyConstraint(["author_id"], ["author.id"], name=op.f("fk_customer_link_author_id")),
        sa.ForeignKeyConstraint(["from_id"], ["customer.id"], name=op.f("fk_customer_link_from_id")),
        sa.ForeignKeyConstraint(["to_id"], ["customer.id"], name=op.f("fk_customer_link_to_id")),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_customer_link_agent_id")),
        sa.ForeignKeyConstraint(["undone_by"], ["agent.id"], name=op.f("fk_customer_link_undone_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_link")),
    )
    live = sa.text("undone_at IS NULL")
    op.create_index("uq_customer_link_live", "customer_link", ["author_id"], unique=True, postgresql_where=live)
    op.create_index("ix_customer_link_to_id", "customer_link", ["to_id"], postgresql_where=live)
    op.create_table(
        "customer_tag",
        sa.Column("customer_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        big("agent_id"),
        now("created_at"),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("fk_customer_tag_customer_id")),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_customer_tag_agent_id")),
        sa.PrimaryKeyConstraint("customer_id", "tag", name=op.f("pk_customer_tag")),
    )
    op.create_table(
        "customer_note",
        row_id(),
        big("customer_id"),
        big("agent_id"),
        sa.Column("text", sa.Text(), nullable=False),
        now("created_at"),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("fk_customer_note_customer_id")),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_customer_note_agent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_note")),
    )
    op.create_index(op.f("ix_customer_note_customer_id"), "customer_note", ["customer_id"])
    op.create_table(
        "contact_look",
        row_id(),
        big("author_id"),
        big("agent_id"),
        now("at"),
        sa.ForeignKeyConstraint(["author_id"], ["author.id"], name=op.f("fk_contact_look_author_id")),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_contact_look_agent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_look")),
    )
    op.create_index("ix_contact_look_who", "contact_look", ["agent_id", "author_id", "at"])


def downgrade() -> None:
    for table in ("contact_look", "customer_note", "customer_tag", "customer_link"):
        op.drop_table(table)
