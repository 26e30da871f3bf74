"""Runs migrations: on a connection handed in by `app.migrate`, or as SQL for the linter."""

from alembic import context
from sqlalchemy.schema import SchemaItem

import app.models  # noqa: F401  the models register themselves with Base
from app.db import Base


def ours(_object: SchemaItem, name: str | None, _kind: str, _reflected: bool, _other: SchemaItem | None) -> bool:
    """Leave procrastinate's own tables out of comparisons."""
    return not (name or "").startswith("procrastinate_")


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=Base.metadata, literal_binds=True)
else:
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=Base.metadata,
        include_object=ours,
        compare_type=True,
        transaction_per_migration=True,
    )

with context.begin_transaction():
    context.run_migrations()
