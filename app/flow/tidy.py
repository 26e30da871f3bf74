"""Tidy: drop what nobody needs any more. Called every minute, so each time it is little."""

from datetime import timedelta

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.agent import SignIn, Throttle
from app.models.assignment import Offer
from app.models.feed import Delivery

DELIVERIES_KEPT = timedelta(days=7)  # far longer than the five minutes in which a signed delivery is taken
SIGN_INS_KEPT = timedelta(days=1)  # after their end
THROTTLES_KEPT = timedelta(days=1)
MOST_EMPTIED = 5_000  # decisions in one go


async def tidy(session: AsyncSession, why_days: int) -> None:
    """Drop deliveries, sign-ins and failed tries that are long over, and empty decisions older than `why_days`."""
    for old in (
        delete(Delivery).where(Delivery.received_at < func.now() - DELIVERIES_KEPT),
        delete(SignIn).where(SignIn.expires_at < func.now() - SIGN_INS_KEPT),
        delete(Throttle).where(Throttle.last_at < func.now() - THROTTLES_KEPT),
    ):
        await session.execute(old.execution_options(synchronize_session=False))
    await _empty_decisions(session, timedelta(days=why_days))


async def _empty_decisions(session: AsyncSession, kept: timedelta) -> None:
    """Offers stay as history, without why they went to whom. Those still open are never touched."""
    told = text("why <> '{}' AND outcome IS NOT NULL")  # the words of the index
    old = select(Offer.id).where(told, Offer.ended_at < func.now() - kept).order_by(Offer.ended_at).limit(MOST_EMPTIED)
    emptied = update(Offer).where(Offer.id.in_(old.with_for_update(skip_locked=True))).values(why={})
    await session.execute(emptied.execution_options(synchronize_session=False))
