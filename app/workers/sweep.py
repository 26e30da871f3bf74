"""The sweep: a look, every second, at what is due. It finds whatever a lost job or a dead worker left behind."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app import jobs
from app.flow.close_parked import close_parked
from app.flow.gone import gone_agents, return_items, take_offline
from app.flow.hide import due_hidings
from app.flow.import_file import due_imports
from app.flow.outbox import DUE
from app.flow.parents import due_parents
from app.flow.poll import due_feeds
from app.flow.raise_due import raise_due
from app.flow.reply_change import due_changes
from app.flow.wake import wake_due
from app.flow.watch import tell_news
from app.flow.wrap_up import end_due
from app.models.reply import Reply
from app.workers.runtime import Runtime

MOST_SENDS = 200  # replies nudged in one look


async def sweep(runtime: Runtime) -> None:
    """Enqueue the polls and sends that are due, and end every wait whose time is over. Many workers may do it at once."""
    async with runtime.sessions.begin() as session:
        await jobs.defer(session, jobs.SEND, "reply_id", await _due_replies(session))
        await jobs.defer(session, jobs.CHANGE, "change_id", await due_changes(session, MOST_SENDS))
        await jobs.defer(session, jobs.HIDE, "post_id", await due_hidings(session, MOST_SENDS))
        for lane in jobs.Lane:
            await jobs.defer(session, jobs.POLL, "feed_id", await due_feeds(session, lane), lane=lane)
        await jobs.defer(session, jobs.PARENTS, "post_id", await due_parents(session))
        await jobs.defer(session, jobs.IMPORT, "import_id", await due_imports(session), lane=jobs.Lane.BACKLOG)
    for end in (wake_due, close_parked, end_due, return_items, raise_due, tell_news):
        async with runtime.sessions.begin() as session:
            await end(session)
    await _take_offline(runtime)


async def _take_offline(runtime: Runtime) -> None:
    """Each agent in a transaction of their own: their items and presence are locked for a moment only."""
    async with runtime.sessions.begin() as session:
        gone = await gone_agents(session)
    for agent_id in gone:
        async with runtime.sessions.begin() as session:
            await take_offline(session, agent_id)


async def _due_replies(session: AsyncSession) -> list[int]:
    due = select(Reply.id).where(Reply.state.in_(DUE), Reply.due_at <= func.now()).order_by(Reply.due_at)
    return list(await session.scalars(due.limit(MOST_SENDS)))
