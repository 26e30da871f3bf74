"""What every test may ask for: a session, a database of its own. And what none may do: reach another machine."""

import os
import socket
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address
from typing import Any

import hypothesis
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import create_engine
from tests import database

for name in [name for name in os.environ if name.startswith("CARELINE_") and name != database.FOLDER]:
    del os.environ[name]  # the developer's own settings are not the tests'
for name in ("DATABASE_URL", "PORT"):
    os.environ.pop(name, None)

hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=2_000)
hypothesis.settings.load_profile("ci")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        database.prepare()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        database.tear_down()


@pytest.fixture(scope="session", autouse=True)
def _only_this_machine() -> Iterator[None]:
    """Refuse every connection that leaves this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and not _is_loopback(str(address[0])):
            raise PermissionError(f"A test tried to reach {address[0]}: tests stay on this machine.")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(scope="session")
def _server_url() -> Iterator[str]:
    with database.template() as url:
        yield url


@pytest.fixture(scope="session")
def database_url(_server_url: str) -> Iterator[str]:
    """This worker's migrated database. Leave it as it was: `session` does, by rolling back."""
    with database.cloned(_server_url) as url:
        yield url


@pytest.fixture
def fresh_database(_server_url: str) -> Iterator[str]:
    """A migrated database for this test alone, for what races, commits or listens."""
    with database.cloned(_server_url) as url:
        yield url


@pytest.fixture
async def engine(fresh_database: str) -> AsyncIterator[AsyncEngine]:
    """An engine on a fresh database."""
    engine = create_engine(fresh_database, pool_size=10)
    yield engine
    await engine.dispose()


@pytest.fixture
async def session(database_url: str) -> AsyncIterator[AsyncSession]:
    """A session whose work is rolled back after the test; a commit inside is a savepoint."""
    engine = create_engine(database_url, pool_size=1)
    try:
        async with engine.connect() as connection:
            outer = await connection.begin()
            joined = AsyncSession(connection, join_transaction_mode="create_savepoint", expire_on_commit=False)
            async with joined as session:
                yield session
            await outer.rollback()
    finally:
        await engine.dispose()
