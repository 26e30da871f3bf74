"""Bringing the schema up to date, and telling whether it is."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

from app.db import sqlalchemy_url

MIGRATIONS = Path(__file__).parent.parent / "migrations"
ONE_AT_A_TIME = 7_215_004_131  # advisory lock of this transaction: two hosts that start together do not collide


def config() -> Config:
    """Alembic's configuration, without a file."""
    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    return settings


def head() -> str:
    """The newest revision that this code knows."""
    revision = ScriptDirectory.from_config(config()).get_current_head()
    if revision is None:
        raise RuntimeError("There are no migrations in this installation.")
    return revision


def current(connection: Connection) -> str | None:
    """The revision that the database stands at; None before the first."""
    return MigrationContext.configure(connection).get_current_revision()


def migrate(url: str, revision: str = "head") -> None:
    """Bring the database at `url` up (or down) to a revision; waits at most 5 s for any lock, then gives up."""
    engine = create_engine(sqlalchemy_url(url))
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ONE_AT_A_TIME})
            connection.execute(text("SET LOCAL lock_timeout = '5s'"))
            settings = config()
            settings.attributes["connection"] = connection
            at = current(connection)
            known = [script.revision for script in ScriptDirectory.from_config(settings).walk_revisions()]
            backwards = revision == "base" or (at is not None and revision in known and _older(settings, revision, at))
            (command.downgrade if backwards else command.upgrade)(settings, revision)
    finally:
        engine.dispose()


def _older(settings: Config, revision: str, than: str) -> bool:
    ancestors = {script.revision for script in ScriptDirectory.from_config(settings).iterate_revisions(than, "base")}
    return revision in ancestors and revision != than
