from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.flow.tidy import tidy
from app.models.agent import SignIn, Throttle
from app.models.feed import Delivery
from tests.company import make_company


async def test_what_is_long_over_goes_and_what_may_still_matter_stays(session: AsyncSession) -> None:
    company = await make_company(session)
    for days in (1, 8):
        age = func.now() - timedelta(days=days)
        name = f"{days} days"
        session.add(Delivery(feed_id=company.feed.id, delivery_id=name, received_at=age))
        ended = age + timedelta(days=4)
        session.add(SignIn(digest=name.encode(), csrf="", agent_id=company.ayumi.id, expires_at=ended, browser=name))
        session.add(Throttle(key=name, last_at=ended))
    await session.flush()
    await tidy(session)
    kept = [list(await session.scalars(select(c))) for c in (Delivery.delivery_id, SignIn.browser, Throttle.key)]
    assert kept == [["1 days"], ["1 days"], ["1 days"]]
