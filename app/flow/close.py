"""Close: an item ends, with how it ended."""

from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict, Forbidden
from app.flow import hold, wrap_up
from app.flow.visibility import visible_item
from app.i18n import _
from app.models.agent import Agent, Presence, Role
from app.models.item import Disposition, Item, State, Verb, agent_actor, move
from app.models.queue import Queue


async def close(
    session: AsyncSession, agent: Agent, item_id: int, disposition: Disposition, seen: int | None = None
) -> Item:
    """End an item; where its queue has a wrap-up, the agent who held it goes into it.

    `seen` is the newest post (Item.post_id) that the agent had before them.

    Raises:
        NotFound: not for their eyes.
        Forbidden: a colleague holds it.
        Conflict: a new post came meanwhile, or the state does not allow it.
    """
    item = await visible_item(session, agent, item_id)
    if item.agent_id not in {None, agent.id} and not agent.is_at_least(Role.SUPERVISOR):
        raise Forbidden(_("A colleague holds item %(item_id)s, so only they can close it.") % {"item_id": item_id})
    if seen is not None and seen != item.post_id:
        raise Conflict(_("The customer wrote again meanwhile. Read the new post, then close."))
    worked = item.agent_id == agent.id and item.state == State.ACTIVE
    ended = await finish(session, item, agent, Verb.CLOSE, to=State.CLOSED, disposition=disposition)
    queue = await session.get_one(Queue, item.queue_id)
    if worked and queue.wrap_up:
        await wrap_up.begin(session, agent.id, wrap_up.Span(queue.wrap_up, queue.wrap_up_most), agent_actor(agent.id))
    return ended


async def finish(
    session: AsyncSession, item: Item, agent: Agent, verb: Verb, *, to: State, disposition: Disposition
) -> Item:
    """End an item in either final state: its assignment ends, and its agent waits longest from now."""
    held = item.agent_id == agent.id
    moved = await move(
        session,
        item,
        verb,
        to,
        agent_actor(agent.id),
        agent_id=None,
        disposition=disposition,
        ended_at=func.now(),
        parked_until=None,
        parked_for=None,
        closes_at=None,
    )
    await hold.end(session, moved, verb)
    if held:
        freed = update(Presence).where(Presence.agent_id == agent.id).values(available_since=func.now())
        await session.execute(freed.execution_options(synchronize_session=False))
    return moved
