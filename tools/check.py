"""`make check`: every check that looks at the files alone; one line each, and the story of what failed.

python -m tools.check [NAME ...]
"""

import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

from tools import messages, migration_sql, one_setter

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

# What procrastinate's own schema does is not ours to change, and Alembic's table has a column of its own type. A reply
# without an agent is Careline's own: version N-1 leaves such a row out of the thread it shows, and breaks on nothing. A notice
# without its reference is written and read by version N-1 as before. Version N-1 leaves alone a change of a reply whose kind
# it does not know; the wider rule takes all that it writes, and the table has a row for each reply that was ever deleted.
FOREIGN = {
    "0001_main_road": ["prefer-text-field"],
    "0002_jobs": ["prefer-identity", "prefer-text-field"],
    "0005_presence_and_time": ["ban-drop-not-null"],
    "0020_notice_free": ["ban-drop-constraint"],
    "0031_reply_edit": ["ban-drop-constraint", "constraint-missing-not-valid"],
}


def run(*command: str) -> tuple[bool, str]:
    """Run a program of the environment; whether it was content, and what it said."""
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def lint_sql(path: Path, also_excluded: Sequence[str] = ()) -> tuple[bool, str]:
    """Lint one file of SQL for what locks or breaks a running system (rules and reasons: .squawk.toml)."""
    excluded = tomllib.loads((ROOT / ".squawk.toml").read_text())["excluded_rules"]
    return run("squawk", "--reporter=gcc", f"--exclude={','.join([*excluded, *also_excluded])}", str(path))


def squawk() -> tuple[bool, str]:
    """Lint every migration."""
    content, said = True, ""
    with tempfile.TemporaryDirectory(prefix="careline-migrations-") as folder:
        for name, sql in migration_sql.migrations():
            path = Path(folder) / f"{name}.sql"
            path.write_text(sql)
            one, told = lint_sql(path, FOREIGN.get(name, ()))
            content, said = content and one, said + told
    return content, said


def one_setter_only() -> tuple[bool, str]:
    """See that an item's state changes in one place."""
    found = one_setter.offences(ROOT)
    return not found, "\n".join(found)


def catalogues() -> tuple[bool, str]:
    """See that no catalogue lacks a message or breaks one."""
    wanted = messages.template()
    found = [one for name in messages.LANGUAGES for one in messages.problems(name, wanted, strict=messages.STRICT)]
    if messages.main(["--check"]):
        found.append("locale/careline.pot is not current")
    return not found, "\n".join(found)


CHECKS: dict[str, Callable[[], tuple[bool, str]]] = {
    "ruff": lambda: run("ruff", "check", "--output-format=concise", "."),
    "format": lambda: run("ruff", "format", "--check", "."),
    "types": lambda: run("mypy"),
    "imports": lambda: run("lint-imports"),
    "item state": one_setter_only,
    "catalogues": catalogues,
    "templates": lambda: run("djlint", "templates", "--lint", "--quiet"),
    "migrations": squawk,
}


def main(names: list[str]) -> int:
    """Run the named checks, or all; return the exit code."""
    failed = [name for name in names or CHECKS if not passes(name)]
    print(f"Failed: {', '.join(failed)}." if failed else "All is well.")
    return 1 if failed else 0


def passes(name: str) -> bool:
    """Run one check and tell how it went."""
    begun = time.monotonic()
    content, said = CHECKS[name]()
    print(f"{name:12} {'ok' if content else 'FAILED'} ({time.monotonic() - begun:.1f} s)", flush=True)
    if not content:
        print(said, flush=True)
    return content


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
