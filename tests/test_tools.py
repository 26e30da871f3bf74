"""What makes a checkout ready and keeps it honest: locks, bootstrap, migration lint."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools import bootstrap, check, lock, migration_sql, one_setter

ROOT = Path(__file__).resolve().parent.parent
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def pins(path: Path) -> set[str]:
    return set(re.findall(r"^[a-z0-9._-]+==[^ ;\\]+", path.read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_locks_pin_with_hashes_and_name_no_index(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    requirements = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert all(re.match(r"\S+==\S+", entry) and "--hash=sha256:" in entry for entry in requirements)


def test_the_developers_lock_holds_the_runtime_one() -> None:
    assert pins(ROOT / "requirements/runtime.txt") <= pins(ROOT / "requirements/dev.txt")


def test_the_benchmarks_lock_holds_the_developers_one() -> None:
    assert pins(ROOT / "requirements/dev.txt") < pins(ROOT / "requirements/bench.txt")


def test_the_front_end_lock_has_hashes_and_no_addresses() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert "node_modules/htmx.org" in packages
    for name, package in packages.items():
        assert "resolved" not in package
        assert not name or package["integrity"].startswith("sha512-")


def test_lines_that_name_an_index_are_dropped_from_a_lock() -> None:
    told = "--index-url https://a.example/simple\n# from https://a.example\na==1 \\\n    --hash=sha256:00\n"
    assert lock.without_addresses(told) == "a==1 \\\n    --hash=sha256:00\n"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
        ("error: Failed to fetch: `https://a.example/`\n dns error", "no network"),
        ("npm error code ENOTFOUND", "no network"),
        ("Error: Command '[...]-m', 'ensurepip' ... ensurepip is not available", "no venv module"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES... do not match the hashes", "not the one that was locked"),
    ],
)
def test_what_installers_say_becomes_one_plain_sentence(said: str, sentence: str) -> None:
    told = bootstrap.cause(said)
    assert told is not None
    assert sentence in told


def test_an_old_python_is_told_so_in_one_line(tmp_path: Path) -> None:
    program = (
        "import sys, runpy; sys.version_info = (3, 9, 18, 'final', 0); sys.argv = ['bootstrap', 'no-such-lock']\n"
        f"runpy.run_path({str(ROOT / 'tools/bootstrap.py')!r}, run_name='__main__')\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env={"PATH": str(tmp_path)}
    )
    assert told.returncode == 1
    assert "Careline needs Python 3.11 or later; this is 3.9" in told.stderr
    assert told.stderr.count("\n") == 1


def test_a_name_on_the_path_that_only_pretends_to_be_a_python_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, body in (("python3", "exit 127"), ("python3.12", f'exec {sys.executable} "$@"')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    assert Path(bootstrap.find_python()).resolve() == Path(sys.executable).resolve()


def test_every_migration_can_be_told_as_sql_for_the_linter() -> None:
    told = dict(migration_sql.migrations())
    assert sorted(told) == sorted(path.stem for path in (ROOT / "migrations/versions").glob("*.py"))
    assert "CREATE TABLE item" in told["0001_main_road"]


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE item ADD COLUMN colour text NOT NULL;",
        "CREATE INDEX ix_item_colour ON item (colour);",
        "ALTER TABLE item RENAME COLUMN state TO status;",
        "ALTER TABLE item DROP COLUMN state;",
    ],
)
def test_a_migration_that_would_stop_a_running_system_is_refused(sql: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.sql"
    path.write_text(sql)
    content, said = check.lint_sql(path)
    assert not content, said


@pytest.mark.parametrize(
    "code",
    [
        "item.state = State.CLOSED",
        "row.item.state = State.CLOSED",
        "session.execute(update(Item).values(note=1))",
        "text('UPDATE item SET version = 1, state = :to WHERE id = 1')",
    ],
)
def test_a_second_setter_of_an_items_state_is_found(code: str, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/rogue.py").write_text(code)
    assert len(one_setter.offences(tmp_path)) == 1


@pytest.mark.parametrize("code", ["reply.state = 1", "text('UPDATE item i SET posts = 1 WHERE i.state = 2')"])
def test_other_states_and_other_columns_are_no_offence(code: str, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/fine.py").write_text(code)
    assert one_setter.offences(tmp_path) == []
