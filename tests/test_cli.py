"""The commands as a person types them: real processes, real signals."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(folder: Path, **values: object) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CARELINE_", "DATABASE_URL", "PORT"))}
    return kept | {"CARELINE_DATA_DIR": str(folder)} | {k: str(v) for k, v in values.items()}


def careline(*words: str, folder: Path, **values: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli", *words]
    return subprocess.run(
        command, cwd=ROOT, env=environment(folder, **values), capture_output=True, text=True, timeout=60, check=False
    )


@contextmanager
def running(word: str, folder: Path, port: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A started Careline and what it printed until it said how to stop it; ended with Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", word],
        cwd=ROOT,
        env=environment(folder, PORT=port),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        said = ""
        for line in process.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        yield process, said
    finally:
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=40)[0]
        assert process.returncode == 0, rest


def test_up_makes_the_first_admin_with_the_printed_code_and_stops_cleanly(tmp_path: Path) -> None:
    port = free_port()
    with running("up", tmp_path, port) as (_, said), httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert re.search(r"/first-run with the code ([A-Z2-7]{4}-?)+", said)
        assert client.get("/readyz").status_code == 200
        assert client.get("/first-run").status_code == 200
        doctor = careline("doctor", folder=tmp_path)
        assert ("There is no admin yet" in doctor.stdout, doctor.returncode) == (True, 0), doctor.stdout
        made = careline(
            "user", "add", "ada@northwind.example", "--name", "Ada", "--role", "admin", "--password",
            "correct horse battery", folder=tmp_path,
        )  # fmt: skip
        assert "can sign in" in made.stdout, made.stderr
        assert client.get("/first-run").status_code == 404


def test_the_demo_prints_its_sign_ins_and_keeps_its_data(tmp_path: Path) -> None:
    port = free_port()
    for _ in range(2):
        with running("demo", tmp_path, port) as (_, said):
            assert f"http://127.0.0.1:{port}" in said
            for email in ("finn@northwind.example", "marta@northwind.example", "ada@northwind.example"):
                assert email in said
            again = careline("demo", "--reset", folder=tmp_path, PORT=free_port())
            assert "The demo is running" in again.stderr


def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    with closing(socket.socket()) as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        refused = careline("demo", folder=tmp_path, PORT=port)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1), refused.stderr
    assert f"Port {port} is taken" in refused.stderr


@pytest.mark.parametrize("command", ["serve", "work", "route", "migrate"])
def test_one_process_of_many_wants_a_database_named(command: str, tmp_path: Path) -> None:
    refused = careline(command, folder=tmp_path)
    assert (refused.returncode, "DATABASE_URL" in refused.stderr, len(refused.stderr.splitlines())) == (1, True, 1)


def test_production_refuses_to_start_without_a_key(tmp_path: Path, fresh_database: str) -> None:
    refused = careline("work", folder=tmp_path, DATABASE_URL=fresh_database)
    assert (refused.returncode, "There is no key to seal credentials with" in refused.stderr) == (1, True)


def test_the_configuration_goes_out_and_in_again_without_a_difference(tmp_path: Path, fresh_database: str) -> None:
    exported = careline("config", "export", folder=tmp_path, DATABASE_URL=fresh_database)
    file = tmp_path / "careline.yaml"
    file.write_text(exported.stdout)
    planned = careline("config", "apply", str(file), "--dry-run", folder=tmp_path, DATABASE_URL=fresh_database)
    assert (planned.returncode, planned.stdout.strip()) == (0, "Nothing would change.")
    file.write_text("quues: []\n")
    refused = careline("config", "apply", str(file), folder=tmp_path, DATABASE_URL=fresh_database)
    assert (refused.returncode, "quues" in refused.stderr) == (1, True)
