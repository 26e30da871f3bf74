"""Parked for the customer: it wakes, or it closes by itself with a last message of Careline's."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import sessionmaker
from app.errors import Conflict, Invalid
from app.flow.claim import claim
from app.flow.close_parked import close_parked
from app.flow.ingest import ingest
from app.flow.park import park
from app.flow.reply import undo
from app.flow.wake import wake_due
from app.models.agent import Agent
from app.models.assignment import Assignment
from app.models.event import Event
from app.models.item import Disposition, Item, ParkReason, State, Verb
from app.models.post import Conversation
from app.models.reply import Reply, ReplyState
from tests.company import Company, items, make_company, post

WEEK = 7 * 86_400


async def parked(
    session: AsyncSession, reason: ParkReason = ParkReason.CUSTOMER, hours: int | None = None, **queue: Any
) -> tuple[Company, Item]:
    """Ayumi has parked an item, for so many hours or without a time."""
    company = await make_company(session, **queue)
    await ingest(session, company.feed, [post(1)])
    [item] = await items(session)
    await claim(session, company.ayumi, item.id)
    until = None if hours is None else await session.scalar(select(func.now() + timedelta(hours=hours)))
    return company, await park(session, company.ayumi, item.id, until, reason)


async def pass_time(session: AsyncSession, **time: int) -> None:
    """Let time pass for what is parked, and do what the worker does."""
    earlier = timedelta(**time)
    await session.execute(
        update(Item).values(parked_until=Item.parked_until - earlier, closes_at=Item.closes_at - earlier)
    )
    await wake_due(session)
    await close_parked(session)


async def said(session: AsyncSession) -> list[Reply]:
    return list(await session.scalars(select(Reply).order_by(Reply.id)))


async def test_without_a_time_it_closes_by_itself_as_unanswered(session: AsyncSession) -> None:
    _, item = await parked(session, park_close_after=WEEK)
    await pass_time(session, days=6)
    assert (await items(session))[0].state == State.PARKED
    await pass_time(session, days=1, seconds=1)
    [closed] = await items(session)
    assert (closed.state, closed.disposition) == (State.CLOSED, Disposition.NO_ANSWER)
    assert (closed.agent_id, closed.parked_until, closed.closes_at) == (None, None, None)
    assert await session.scalar(select(Assignment.ended_by)) == Verb.CLOSE
    why = await session.scalar(select(Event.why).where(Event.verb == Verb.CLOSE))
    assert why == {"because": "the customer did not answer"}
    assert await said(session) == []
    assert item.id == closed.id


async def test_with_a_sooner_time_it_comes_back_to_its_agent(session: AsyncSession) -> None:
    company, item = await parked(session, hours=5, park_close_after=WEEK)
    assert item.closes_at is not None
    await pass_time(session, hours=6)
    [awake] = await items(session)
    assert (awake.state, awake.agent_id, awake.closes_at) == (State.ACTIVE, company.ayumi.id, None)


@pytest.mark.parametrize("reason", [ParkReason.SNOOZE, ParkReason.EXPERT])
async def test_what_waits_for_others_never_closes_by_itself(session: AsyncSession, reason: ParkReason) -> None:
    _, item = await parked(session, reason, hours=5, park_close_after=60)
    assert item.closes_at is None
    await pass_time(session, hours=6)
    assert (await items(session))[0].state == State.ACTIVE


async def test_without_a_time_and_without_an_end_it_cannot_be_parked(session: AsyncSession) -> None:
    with pytest.raises(Invalid, match="General does not close parked items by itself") as refusal:
        await parked(session)
    assert refusal.value.field == "until"


async def test_a_new_post_wakes_it_before_it_closes(session: AsyncSession) -> None:
    company, item = await parked(session, park_close_after=WEEK)
    await ingest(session, company.feed, [post(2, thread_id="thread-1", in_reply_to="post-1")])
    await pass_time(session, days=8)
    [awake] = await items(session)
    assert (awake.id, awake.state, awake.closes_at) == (item.id, State.ACTIVE, None)


async def test_the_last_message_goes_out_first_and_nobody_s_name_is_on_it(session: AsyncSession) -> None:
    company, _ = await parked(session, park_close_after=WEEK, park_close_reply="We close this for now.")
    await pass_time(session, days=8)
    [closed] = await items(session)
    [last] = await said(session)
    assert closed.state == State.CLOSED
    assert (last.text, last.agent_id, last.state) == ("We close this for now.", None, ReplyState.HELD)
    assert (last.then_close, last.visibility) == (Disposition.NO_ANSWER, "public")
    assert await session.scalar(select(Reply.due_at <= func.now()))
    with pytest.raises(Conflict, match="said this by itself"):
        await undo(session, company.ayumi, last.id)


async def test_a_post_that_is_being_stored_is_waited_for(engine: AsyncEngine) -> None:
    sessions = sessionmaker(engine)
    async with sessions.begin() as session:
        company, _ = await parked(session, park_close_after=WEEK, park_close_reply="We close this for now.")
        await session.execute(
            update(Item).values(
                parked_until=func.now() - timedelta(seconds=1), closes_at=func.now() - timedelta(seconds=1)
            )
        )
    async with sessions.begin() as storing:
        await storing.execute(select(Conversation.id).with_for_update())
        async with sessions.begin() as session:
            assert await close_parked(session) == 0
        await ingest(storing, company.feed, [post(2, thread_id="thread-1", in_reply_to="post-1")])
    async with sessions.begin() as session:
        assert await close_parked(session) == 0
        [awake] = await items(session)
        assert awake.state == State.ACTIVE
        assert await session.get(Agent, awake.agent_id) is not None
