"""Print the SQL of each migration, or write one file each into a folder: `python -m tools.migration_sql [FOLDER]`."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from app.migrate import MIGRATIONS


def migrations() -> Iterator[tuple[str, str]]:
    """Name and SQL of each migration, oldest first."""
    scripts = list(ScriptDirectory.from_config(_config(io.StringIO())).walk_revisions())
    for script in reversed(scripts):
        output = io.StringIO()
        command.upgrade(_config(output), f"{script.down_revision or 'base'}:{script.revision}", sql=True)
        yield Path(script.path).stem, output.getvalue()


def _config(output: io.StringIO) -> Config:
    settings = Config(output_buffer=output)
    settings.set_main_option("script_location", str(MIGRATIONS))
    return settings


if __name__ == "__main__":
    for name, sql in migrations():
        if len(sys.argv) > 1:
            Path(sys.argv[1], f"{name}.sql").write_text(sql)
        else:
            print(f"-- {name}\n{sql}")
