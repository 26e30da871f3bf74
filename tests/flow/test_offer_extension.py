"""More time for an offer: half a minute at a time, ten times at most."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import sessionmaker
from app.errors import Conflict
from app.flow.ingest import ingest
from app.flow.offer import EXTENSION, Proposal, accept, expire_offers, extend, make_offer
from app.models.assignment import MOST_EXTENSIONS, Offer
from app.models.event import Event
from app.models.item import State, Verb
from tests.company import Company, items, make_company, post
from tests.properties.invariants import broken


async def asked(session: AsyncSession) -> tuple[Company, Offer]:
    """Ayumi is asked about an item."""
    company = await make_company(session)
    await ingest(session, company.feed, [post(1)])
    [item] = await items(session)
    offer = await make_offer(session, Proposal(item.id, item.version, company.ayumi.id, {}))
    assert offer
    return company, offer


async def test_it_is_reserved_for_half_a_minute_more_and_can_be_accepted_then(session: AsyncSession) -> None:
    company, offer = await asked(session)
    before = offer.expires_at
    longer = await extend(session, company.ayumi, offer.item_id)
    assert (longer.expires_at, longer.extended) == (before + EXTENSION, 1)
    assert (await accept(session, company.ayumi, offer.item_id)).state == State.ACTIVE


async def test_the_item_s_events_tell_who_took_it_and_until_when(session: AsyncSession) -> None:
    company, offer = await asked(session)
    longer = await extend(session, company.ayumi, offer.item_id)
    event = (await session.scalars(select(Event).order_by(Event.id.desc()).limit(1))).one()
    assert (event.verb, event.agent_id, set(event.changes)) == (Verb.EXTEND, company.ayumi.id, {"version"})
    assert event.why == {"until": longer.expires_at.isoformat(), "times": 1}


async def test_ten_times_at_most(session: AsyncSession) -> None:
    company, offer = await asked(session)
    for _ in range(MOST_EXTENSIONS):
        await extend(session, company.ayumi, offer.item_id)
    with pytest.raises(Conflict, match="took more time 10 times"):
        await extend(session, company.ayumi, offer.item_id)


async def test_what_ran_out_is_not_extended_even_before_it_was_swept(session: AsyncSession) -> None:
    company, offer = await asked(session)
    await session.execute(update(Offer).values(expires_at=func.now() - timedelta(seconds=1)))
    with pytest.raises(Conflict, match="is over"):
        await extend(session, company.ayumi, offer.item_id)


async def test_a_colleague_cannot_extend_it(session: AsyncSession) -> None:
    company, offer = await asked(session)
    with pytest.raises(Conflict, match="is over"):
        await extend(session, company.agents[1], offer.item_id)


async def test_an_offer_that_is_extended_as_it_runs_out_stays(engine: AsyncEngine) -> None:
    sessions = sessionmaker(engine)
    async with sessions.begin() as session:
        company, offer = await asked(session)

    async with sessions.begin() as thinking:
        await thinking.execute(select(func.now()))  # from here on, the agent is in time
        async with sessions.begin() as session:
            await session.execute(update(Offer).values(expires_at=func.clock_timestamp()))
        await extend(thinking, company.ayumi, offer.item_id)
        async with sessions.begin() as session:
            assert await expire_offers(session) == 0
    async with sessions.begin() as session:
        assert await expire_offers(session) == 0
        assert (await items(session))[0].state == State.OFFERED
        assert await broken(session) == []
