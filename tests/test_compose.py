"""docker-compose.yml and Dockerfile: whole, without secrets, and saying what is missing."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from app.alive import is_alive

ROOT = Path(__file__).resolve().parent.parent
SECRETS = {"POSTGRES_PASSWORD": "for-this-test", "CARELINE_KEY": "for-this-test"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert isinstance(loaded, dict)
    return loaded


def docker_compose(*arguments: str, secrets: dict[str, str]) -> subprocess.CompletedProcess[str]:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("this machine has no docker client with compose")
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **secrets}
    command = [docker, "compose", "--env-file", "/dev/null", "-f", str(ROOT / "docker-compose.yml"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_the_compose_client_finds_the_file_valid() -> None:
    told = docker_compose("config", "--quiet", secrets=SECRETS)
    assert told.returncode == 0, told.stderr


@pytest.mark.parametrize("missing", SECRETS)
def test_without_a_secret_compose_says_which_and_starts_nothing(missing: str) -> None:
    told = docker_compose("config", secrets={name: value for name, value in SECRETS.items() if name != missing})
    assert told.returncode != 0
    assert f"put {missing} into .env" in told.stderr


def test_every_secret_is_asked_for_and_none_is_written_down(compose: dict[str, Any]) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name in SECRETS:
        uses = re.findall(r"(?<!echo \")\$\{" + name + r"([^}]*)\}", text)
        assert uses
        assert all(use.startswith(f":?put {name} into .env") for use in uses)
    assert compose["services"]["db"]["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")


def test_postgres_is_17_or_later_and_web_worker_and_router_wait_for_the_migration(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert int(services["db"]["image"].removeprefix("postgres:")) >= 17
    assert {name: services[name]["command"] for name in ("migrate", "web", "work", "route")} == {
        "migrate": ["careline", "migrate"],
        "web": ["careline", "serve", "--host", "0.0.0.0"],
        "work": ["careline", "work"],
        "route": ["careline", "route"],
    }
    assert services["migrate"]["restart"] == "no"
    for name in ("web", "work", "route"):
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert services["migrate"]["depends_on"] == {"db": {"condition": "service_healthy"}}


def test_everything_that_keeps_running_has_a_health_check(compose: dict[str, Any]) -> None:
    for name in ("db", "web", "work", "route"):
        assert compose["services"][name]["healthcheck"]["test"]


def test_our_containers_cannot_write_to_themselves_and_only_the_web_has_a_port(compose: dict[str, Any]) -> None:
    for name in ("migrate", "web", "work", "route"):
        assert compose["services"][name]["read_only"] is True
        assert compose["services"][name]["cap_drop"] == ["ALL"]
    assert [name for name, service in compose["services"].items() if "ports" in service] == ["web"]
    assert compose["services"]["web"]["ports"][0].startswith("127.0.0.1:")


def test_the_image_installs_the_hashed_lock_and_runs_as_nobody_special() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert any("tools/bootstrap.py runtime" in line for line in lines)
    last_stage = lines[max(i for i, line in enumerate(lines) if line.startswith("FROM")) :]
    assert "USER careline" in last_stage
    copied = [line.split()[-2] for line in lines if line.startswith("COPY") and "--from" not in line]
    assert all((ROOT / name).exists() for name in copied)
    kept = (ROOT / ".dockerignore").read_text().splitlines()
    assert all(f"!{name}" in kept for name in copied if name != ".npmrc" and "." not in name)


def test_a_worker_is_alive_while_it_speaks_to_the_database(fresh_database: str) -> None:
    assert not is_alive(fresh_database, "careline work")
    with psycopg.connect(fresh_database, application_name="careline work"):
        assert is_alive(fresh_database, "careline work")
        assert not is_alive(fresh_database, "careline route")


def test_a_worker_that_has_been_silent_for_long_is_not_alive(
    fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.alive.QUIET", 0)
    with psycopg.connect(fresh_database, application_name="careline work"):
        assert not is_alive(fresh_database, "careline work")


def test_without_a_database_nothing_is_alive() -> None:
    assert not is_alive("postgresql://nobody@127.0.0.1:1/nothing", "careline work")
