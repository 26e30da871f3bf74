"""Pull: the next item is taken without looking for it, each by one agent."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import sessionmaker
from app.errors import Conflict
from app.flow.ingest import ingest
from app.flow.offer import Proposal, decline, make_offer
from app.flow.pull import pull
from app.flow.release import release
from app.models.agent import Agent, Team
from app.models.item import Item, State, lane_of
from app.models.queue import Queue
from tests.company import Company, add_agent, add_skill, items, make_company, post


async def waiting(session: AsyncSession, count: int = 3) -> tuple[Company, list[Item]]:
    """Items that wait, in order of rank."""
    company = await make_company(session)
    await ingest(session, company.feed, [post(n) for n in range(count)])
    found = await items(session)
    for n, item in enumerate(found):
        moved = Item.ready_at + timedelta(minutes=n)
        await session.execute(update(Item).where(Item.id == item.id).values(rank=moved))
    return company, await items(session)


async def needing(
    session: AsyncSession, item: Item, skill: int, steps: list[dict[str, int | None]] | None = None
) -> None:
    needs = {str(skill): 3}
    changed = {"requirements": needs, "lane": lane_of(item.queue_id, needs), "steps": steps or []}
    await session.execute(update(Item).where(Item.id == item.id).values(**changed))


async def test_the_first_in_rank_is_taken_and_then_the_one_after(session: AsyncSession) -> None:
    company, found = await waiting(session)
    taken = [await pull(session, company.ayumi), await pull(session, company.finn)]
    assert [one and (one.id, one.state) for one in taken] == [(one.id, State.ACTIVE) for one in found[:2]]


async def test_what_asks_for_more_than_the_agent_can_is_left_to_others(session: AsyncSession) -> None:
    company, found = await waiting(session)
    german = company.skills["German"].id
    await needing(session, found[0], german)
    taken = await pull(session, company.ayumi)
    assert taken is not None
    assert taken.id == found[1].id
    await add_skill(session, company.finn, company.skills["German"], 3)
    able = await pull(session, company.finn)
    assert able is not None
    assert able.id == found[0].id


async def test_requirements_that_have_relaxed_by_now_stop_nobody(session: AsyncSession) -> None:
    company, [item] = await waiting(session, 1)
    german = company.skills["German"].id
    await needing(session, item, german, [{"after": 60, "skill": german, "level": None}])
    await session.execute(update(Item).values(ready_at=func.now()))
    assert await pull(session, company.ayumi) is None
    await session.execute(update(Item).values(ready_at=func.now() - timedelta(seconds=61)))
    assert await pull(session, company.ayumi) is not None


async def test_queues_that_the_agent_serves_come_before_others_in_their_sight(session: AsyncSession) -> None:
    company, found = await waiting(session)
    seen = Queue(name="Seen", team_id=company.team.id)
    session.add(seen)
    await session.flush()
    await session.execute(update(Item).where(Item.id == found[0].id).values(queue_id=seen.id, lane=str(seen.id)))
    taken = [await pull(session, company.ayumi) for _ in range(3)]
    assert [one and one.id for one in taken] == [found[1].id, found[2].id, found[0].id]


async def test_what_was_given_back_or_declined_is_not_taken_again_at_once(session: AsyncSession) -> None:
    company, found = await waiting(session)
    first = await pull(session, company.ayumi)
    assert first is not None
    await release(session, company.ayumi, first.id)
    offered = await make_offer(session, Proposal(found[1].id, found[1].version, company.ayumi.id, {"policy": "test"}))
    assert offered is not None
    await decline(session, company.ayumi, found[1].id, "other")
    last = await pull(session, company.ayumi)
    assert last is not None
    assert last.id == found[2].id
    assert await pull(session, company.ayumi) is None


async def test_nothing_of_another_team_is_taken(session: AsyncSession) -> None:
    await waiting(session)
    elsewhere = Team(name="Elsewhere")
    session.add(elsewhere)
    await session.flush()
    assert await pull(session, await add_agent(session, elsewhere, "Stranger")) is None


async def test_full_hands_take_nothing_more_and_say_so(session: AsyncSession) -> None:
    company, _found = await waiting(session)
    company.ayumi.capacity = 1
    await session.flush()
    await pull(session, company.ayumi)
    with pytest.raises(Conflict, match="as much as you can carry"):
        await pull(session, company.ayumi)


async def test_two_who_press_at_once_get_different_items(engine: AsyncEngine) -> None:
    sessions = sessionmaker(engine)
    async with sessions.begin() as session:
        company, _found = await waiting(session, 6)
        crowd = [company.ayumi, company.finn, *[await add_agent(session, company.team, f"A{n}") for n in range(4)]]

    async def take(agent: Agent) -> int | None:
        async with sessions.begin() as session:
            taken = await pull(session, agent)
            return None if taken is None else taken.id

    taken = await asyncio.gather(*(take(one) for one in crowd))
    assert len({one for one in taken if one is not None}) == len(crowd)


async def test_what_a_colleague_is_just_taking_is_passed_over_or_there_is_a_clear_word(engine: AsyncEngine) -> None:
    sessions = sessionmaker(engine)
    async with sessions.begin() as session:
        company, found = await waiting(session, 2)
    async with sessions() as other, sessions() as mine:
        await other.execute(text("SELECT id FROM item WHERE id = :id FOR UPDATE"), {"id": found[0].id})
        taken = await pull(mine, company.ayumi)
        assert taken is not None
        assert taken.id == found[1].id
        await mine.commit()
        with pytest.raises(Conflict, match="quicker"):
            await pull(mine, company.ayumi)
