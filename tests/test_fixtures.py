"""What the other tests stand on: fresh databases, rolled-back sessions, and no way off this machine."""

import asyncio
import socket

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import create_engine


@pytest.mark.parametrize("run", [1, 2])
async def test_a_session_starts_without_what_another_test_wrote(session: AsyncSession, run: int) -> None:
    await session.execute(text("CREATE TABLE left_over ()"))
    await session.commit()
    await session.execute(text("SELECT * FROM left_over"))


async def test_a_fresh_database_is_migrated_and_committed_to_for_real(engine: AsyncEngine, fresh_database: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE kept AS SELECT count(*) FROM alembic_version"))
    other = create_engine(fresh_database, pool_size=1)
    async with other.connect() as connection:
        assert await connection.scalar(text("SELECT count FROM kept")) == 1
    await other.dispose()


async def test_a_test_cannot_leave_this_machine() -> None:
    with pytest.raises(PermissionError, match="tests stay on this machine"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    with pytest.raises(PermissionError, match="tests stay on this machine"):
        await asyncio.open_connection("192.0.2.1", 80)
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://192.0.2.1/")
