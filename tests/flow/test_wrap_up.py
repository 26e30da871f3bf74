"""Wrap-up: time for the after-work of a closed item, without offers, ending by itself."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict
from app.flow.claim import claim
from app.flow.close import close
from app.flow.ingest import ingest
from app.flow.offer import Proposal, make_offer
from app.flow.presence import set_presence
from app.flow.wrap_up import end_due, extend, start
from app.models.agent import NotReadyReason, Presence, PresenceState
from app.models.assignment import Offer, Outcome
from app.models.item import Disposition, State
from tests.company import Company, items, make_company, post


async def closed(session: AsyncSession, **queue: Any) -> Company:
    """Ayumi has just closed an item."""
    company = await make_company(session, **queue)
    await ingest(session, company.feed, [post(1), post(2)])
    item = (await items(session))[0]
    await claim(session, company.ayumi, item.id)
    await close(session, company.ayumi, item.id, Disposition.ANSWERED)
    return company


async def presence(session: AsyncSession, company: Company) -> Presence:
    return await session.get_one(Presence, company.ayumi.id, populate_existing=True)


async def pass_time(session: AsyncSession, seconds: int) -> None:
    """Let time pass for the wrap-ups."""
    earlier = timedelta(seconds=seconds)
    await session.execute(
        update(Presence).values(
            wrap_until=Presence.wrap_until - earlier,
            wrap_latest=Presence.wrap_latest - earlier,
            wrap_since=Presence.wrap_since - earlier,
        )
    )


async def seconds_left(session: AsyncSession, company: Company) -> int:
    left = select(func.extract("epoch", Presence.wrap_until - func.now())).where(Presence.agent_id == company.ayumi.id)
    return round(float(await session.scalar(left) or 0))


async def test_who_closes_an_item_wraps_up_for_as_long_as_its_queue_says(session: AsyncSession) -> None:
    company = await closed(session, wrap_up=45)
    assert (await presence(session, company)).state == PresenceState.WRAP_UP
    assert await seconds_left(session, company) == 45


async def test_a_queue_without_wrap_up_leaves_its_agents_ready(session: AsyncSession) -> None:
    company = await closed(session)
    assert (await presence(session, company)).state == PresenceState.READY


async def test_nothing_is_offered_meanwhile(session: AsyncSession) -> None:
    company = await closed(session, wrap_up=45)
    waiting = (await items(session))[1]
    assert await make_offer(session, Proposal(waiting.id, waiting.version, company.ayumi.id, {})) is None


async def test_an_offer_that_was_open_goes_back(session: AsyncSession) -> None:
    company = await make_company(session, wrap_up=45)
    await ingest(session, company.feed, [post(1), post(2)])
    one, two = await items(session)
    await claim(session, company.ayumi, one.id)
    assert await make_offer(session, Proposal(two.id, two.version, company.ayumi.id, {})) is not None
    await close(session, company.ayumi, one.id, Disposition.ANSWERED)
    assert await session.scalar(select(Offer.outcome)) == Outcome.REVOKED
    assert (await items(session))[1].state == State.QUEUED


async def test_it_ends_by_itself_in_ready_and_the_agent_is_available_from_then_on(session: AsyncSession) -> None:
    company = await closed(session, wrap_up=45)
    await session.execute(update(Presence).values(available_since=func.now() - timedelta(hours=1)))
    assert await end_due(session) == 0
    await pass_time(session, 46)
    assert await end_due(session) == 1
    now = await presence(session, company)
    assert (now.state, now.wrap_until, now.wrap_latest) == (PresenceState.READY, None, None)
    assert now.available_since == await session.scalar(select(func.now()))


async def test_it_is_extended_half_a_minute_at_a_time_up_to_the_limit(session: AsyncSession) -> None:
    company = await closed(session, wrap_up=45, wrap_up_most=90)
    await extend(session, company.ayumi)
    assert await seconds_left(session, company) == 75
    await extend(session, company.ayumi)
    assert await seconds_left(session, company) == 90
    with pytest.raises(Conflict, match="as long as its queue allows"):
        await extend(session, company.ayumi)


async def test_what_is_over_cannot_be_extended(session: AsyncSession) -> None:
    company = await closed(session, wrap_up=45)
    await pass_time(session, 46)
    with pytest.raises(Conflict, match="is over"):
        await extend(session, company.ayumi)


async def test_ready_now_ends_it_at_once(session: AsyncSession) -> None:
    company = await closed(session, wrap_up=45)
    await set_presence(session, company.ayumi, PresenceState.READY)
    await pass_time(session, 46)
    assert await end_due(session) == 0
    assert (await presence(session, company)).wrap_until is None


async def test_who_is_on_a_break_stays_on_it(session: AsyncSession) -> None:
    company = await make_company(session, wrap_up=45)
    await ingest(session, company.feed, [post(1)])
    [item] = await items(session)
    await claim(session, company.ayumi, item.id)
    await set_presence(session, company.ayumi, PresenceState.NOT_READY, NotReadyReason.LUNCH)
    await close(session, company.ayumi, item.id, Disposition.ANSWERED)
    assert (await presence(session, company)).state == PresenceState.NOT_READY


async def test_closing_what_nobody_holds_is_not_work_to_wrap_up(session: AsyncSession) -> None:
    company = await make_company(session, wrap_up=45)
    await ingest(session, company.feed, [post(1)])
    [item] = await items(session)
    await close(session, company.ayumi, item.id, Disposition.SPAM)
    assert (await presence(session, company)).state == PresenceState.READY


async def test_it_is_begun_by_hand_where_a_queue_has_it(session: AsyncSession) -> None:
    company = await make_company(session, wrap_up=20, wrap_up_most=40)
    await start(session, company.ayumi)
    assert await seconds_left(session, company) == 20
    await session.execute(update(Presence).values(state=PresenceState.OFFLINE))
    with pytest.raises(Conflict, match="ready first"):
        await start(session, company.ayumi)


async def test_it_cannot_be_begun_where_no_queue_has_it(session: AsyncSession) -> None:
    company = await make_company(session)
    with pytest.raises(Conflict, match="None of your queues"):
        await start(session, company.ayumi)
