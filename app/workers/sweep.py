"""The sweep: a look, every second, at what is due. It finds whatever a lost job or a dead worker left behind."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app import jobs
from app.flow.outbox import DUE
from app.flow.poll import due_feeds
from app.flow.wake import wake_due
from app.models.reply import Reply
from app.workers.runtime import Runtime

MOST_SENDS = 200  # replies nudged in one look


async def sweep(runtime: Runtime) -> None:
    """Enqueue the polls and sends that are due, and wake parked items. Any number of workers may do it at once."""
    async with runtime.sessions.begin() as session:
        await jobs.defer(session, jobs.SEND, "reply_id", await _due_replies(session))
        await jobs.defer(session, jobs.POLL, "feed_id", await due_feeds(session))
    async with runtime.sessions.begin() as session:
        await wake_due(session)


async def _due_replies(session: AsyncSession) -> list[int]:
    due = select(Reply.id).where(Reply.state.in_(DUE), Reply.due_at <= func.now()).order_by(Reply.due_at)
    return list(await session.scalars(due.limit(MOST_SENDS)))
