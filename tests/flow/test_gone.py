"""An agent whose desk gives no sign of life: offers go back after the grace, active items after the queue's time."""

import asyncio
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import sessionmaker
from app.flow.claim import claim
from app.flow.draft import load_draft, save_draft
from app.flow.gone import GRACE, gone_agents, return_items, seen, take_offline
from app.flow.ingest import ingest
from app.flow.offer import Proposal, make_offer
from app.flow.park import park
from app.flow.presence import set_presence
from app.models.agent import Agent, Presence, PresenceState
from app.models.assignment import Assignment, Offer, Outcome
from app.models.event import Event
from app.models.item import Item, State, Verb
from tests.company import Company, items, make_company, post


async def silent(session: AsyncSession, agent: Agent, seconds: float) -> None:
    """The agent's last sign of life, and what they took, are so long ago."""
    then = func.now() - timedelta(seconds=seconds)
    await session.execute(update(Presence).where(Presence.agent_id == agent.id).values(seen_at=then))
    await session.execute(update(Assignment).where(Assignment.agent_id == agent.id).values(since=then))


async def sweep(session: AsyncSession) -> None:
    """What the worker does every second."""
    await return_items(session)
    for agent_id in await gone_agents(session):
        await take_offline(session, agent_id)


async def state_of(session: AsyncSession, agent: Agent) -> str:
    return (await session.get_one(Presence, agent.id, populate_existing=True)).state


async def two_at_work(session: AsyncSession, **queue: Any) -> tuple[Company, list[Item]]:
    """Ayumi holds an item and is offered another; Finn holds a third."""
    company = await make_company(session, **queue)
    await ingest(session, company.feed, [post(1), post(2), post(3)])
    one, two, three = await items(session)
    await claim(session, company.ayumi, one.id)
    assert await make_offer(session, Proposal(two.id, two.version, company.ayumi.id, {})) is not None
    await claim(session, company.finn, three.id)
    return company, await items(session)


async def test_a_silence_within_the_grace_changes_nothing(session: AsyncSession) -> None:
    company, before = await two_at_work(session)
    await silent(session, company.ayumi, GRACE.total_seconds() - 1)
    await sweep(session)
    assert await state_of(session, company.ayumi) == PresenceState.READY
    assert [item.version for item in await items(session)] == [item.version for item in before]


async def test_after_the_grace_offers_go_back_and_the_agent_is_offline_but_keeps_what_is_active(
    session: AsyncSession,
) -> None:
    company, _ = await two_at_work(session)
    await silent(session, company.ayumi, GRACE.total_seconds() + 1)
    await sweep(session)
    held, offered, others = await items(session)
    assert (held.state, held.agent_id) == (State.ACTIVE, company.ayumi.id)
    assert (offered.state, others.state) == (State.QUEUED, State.ACTIVE)
    assert await session.scalar(select(Offer.outcome)) == Outcome.REVOKED
    assert await state_of(session, company.ayumi) == PresenceState.OFFLINE
    assert await state_of(session, company.finn) == PresenceState.READY


async def test_after_the_queue_s_time_active_items_go_back_with_the_reason_and_drafts_and_parked_ones_stay(
    session: AsyncSession,
) -> None:
    company, (held, _, others) = await two_at_work(session, return_after=300)
    await ingest(session, company.feed, [post(4)])
    aside = (await items(session))[3]
    await claim(session, company.ayumi, aside.id)
    await park(session, company.ayumi, aside.id, await session.scalar(select(func.now() + timedelta(days=1))))
    await save_draft(session, company.ayumi, held.id, "Dear", "public", seen=None)

    await silent(session, company.ayumi, 299)
    await sweep(session)
    assert (await items(session))[0].state == State.ACTIVE
    await silent(session, company.ayumi, 301)
    await sweep(session)

    back, _, still, parked = await items(session)
    assert (back.state, back.agent_id, back.rank) == (State.QUEUED, None, held.rank)
    assert (still.state, still.agent_id) == (State.ACTIVE, others.agent_id)
    assert (parked.state, parked.agent_id) == (State.PARKED, company.ayumi.id)
    why = await session.scalar(select(Event.why).where(Event.item_id == held.id, Event.verb == Verb.RELEASE))
    assert why == {"because": "Ayumi's desk is gone"}
    draft = await load_draft(session, company.ayumi, held.id)
    assert draft is not None
    assert draft.text == "Dear"
    assert (await session.get_one(Presence, company.ayumi.id, populate_existing=True)).load == 0


async def test_what_was_just_taken_is_not_taken_back_because_of_an_old_silence(session: AsyncSession) -> None:
    company, _ = await two_at_work(session)
    await session.execute(update(Presence).values(seen_at=func.now() - timedelta(days=1)))
    assert await return_items(session) == 0
    assert (await items(session))[0].state == State.ACTIVE
    assert company.ayumi.id in await gone_agents(session)


async def test_a_sign_of_life_is_written_now_and_then_only(session: AsyncSession) -> None:
    company = await make_company(session)
    await silent(session, company.ayumi, 10)
    await seen(session, company.ayumi.id)
    ago = select(func.now() - Presence.seen_at).where(Presence.agent_id == company.ayumi.id)
    assert await session.scalar(ago) == timedelta(seconds=10)
    await silent(session, company.ayumi, 20)
    await seen(session, company.ayumi.id)
    assert await session.scalar(ago) == timedelta(0)


async def test_coming_back_is_a_sign_of_life(session: AsyncSession) -> None:
    company, _ = await two_at_work(session)
    await silent(session, company.ayumi, 100)
    await sweep(session)
    await set_presence(session, company.ayumi, PresenceState.READY)
    await sweep(session)
    assert await state_of(session, company.ayumi) == PresenceState.READY


async def test_a_desk_that_comes_back_in_the_last_moment_keeps_its_offer(engine: AsyncEngine) -> None:
    sessions = sessionmaker(engine)
    async with sessions.begin() as session:
        company, _ = await two_at_work(session)
        await silent(session, company.ayumi, 100)
    async with sessions.begin() as session:
        assert await gone_agents(session) == [company.ayumi.id]
    async with sessions.begin() as session:
        await seen(session, company.ayumi.id)
    async with sessions.begin() as session:
        assert not await take_offline(session, company.ayumi.id)
    async with sessions.begin() as session:
        assert (await items(session))[1].state == State.OFFERED


async def test_many_workers_that_sweep_at_once_do_each_thing_once(engine: AsyncEngine) -> None:
    sessions = sessionmaker(engine)
    async with sessions.begin() as session:
        company, _ = await two_at_work(session, return_after=60)
        for agent in company.agents:
            await silent(session, agent, 100)

    async def worker() -> None:
        async with sessions.begin() as session:
            await return_items(session)
        async with sessions.begin() as session:
            gone = await gone_agents(session)
        for agent_id in gone:
            async with sessions.begin() as session:
                await take_offline(session, agent_id)

    await asyncio.gather(*(worker() for _ in range(6)))
    await worker()  # what was locked by a neighbour is found by the next look

    async with sessions.begin() as session:
        assert {item.state for item in await items(session)} == {State.QUEUED}
        verbs = list(await session.scalars(select(Event.verb).where(Event.verb.in_((Verb.RELEASE, Verb.REVOKE)))))
        assert sorted(verbs) == [Verb.RELEASE, Verb.RELEASE, Verb.REVOKE]
        assert set(await session.scalars(select(Presence.load))) == {0}
