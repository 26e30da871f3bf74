from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.flow.ingest import ingest
from app.flow.tidy import tidy
from app.models.agent import SignIn, Throttle
from app.models.assignment import Offer, Outcome
from app.models.feed import Delivery
from tests.company import items, make_company, post


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
    await tidy(session, 30)
    kept = [list(await session.scalars(select(c))) for c in (Delivery.delivery_id, SignIn.browser, Throttle.key)]
    assert kept == [["1 days"], ["1 days"], ["1 days"]]


async def test_old_decisions_are_emptied_but_those_of_open_offers(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(n) for n in range(3)])
    ages = {"old": 31, "young": 29, "open": 31}
    for item, (name, days) in zip(await items(session), ages.items(), strict=True):
        at = func.now() - timedelta(days=days)
        offer = Offer(item_id=item.id, agent_id=company.ayumi.id, made_at=at, expires_at=at, why={"policy": name})
        if name != "open":
            offer.outcome, offer.ended_at = Outcome.ACCEPTED, at
        session.add(offer)
    await session.flush()
    await tidy(session, 30)
    kept = select(Offer.why).order_by(Offer.id).execution_options(populate_existing=True)
    assert list(await session.scalars(kept)) == [{}, {"policy": "young"}, {"policy": "open"}]
