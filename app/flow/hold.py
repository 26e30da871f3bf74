"""Holding an item: the assignment that begins when an agent takes it, and ends when they give it up."""

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict
from app.i18n import _
from app.models.assignment import Assignment
from app.models.item import Item, Verb


async def begin(session: AsyncSession, item: Item, agent_id: int, verb: Verb) -> None:
    """Write that the agent holds the item from now on.

    Raises:
        Conflict: somebody else still does.
    """
    values = {"item_id": item.id, "agent_id": agent_id, "began_by": verb}
    begun = await session.execute(insert(Assignment).values(values).on_conflict_do_nothing().returning(Assignment.id))
    if begun.first() is None:
        raise Conflict(_("Item %(item)s is held by somebody else. Look at it again.") % {"item": item.id})


async def end(session: AsyncSession, item: Item, verb: Verb) -> None:
    """Write that whoever holds the item gives it up now. Nothing happens when nobody does."""
    await session.execute(
        update(Assignment)
        .where(Assignment.item_id == item.id, Assignment.until.is_(None))
        .values(until=func.now(), ended_by=verb)
        .execution_options(synchronize_session=False)
    )
