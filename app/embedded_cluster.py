"""The files of an embedded cluster: made by initdb once, whole or not at all, and checked at every start."""

import subprocess
from pathlib import Path

import structlog

from app import embedded_place
from app.embedded_place import Place
from app.errors import ConfigurationError

log = structlog.get_logger(__name__)

USER = "careline"
NEEDED_BYTES = 200_000_000  # an empty cluster with its first write-ahead log

# The collation is Postgres's own, the same on every machine; libc is asked only what a letter is.
LETTERS = ("C.UTF-8", "en_US.UTF-8", "C")


def create(place: Place, *, fsync: bool) -> None:
    """Make the cluster unless it is there. Raises ConfigurationError with initdb's own reason."""
    if (place.data / "PG_VERSION").exists():
        return
    embedded_place.check_room(place.home, NEEDED_BYTES)
    unfinished = place.home / "data.unfinished"
    said = ""
    for letters in LETTERS:
        embedded_place.own_folder(unfinished, place.account, empty=True)
        done = _initdb(place, unfinished, letters, fsync=fsync)
        if done.returncode == 0:
            unfinished.rename(place.data)  # a killed initdb never looks like a cluster
            log.info("embedded_created", data=str(place.data), letters=letters)
            return
        said = done.stderr
        if "locale" not in said:
            break
    raise ConfigurationError(
        f"The embedded database could not be created in {place.home}: {reason(said)} "
        "Set CARELINE_DATA_DIR to another folder, or DATABASE_URL to a Postgres of your own."
    )


def check_version(place: Place) -> None:
    """Raise ConfigurationError when another major version of Postgres wrote the data."""
    theirs = (place.data / "PG_VERSION").read_text().strip()
    ours = place.version.split(".")[0]
    if theirs != ours:
        raise ConfigurationError(
            f"The data in {place.data} was written by Postgres {theirs}, and this is Postgres {ours}. "
            "Dump it with the old version, or move the folder away to start empty."
        )


def _initdb(place: Place, folder: Path, letters: str, *, fsync: bool) -> subprocess.CompletedProcess[str]:
    options = [f"--username={USER}", "--auth=trust", "--encoding=UTF8", "--no-instructions"]
    options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", f"--lc-ctype={letters}", "--lc-collate=C"]
    options += ["--lc-messages=C", "--lc-monetary=C", "--lc-numeric=C", "--lc-time=C"]
    options += [] if fsync else ["--no-sync"]
    return subprocess.run(  # noqa: S603 - our own program and options
        [place.program("initdb"), *options, f"--pgdata={folder}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=place.environment(),
        **place.account.for_subprocess(),
    )


def reason(text: str) -> str:
    """The line that says what went wrong, without Postgres's own prefix."""
    lines = [line for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if "FATAL:" in line or "error:" in line or "PANIC:" in line]
    line = (telling or lines or ["it said nothing."])[-1]
    for mark in ("FATAL:", "PANIC:", "error:"):
        line = line.split(mark, 1)[-1].strip()
    return line if line.endswith(".") else line + "."
