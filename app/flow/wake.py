"""Wake: a parked item comes back, to the agent who parked it if they can take it, else to its queue."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.flow import hold
from app.flow.notices import tell
from app.flow.visibility import held_item
from app.i18n import N_
from app.models.agent import Agent, Presence, PresenceState
from app.models.item import SYSTEM, Actor, Item, State, Verb, agent_actor, move
from app.models.together import NoticeKind

MOST_WOKEN = 100  # items woken in one transaction


async def wake(session: AsyncSession, item: Item, actor: Actor, because: str) -> Item:
    """Bring a parked item back. It keeps its rank, so in the queue it stands among the oldest."""
    clear = {"parked_until": None, "parked_for": None, "closes_at": None}
    if item.agent_id is not None:
        await tell(session, [item.agent_id], NoticeKind.WOKE, item.id, by=actor.agent_id, said=because)
    if await _can_take(session, item):
        return await move(session, item, Verb.WAKE, State.ACTIVE, actor, why={"because": because}, **clear)
    moved = await move(session, item, Verb.WAKE, State.QUEUED, actor, why={"because": because}, agent_id=None, **clear)
    await hold.end(session, moved, Verb.WAKE)
    return moved


async def wake_by_hand(session: AsyncSession, agent: Agent, item_id: int) -> Item:
    """An agent goes on with an item they parked.

    Raises:
        NotFound, Conflict: see `held_item`, and when it is not parked.
    """
    item = await held_item(session, agent, item_id)
    clear = {"parked_until": None, "parked_for": None, "closes_at": None}
    return await move(session, item, Verb.WAKE, State.ACTIVE, agent_actor(agent.id), **clear)


async def wake_due(session: AsyncSession) -> int:
    """Wake the items whose time has come, but those that close then (`app.flow.close_parked`); returns how many."""
    due = (
        select(Item)
        .where(Item.state == State.PARKED, Item.parked_until <= func.now())
        .where(Item.closes_at.is_(None) | (Item.closes_at > Item.parked_until))
        .order_by(Item.agent_id, Item.id)
        .limit(MOST_WOKEN)
        .with_for_update(skip_locked=True)
    )
    items = (await session.scalars(due.execution_options(populate_existing=True))).all()
    for item in items:
        await wake(session, item, SYSTEM, because=N_("its time has come"))
    return len(items)


async def _can_take(session: AsyncSession, item: Item) -> bool:
    found = (
        select(Presence.load, Agent.capacity)
        .join(Agent, Agent.id == Presence.agent_id)
        .where(Presence.agent_id == item.agent_id, Presence.state != PresenceState.OFFLINE, Agent.active)
        .with_for_update(of=Presence)
    )
    room = (await session.execute(found)).one_or_none()
    return room is not None and room.load + item.weight <= room.capacity
