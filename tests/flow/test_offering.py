"""Offers as the router makes them: fenced by its lease, in one statement, and accepted with it where the queue says so."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import plain, sessionmaker
from app.flow.claim import claim
from app.flow.ingest import ingest
from app.flow.mirror import clock, load_all
from app.flow.release import release
from app.flow.route import carry_out, decide, lead, make_offers, offer_at_once, step_down
from app.models.agent import Presence
from app.models.assignment import Assignment, Offer, Outcome
from app.models.event import Event
from app.models.item import Item, State, Verb
from app.models.offering import Fence
from app.routing.decisions import Match
from tests.company import Company, make_company, post
from tests.properties.invariants import broken, untold


async def company_with_items(session: AsyncSession, count: int, **queue: Any) -> Company:
    company = await make_company(session, **queue)
    await ingest(session, company.feed, [post(n) for n in range(count)])
    return company


async def matches(session: AsyncSession) -> list[Match]:
    return [one for one in await decide(session) if isinstance(one, Match)]


async def states(session: AsyncSession) -> list[str]:
    return list(await session.scalars(select(Item.state).order_by(Item.id)))


async def leading(engine: AsyncEngine) -> Fence:
    async with sessionmaker(engine).begin() as session:
        epoch = await lead(session, "me")
        assert epoch is not None
        return Fence("me", epoch)


async def test_offers_of_a_leader_are_committed_as_they_are_made(engine: AsyncEngine) -> None:
    async with sessionmaker(engine).begin() as session:
        await company_with_items(session, 3)
        decided = await matches(session)
    async with plain(engine) as connection:
        held = await offer_at_once(connection, await leading(engine), decided)
    assert held == {one.item.id for one in decided}
    async with AsyncSession(engine) as session:
        assert await states(session) == [State.OFFERED, State.OFFERED, State.QUEUED]
        assert [*await broken(session), *await untold(session)] == []


@pytest.mark.parametrize("wrong", ["holder", "epoch", "over"])
async def test_no_offer_holds_without_the_lease(engine: AsyncEngine, wrong: str) -> None:
    async with sessionmaker(engine).begin() as session:
        await company_with_items(session, 1)
        decided = await matches(session)
    fence = await leading(engine)
    if wrong == "over":
        async with sessionmaker(engine).begin() as session:
            await step_down(session, *fence)
    else:
        fence = fence._replace(holder="somebody") if wrong == "holder" else fence._replace(epoch=fence.epoch - 1)
    async with plain(engine) as connection:
        assert await offer_at_once(connection, fence, decided) == set()
    async with AsyncSession(engine) as session:
        assert await states(session) == [State.QUEUED]


async def test_who_was_given_something_else_while_the_offer_waited_for_them_is_left_out(engine: AsyncEngine) -> None:
    async with sessionmaker(engine).begin() as session:
        company = await company_with_items(session, 1)
        [decided] = await matches(session)
    fence = await leading(engine)
    async with plain(engine) as connection:
        async with sessionmaker(engine).begin() as other:
            mine = update(Presence).where(Presence.agent_id == decided.agent_id)
            await other.execute(mine.values(load=Presence.load + 1))
            waits = asyncio.create_task(offer_at_once(connection, fence, [decided]))
            await until_somebody_waits(engine)
            await other.execute(mine.values(load=Presence.load - 1))  # and given back: the count alone says nothing
        assert await waits == set()
        assert await offer_at_once(connection, fence, [decided]) == {decided.item.id}
    assert decided.agent_id in {agent.id for agent in company.agents}


async def until_somebody_waits(engine: AsyncEngine) -> None:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(30), engine.connect() as connection:
        while not await connection.scalar(waiting):
            await connection.rollback()
            await asyncio.sleep(0.01)


async def test_where_the_queue_accepts_by_itself_the_agent_has_the_item_at_once(session: AsyncSession) -> None:
    await company_with_items(session, 1, auto_accept=True)
    await session.execute(update(Presence).values(misses=2))
    await make_offers(session, await decide(session))
    item = (await session.scalars(select(Item).execution_options(populate_existing=True))).one()
    offer = (await session.scalars(select(Offer))).one()
    held = (await session.scalars(select(Assignment))).one()
    presence = await session.get_one(Presence, item.agent_id, populate_existing=True)
    told = [event.verb for event in await session.scalars(select(Event).order_by(Event.id))]
    assert (item.state, item.version) == (State.ACTIVE, 3)
    assert (offer.outcome, offer.agent_id, offer.ended_at is None) == (Outcome.ACCEPTED, item.agent_id, False)
    assert (held.agent_id, held.began_by, held.until) == (item.agent_id, Verb.ACCEPT, None)
    assert (presence.load, presence.misses) == (1, 0)
    assert told == [Verb.OPEN, Verb.OFFER, Verb.ACCEPT]
    assert [*await broken(session), *await untold(session)] == []


async def test_an_agent_may_be_given_several_by_a_queue_that_accepts_by_itself(session: AsyncSession) -> None:
    company = await company_with_items(session, 4, auto_accept=True)
    for _ in range(2):
        mirror = await load_all(session)
        await carry_out(session, mirror.kernel.run(await clock(session)))
    assert await states(session) == [State.ACTIVE] * 4
    loads = list(await session.scalars(select(Presence.load).execution_options(populate_existing=True)))
    assert loads == [2] * len(company.agents)


async def test_who_gave_an_item_up_is_not_asked_about_it_again_for_a_while(session: AsyncSession) -> None:
    company = await company_with_items(session, 1)
    await session.execute(update(Presence).where(Presence.agent_id != company.ayumi.id).values(state="not_ready"))
    item = (await session.scalars(select(Item))).one()
    await claim(session, company.ayumi, item.id)
    await release(session, company.ayumi, item.id)
    assert await matches(session) == []
    await session.execute(update(Assignment).values(until=func.now() - text("interval '1 hour'")))
    assert [one.agent_id for one in await matches(session)] == [company.ayumi.id]
