"""The worker process as a whole: it outlives the loss of its connections."""

import asyncio
from pathlib import Path

import psycopg
from pydantic import SecretStr
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import libpq_url, sessionmaker
from app.models.feed import Feed
from app.settings import Settings
from app.vault import new_key
from app.workers.work import work


async def polled(engine: AsyncEngine, feed_id: int, failures: int) -> None:
    """Wait until the feed was polled so often (its address leads nowhere, so each poll is a failure)."""
    async with asyncio.timeout(30):
        while True:
            async with sessionmaker(engine)() as session:
                seen = await session.scalar(select(Feed.failures).where(Feed.id == feed_id))
            if (seen or 0) >= failures:
                return
            await asyncio.sleep(0.1)


async def test_a_worker_goes_on_after_the_database_dropped_all_its_connections(
    fresh_database: str, engine: AsyncEngine, tmp_path: Path
) -> None:
    settings = Settings(key=SecretStr(new_key()), data_dir=tmp_path)
    settings = settings.model_copy(update={"database_url": fresh_database, "allow_hosts": "127.0.0.1"})
    async with sessionmaker(engine).begin() as session:
        feed = Feed(name="Nowhere", channel="rss", settings={"url": "http://127.0.0.1:9/feed"}, min_interval=1)
        session.add(feed)
    stop = asyncio.Event()
    working = asyncio.create_task(work(settings, stop))
    await polled(engine, feed.id, 1)
    async with await psycopg.AsyncConnection.connect(libpq_url(fresh_database), autocommit=True) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    await engine.dispose()
    async with sessionmaker(engine).begin() as session:
        await session.execute(text("UPDATE feed SET next_poll_at = now()"))
    await polled(engine, feed.id, 2)
    stop.set()
    await working
