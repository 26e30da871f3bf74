"""Bringing the schema up to date, and telling whether it is."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

from app.db import sqlalchemy_url
from app.errors import ConfigurationError

MIGRATIONS = Path(__file__).parent.parent / "migrations"
ONE_AT_A_TIME = 7_215_004_131  # advisory lock: two hosts that start together take turns


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


@cache
def older() -> frozenset[str]:
    """The revisions before the newest that this code knows."""
    scripts = ScriptDirectory.from_config(config()).walk_revisions()
    return frozenset(script.revision for script in scripts) - {head()}


def is_behind(revision: str | None) -> bool:
    """Whether a schema lacks what this code needs. One that this code does not know is newer: the upgrade has begun,
    and version N-1 of the code runs on schema N.
    """
    return revision is None or revision in older()


def current(connection: Connection) -> str | None:
    """The revision that the database stands at; None before the first."""
    return MigrationContext.configure(connection).get_current_revision()


def migrate(url: str, revision: str = "head") -> None:
    """Bring the database at `url` up (or down) to a revision, each migration in a transaction of its own.

    Waits at most 5 s for any lock, then gives up; what was done so far stays, and the next call goes on from there.
    """
    settings = config()
    engine = create_engine(sqlalchemy_url(url))
    try:
        with engine.connect() as connection:
            # Locks of the session, not of a transaction: a migration may have several, or none (CREATE INDEX CONCURRENTLY).
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ONE_AT_A_TIME})
            connection.execute(text("SET lock_timeout = '5s'"))
            settings.attributes["connection"] = connection
            while step := _next(settings, current(connection), revision):
                connection.commit()
                (command.downgrade if step == "-1" else command.upgrade)(settings, step)
    finally:
        engine.dispose()


def _next(settings: Config, at: str | None, revision: str) -> str | None:
    """The next step from `at` towards `revision`: +1, -1, or None when it stands there."""
    order = [script.revision for script in ScriptDirectory.from_config(settings).walk_revisions()][::-1]
    places = {None: -1, "base": -1, "head": len(order) - 1} | {name: place for place, name in enumerate(order)}
    if revision not in places or at not in places:
        raise ConfigurationError(f"This version knows no migration {at if at not in places else revision!r}.")
    distance = places[revision] - places[at]
    return None if distance == 0 else "+1" if distance > 0 else "-1"
