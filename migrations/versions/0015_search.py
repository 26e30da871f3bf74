"""Search over posts, replies, notes and people: a table of entries, and triggers that list what is to be entered."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015_search"
down_revision = "0014_offer_extension"
branch_labels = None
depends_on = None

TRIGRAMS = """
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN
    RAISE EXCEPTION 'Careline needs the Postgres extension pg_trgm, to find names that are not quite right. Let somebody who may, run CREATE EXTENSION pg_trgm in this database, and migrate again. (%)', SQLERRM;
END
$$
"""

# One function lists the rows of a statement, one a single row; what they list them as stands in the trigger.
FUNCTIONS = """
CREATE FUNCTION search_list_all() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO search_pending (kind, ref_id) SELECT TG_ARGV[0], id FROM added;
    RETURN NULL;
END
$$;
CREATE FUNCTION search_list_one() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO search_pending (kind, ref_id) VALUES (TG_ARGV[0], NEW.id);
    RETURN NULL;
END
$$;
CREATE FUNCTION search_list_conversation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO search_pending (kind, ref_id) VALUES ('conversation', NEW.conversation_id);
    RETURN NULL;
END
$$;
CREATE FUNCTION search_list_reopened() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO search_pending (kind, ref_id)
    SELECT 'conversation', a.conversation_id FROM added a
    WHERE EXISTS (SELECT FROM item i WHERE i.conversation_id = a.conversation_id AND i.queue_id <> a.queue_id);
    RETURN NULL;
END
$$;
CREATE FUNCTION search_list_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO search_pending (kind, ref_id)
    SELECT 'post', id FROM post WHERE channel = NEW.channel AND external_id = NEW.external_id;
    RETURN NULL;
END
$$;
CREATE FUNCTION search_list_customer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO search_pending (kind, ref_id) SELECT 'person', id FROM author WHERE customer_id = NEW.id;
    RETURN NULL;
END
$$
"""

TRIGGERS = {
    ("search_post_added", "post"): "AFTER INSERT ON post REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION search_list_all('post')",
    ("search_post_wiped", "post"): "AFTER UPDATE OF text, title ON post FOR EACH ROW WHEN (OLD.text <> NEW.text OR OLD.title <> NEW.title) EXECUTE FUNCTION search_list_one('post')",
    ("search_post_changed", "post_change"): "AFTER INSERT OR UPDATE OF text, title ON post_change FOR EACH ROW EXECUTE FUNCTION search_list_changed()",
    ("search_note_added", "note"): "AFTER INSERT OR UPDATE OF text ON note FOR EACH ROW EXECUTE FUNCTION search_list_one('note')",
    ("search_reply_added", "reply"): "AFTER INSERT ON reply FOR EACH ROW WHEN (NEW.state <> 'draft') EXECUTE FUNCTION search_list_one('reply')",
    ("search_reply_changed", "reply"): "AFTER UPDATE OF text, state ON reply FOR EACH ROW WHEN ((OLD.state = 'draft') <> (NEW.state = 'draft') OR NEW.state <> 'draft' AND OLD.text <> NEW.text) EXECUTE FUNCTION search_list_one('reply')",
    ("search_author_added", "author"): "AFTER INSERT ON author REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION search_list_all('person')",
    ("search_author_changed", "author"): "AFTER UPDATE OF handle, name, customer_id ON author FOR EACH ROW WHEN (OLD.handle <> NEW.handle OR OLD.name <> NEW.name OR OLD.customer_id <> NEW.customer_id) EXECUTE FUNCTION search_list_one('person')",
    ("search_customer_renamed", "customer"): "AFTER UPDATE OF name ON customer FOR EACH ROW WHEN (OLD.name <> NEW.name) EXECUTE FUNCTION search_list_customer()",
    ("search_item_opened", "item"): "AFTER INSERT ON item REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION search_list_reopened()",
    ("search_item_moved", "item"): "AFTER UPDATE OF queue_id ON item FOR EACH ROW WHEN (OLD.queue_id <> NEW.queue_id) EXECUTE FUNCTION search_list_conversation()",
}  # fmt: skip

THERE = """
INSERT INTO search_pending (kind, ref_id) SELECT 'person', id FROM author ORDER BY id;
INSERT INTO search_pending (kind, ref_id) SELECT 'note', id FROM note ORDER BY id;
INSERT INTO search_pending (kind, ref_id) SELECT 'reply', id FROM reply WHERE state <> 'draft' ORDER BY id;
INSERT INTO search_pending (kind, ref_id) SELECT 'post', id FROM post ORDER BY id DESC
"""


def upgrade() -> None:
    op.execute(TRIGRAMS)
    op.create_table(
        "search_entry",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ref_id", sa.BigInteger(), nullable=False),
        sa.Column("conversation_id", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("words", postgresql.TSVECTOR(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('post', 'reply', 'note', 'person')", name=op.f("ck_search_entry_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_entry")),
        sa.UniqueConstraint("kind", "ref_id", name=op.f("uq_search_entry_kind_ref_id")),
    )
    said = sa.text("conversation_id IS NOT NULL")
    op.create_index("ix_search_entry_words", "search_entry", ["words"], postgresql_using="gin")
    op.create_index("ix_search_entry_at", "search_entry", ["at", "id"], postgresql_where=said)
    op.create_index("ix_search_entry_conversation", "search_entry", ["conversation_id"], postgresql_where=said)
    op.create_index(
        "ix_search_entry_name",
        "search_entry",
        ["name"],
        postgresql_using="gin",
        postgresql_ops={"name": "gin_trgm_ops"},
        postgresql_where=sa.text("kind = 'person'"),
    )
    op.create_table(
        "search_pending",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ref_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_pending")),
    )
    op.execute(FUNCTIONS)
    for (name, _table), rest in TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {name} {rest}")
    op.execute(THERE)


def downgrade() -> None:
    for name, table in TRIGGERS:
        op.execute(f"DROP TRIGGER {name} ON {table}")
    for name in ("all", "one", "conversation", "reopened", "changed", "customer"):
        op.execute(f"DROP FUNCTION search_list_{name}()")
    op.drop_table("search_pending")
    op.drop_table("search_entry")
