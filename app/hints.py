"""Listening to NOTIFY: hints that something changed, over one connection of their own.

A hint may be late, doubled or lost (a pooler in between drops them all); whoever uses them also looks by itself.
"""

import asyncio
import json
from collections.abc import AsyncIterator

import psycopg
import structlog

from app.db import CHANNEL, libpq_url

log = structlog.get_logger(__name__)

LONGEST_PAUSE = 10.0  # seconds between two tries to connect

Hint = dict[str, list[int] | None]  # kind (items, queues, agents, feeds) -> ids, None when there were too many


async def hints(url: str) -> AsyncIterator[Hint | None]:
    """Yield each hint as it comes; None first and after every reconnection: anything may have changed meanwhile."""
    pause = 0.5
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(
                libpq_url(url), autocommit=True, application_name="careline hints"
            ) as connection:
                await connection.execute(f"LISTEN {CHANNEL}".encode())
                pause = 0.5
                yield None
                async for told in connection.notifies():
                    hint = parsed(told.payload)
                    if hint is not None:
                        yield hint
        except psycopg.Error as error:
            log.warning("hints_lost", cause=type(error).__name__, next_try_seconds=pause)
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def parsed(payload: str) -> Hint | None:
    """A payload as a hint; None for what is not ours."""
    try:
        hint = json.loads(payload)
    except ValueError:
        return None
    return hint if isinstance(hint, dict) else None
