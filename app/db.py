"""The database: engine, sessions, the declarative base, and NOTIFY as a hint.

One request or job is one transaction, committed at the edge before the response leaves. Only the database's clock
is believed: write `func.now()`, never the process's time.
"""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, cast

import psycopg
from sqlalchemy import MetaData, event, func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Session

CHANNEL = "careline"
MOST_IDS = 200  # a NOTIFY payload holds 8,000 bytes; more changes than this are told as "many"


class Base(DeclarativeBase):
    """The root of all models."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def sqlalchemy_url(url: str) -> str:
    """Name the driver in a plain `postgres://` or `postgresql://` URL."""
    scheme, _, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if scheme in {"postgres", "postgresql"} else url


def libpq_url(url: str) -> str:
    """The same URL as psycopg and procrastinate want it, without a driver's name."""
    return "postgresql://" + url.partition("://")[2]


def create_engine(url: str, pool_size: int = 10, application: str = "careline") -> AsyncEngine:
    """An engine on psycopg 3. A transaction forgotten open is ended by the server after a minute."""
    return create_async_engine(
        sqlalchemy_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=False,
        pool_timeout=10,
        hide_parameters=True,  # they hold what people wrote
        connect_args={
            "application_name": application,
            "options": "-c idle_in_transaction_session_timeout=60000 -c timezone=UTC",
        },
    )


def sessionmaker(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Sessions that keep loaded values after the commit, so that a page can be drawn from them."""
    return async_sessionmaker(engine, expire_on_commit=False)


async def driver(session: AsyncSession) -> psycopg.AsyncConnection[Any]:
    """The session's connection as psycopg has it, in the session's transaction, for what must be quick."""
    await session.flush()
    pooled = await (await session.connection()).get_raw_connection()
    return cast("psycopg.AsyncConnection[Any]", pooled.driver_connection)


@asynccontextmanager
async def plain(engine: AsyncEngine) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """A connection of the pool as psycopg has it, on which each statement commits by itself: for the router's offers.

    A session's transaction costs three times what an offer does, see docs/benchmarks.md.
    """
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        pooled = await connection.get_raw_connection()
        yield cast("psycopg.AsyncConnection[Any]", pooled.driver_connection)


def announce(session: AsyncSession, kind: str, ids: Iterable[int]) -> None:
    """Remember that things of `kind` (items, queues, agents, feeds) changed; told once, when the transaction commits.

    NOTIFY takes a lock over the whole instance, so a transaction sends one at most, and it is only a hint:
    whoever listens also looks by itself every few seconds.
    """
    changes: dict[str, set[int]] = session.sync_session.info.setdefault("changes", {})
    changes.setdefault(kind, set()).update(ids)


@event.listens_for(Session, "before_commit")
def _tell(session: Session) -> None:
    changes: dict[str, set[int]] | None = session.info.pop("changes", None)
    if changes:
        payload: dict[str, Any] = {k: sorted(v) if len(v) <= MOST_IDS else None for k, v in changes.items() if v}
        session.execute(select(func.pg_notify(CHANNEL, json.dumps(payload, separators=(",", ":")))))


@event.listens_for(Session, "after_soft_rollback")
def _forget(session: Session, _previous: object) -> None:
    session.info.pop("changes", None)
