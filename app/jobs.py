"""Deferring background jobs in the transaction that needs them.

Jobs run on procrastinate (`app.workers.work`); a job is only a nudge: what is to be done stands in our own rows, and a
sweep finds what a lost job leaves behind.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


class Lane(StrEnum):
    """Which of a worker's places a job takes: what is old never takes those of what comes in now."""

    FRESH = "default"
    BACKLOG = "backlog"


POLL = "poll_feed"
SEND = "send_reply"
CHANGE = "change_reply"
HIDE = "hide_post"
PARENTS = "fetch_parents"
REHEARSE = "rehearse"
IMPORT = "import_file"
PRIORITY = {
    SEND: 10,
    CHANGE: 10,
    HIDE: 10,
    POLL: 0,
    PARENTS: -5,
    REHEARSE: -10,
    IMPORT: -10,
}  # replies come before polls, both before what only explains them, and all before what is only asked

_DEFER = text(
    """
    INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at)
    SELECT :lane, CAST(:task AS text), :priority, NULL, CAST(:task AS text) || ':' || id, jsonb_build_object(CAST(:argument AS text), id),
           now() + make_interval(secs => :delay)
    FROM unnest(CAST(:ids AS bigint[])) AS id
    ON CONFLICT (queueing_lock) WHERE status = 'todo' DO UPDATE SET scheduled_at = excluded.scheduled_at
    WHERE procrastinate_jobs.scheduled_at > excluded.scheduled_at
    """
)


async def defer(
    session: AsyncSession, task: str, argument: str, ids: Sequence[int], delay: float = 0, *, lane: Lane = Lane.FRESH
) -> None:
    """Enqueue one job an id, `delay` seconds from now; an id that already waits in the queue is not doubled, only sooner."""
    if ids:
        bound: dict[str, Any] = {
            "task": task,
            "priority": PRIORITY[task],
            "argument": argument,
            "delay": delay,
            "lane": lane,
        }
        await session.execute(_DEFER, {**bound, "ids": list(ids)})
