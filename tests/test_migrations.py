"""Migrations: each goes up, down and up; models and migrations agree; the older code finds the newer schema ready."""

from collections.abc import Iterator

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

import app.models  # noqa: F401 - the models register themselves with Base
from app.db import Base, libpq_url, sqlalchemy_url
from app.errors import ConfigurationError
from app.migrate import config, head, is_behind, migrate

REVISIONS = [script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()][::-1]


def tables(url: str) -> set[str]:
    with psycopg.connect(libpq_url(url)) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {name for (name,) in found} - {"alembic_version"}


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_migration_goes_up_down_and_up(revision: str, fresh_database: str) -> None:
    before = REVISIONS[REVISIONS.index(revision) - 1] if revision != REVISIONS[0] else "base"
    migrate(fresh_database, revision)
    there = tables(fresh_database)
    migrate(fresh_database, before)
    migrate(fresh_database, revision)
    assert tables(fresh_database) == there


def test_the_way_down_leaves_nothing_behind(fresh_database: str) -> None:
    migrate(fresh_database, "base")
    assert tables(fresh_database) == set()
    migrate(fresh_database)
    assert "item" in tables(fresh_database)


def ours(_object: object, name: str | None, _kind: str, _reflected: bool, _other: object) -> bool:
    return not (name or "").startswith(("procrastinate_", "idx_procrastinate_"))


@pytest.fixture
def context(database_url: str) -> Iterator[MigrationContext]:
    engine = create_engine(sqlalchemy_url(database_url))
    with engine.connect() as connection:
        yield MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
    engine.dispose()


def test_models_and_migrations_agree(context: MigrationContext) -> None:
    assert compare_metadata(context, Base.metadata) == []


def test_a_revision_that_nobody_knows_is_refused_in_words(fresh_database: str) -> None:
    with pytest.raises(ConfigurationError, match="knows no migration 'nonsense'"):
        migrate(fresh_database, "nonsense")


def test_an_empty_or_older_schema_is_behind_and_a_newer_one_is_not() -> None:
    assert is_behind(None)
    assert is_behind(REVISIONS[0])
    assert not is_behind(head())
    assert not is_behind("9999_next")
