"""Tier: a supervisor says which contract a customer has. Signals of queues may raise such a customer's items."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import announce
from app.errors import Forbidden, Invalid, NotFound
from app.flow.configured import UPDATE_LOCK
from app.i18n import _
from app.listening.clean import storable
from app.models.agent import Agent, Role
from app.models.item import Item
from app.models.post import Customer
from app.models.sight import visible_queues

LONGEST = 60  # characters


async def tier_of(session: AsyncSession, customer_id: int | None) -> str:
    """The tier of a customer; empty for none, or for nobody."""
    found: str | None = await session.scalar(select(Customer.tier).where(Customer.id == customer_id))
    return found or ""


async def set_tier(session: AsyncSession, agent: Agent, customer_id: int, tier: str) -> Customer:
    """Set, change or (empty) take away the tier. It counts for items that open from now on.

    Raises:
        Forbidden: only supervisors and admins may.
        NotFound: no such customer, or nothing of theirs is in a queue of the supervisor's teams.
        Invalid: it is too long, or of several lines.
    """
    if not agent.is_at_least(Role.SUPERVISOR):
        raise Forbidden(_("Only a supervisor may set a customer's tier. Ask yours."))
    seen = select(Item.id).where(Item.customer_id == customer_id, Item.queue_id.in_(visible_queues(agent)))
    customer = await session.get(Customer, customer_id, populate_existing=True, with_for_update=UPDATE_LOCK)
    if customer is None or await session.scalar(seen.limit(1)) is None:
        raise NotFound(_("There is no such customer, or they have nothing in a queue of your teams."))
    kept = " ".join(storable(tier, LONGEST * 4).split())
    if len(kept) > LONGEST:
        raise Invalid(_("A tier has %(longest)s characters at most, such as gold.") % {"longest": LONGEST}, "tier")
    customer.tier = kept
    announce(session, "items", await session.scalars(seen.order_by(Item.id.desc()).limit(12)))
    return customer
