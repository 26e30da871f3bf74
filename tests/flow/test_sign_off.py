"""The end of a shift with work in hand: it goes back, or is kept until a time."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Invalid
from app.flow.claim import claim
from app.flow.ingest import ingest
from app.flow.offer import Proposal, make_offer
from app.flow.sign_off import Work, in_hand, sign_off
from app.models.agent import Presence, PresenceState
from app.models.event import Event
from app.models.item import State, Verb
from tests.company import Company, items, make_company, post


async def at_work(session: AsyncSession) -> Company:
    """Ayumi holds an item and is offered another."""
    company = await make_company(session)
    await ingest(session, company.feed, [post(1), post(2)])
    one, two = await items(session)
    await claim(session, company.ayumi, one.id)
    assert await make_offer(session, Proposal(two.id, two.version, company.ayumi.id, {})) is not None
    return company


async def tomorrow(session: AsyncSession) -> datetime:
    moment: datetime | None = await session.scalar(select(func.now() + timedelta(days=1)))
    assert moment is not None
    return moment


async def test_what_is_given_back_goes_to_its_queue_and_says_why(session: AsyncSession) -> None:
    company = await at_work(session)
    assert await in_hand(session, company.ayumi.id) == 1
    assert await sign_off(session, company.ayumi, Work.GIVE_BACK) == 1
    assert [item.state for item in await items(session)] == [State.QUEUED, State.QUEUED]
    why = await session.scalar(select(Event.why).where(Event.verb == Verb.RELEASE))
    assert why == {"because": "Ayumi ended the shift"}
    presence = await session.get_one(Presence, company.ayumi.id, populate_existing=True)
    assert (presence.state, presence.load) == (PresenceState.OFFLINE, 0)


async def test_what_is_kept_is_parked_until_the_time_and_offers_go_back(session: AsyncSession) -> None:
    company = await at_work(session)
    back_at = await tomorrow(session)
    await sign_off(session, company.ayumi, Work.KEEP, back_at)
    kept, offered = await items(session)
    assert (kept.state, kept.agent_id, kept.parked_until) == (State.PARKED, company.ayumi.id, back_at)
    assert offered.state == State.QUEUED


async def test_work_is_not_kept_without_a_time_or_until_one_that_is_past(session: AsyncSession) -> None:
    company = await at_work(session)
    for moment in (None, await tomorrow(session) - timedelta(days=2)):
        with pytest.raises(Invalid) as refusal:
            await sign_off(session, company.ayumi, Work.KEEP, moment)
        assert refusal.value.field == "until"
    assert [item.state for item in await items(session)] == [State.ACTIVE, State.OFFERED]
