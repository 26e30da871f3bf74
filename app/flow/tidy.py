"""Tidy: drop what nobody needs any more. Called every minute, so each time it is little."""

from datetime import timedelta

from sqlalchemy import delete, func
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.agent import SignIn, Throttle
from app.models.feed import Delivery

DELIVERIES_KEPT = timedelta(days=7)  # far longer than the five minutes in which a signed delivery is taken
SIGN_INS_KEPT = timedelta(days=1)  # after their end
THROTTLES_KEPT = timedelta(days=1)


async def tidy(session: AsyncSession) -> None:
    """Drop deliveries, sign-ins and failed tries that are long over."""
    for old in (
        delete(Delivery).where(Delivery.received_at < func.now() - DELIVERIES_KEPT),
        delete(SignIn).where(SignIn.expires_at < func.now() - SIGN_INS_KEPT),
        delete(Throttle).where(Throttle.last_at < func.now() - THROTTLES_KEPT),
    ):
        await session.execute(old.execution_options(synchronize_session=False))
