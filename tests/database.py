"""The test run's one Postgres: started by whoever needs it first, cloned for each worker, stopped by the controller."""

import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from app import embedded_place
from app.embedded import Embedded
from app.migrate import migrate

FOLDER = "CARELINE_TEST_DATABASE_DIR"  # told by the controller to its workers
TEMPLATE = "migrated"
MEMORY = Path("/dev/shm")
ROOM = 6_000_000_000  # bytes


def prepare() -> None:
    """Name a folder for the server; nothing is started until a test asks for it."""
    folder = Path(tempfile.mkdtemp(prefix="careline-tests-", dir=_quick()))
    folder.chmod(0o755)  # as root the server runs as another account, which must get through
    os.environ[FOLDER] = str(folder)


def _quick() -> Path | None:
    """A folder in memory where there is room for it: a database is made there in a fifth of the time."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM and os.access(MEMORY, os.W_OK)
    return MEMORY if roomy else None


def tear_down() -> None:
    """Stop the server, if one was started, and remove its folder. The workers are gone by now."""
    folder = Path(os.environ.pop(FOLDER))
    if (folder / "server").exists():
        with _server(folder):  # who started it has left: adopt it, so that leaving here stops it
            pass
        embedded_place.remove(folder / "server")
    shutil.rmtree(folder)


@contextmanager
def template() -> Iterator[str]:
    """Start or share the server, with a migrated database to clone, and leave it running for the other workers."""
    folder = Path(os.environ[FOLDER])
    server = _server(folder)
    url = server.start()
    _once(url, TEMPLATE, None, migrate)
    yield url
    server.leave()


def shared(url: str, name: str, fill: Callable[[str], None]) -> str:
    """The URL of a database that all workers read and none changes; whoever is first makes and fills it."""
    _once(url, name, TEMPLATE, fill)
    return _url_of(url, name)


def _once(url: str, name: str, template: str | None, fill: Callable[[str], None]) -> None:
    """Make a database unless another worker has; one that could not be filled is not left behind under its name."""
    with (Path(os.environ[FOLDER]) / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _exists(url, name):
            unfinished = f"{name}_unfinished"
            fill(clone(url, template, unfinished))
            query = sql.SQL("ALTER DATABASE {} RENAME TO {}")
            _run(url, query.format(sql.Identifier(unfinished), sql.Identifier(name)))


def clone(url: str, template: str | None, name: str) -> str:
    """Make a database like `template` (empty for None); return its URL."""
    query = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
    _run(url, query.format(sql.Identifier(name), sql.Identifier(template or "template0")))
    return _url_of(url, name)


def _url_of(url: str, name: str) -> str:
    return url.replace("/careline?", f"/{name}?")


@contextmanager
def cloned(url: str, template: str = TEMPLATE) -> Iterator[str]:
    """A database of its own, like `template`, dropped afterwards together with whoever is still connected."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield clone(url, template, name)
    _run(url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def name_of(url: str) -> str:
    """The name of the database at `url`, to clone it by. Nobody may be connected to it then."""
    return urlsplit(url).path.lstrip("/")


def _server(folder: Path) -> Embedded:
    return Embedded(folder / "server", fsync=False)


def _exists(url: str, name: str) -> bool:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
    return found is not None


def _run(url: str, query: sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(query)
