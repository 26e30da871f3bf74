import asyncio
import json
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from structlog.testing import capture_logs

from app.flow.claim import claim
from app.flow.ingest import ingest
from app.hints import Hint
from app.models.agent import Agent, SignIn
from app.models.feed import Feed
from app.models.item import Item
from app.models.sight import queues_of, visible_queues
from app.web.hub import CROWD, Hub, Stream
from tests.company import post
from tests.web.conftest import House


async def signed_in(sessions: async_sessionmaker[AsyncSession], agent_id: int) -> int:
    """The id of a new sign-in."""
    ends = datetime.now(UTC) + timedelta(hours=1)
    async with sessions.begin() as session:
        row = SignIn(digest=b"%d" % agent_id, csrf="", agent_id=agent_id, expires_at=ends)
        session.add(row)
    return row.id


async def test_browsers_that_come_and_go_while_others_are_told_break_nothing(
    engine: AsyncEngine, sessions: async_sessionmaker[AsyncSession]
) -> None:
    hub = Hub(sessions)
    told = [Stream(sign_in_id=number, agent_id=1) for number in range(1, 5)]  # signed out: each is ended
    hub.streams.update(told)
    number = 100
    with capture_logs() as logged:
        running = asyncio.create_task(hub.run(engine.url.render_as_string(hide_password=False)))
        while not logged and any(stream.waiting.empty() for stream in told):
            number += 1
            with hub.listening(Stream(sign_in_id=number, agent_id=1)):
                await asyncio.sleep(0)
            await asyncio.sleep(0)
        running.cancel()

    assert logged == []


async def test_desks_look_at_lists_more_seldom_the_more_of_them_look(
    sessions: async_sessionmaker[AsyncSession],
) -> None:
    hub = Hub(sessions)
    assert hub.pace == 2.0
    hub.streams.update(Stream(sign_in_id=number, agent_id=number) for number in range(200))
    assert hub.pace == 20.0


async def test_what_is_about_an_agent_is_told_to_them_at_once_and_not_again_with_the_rest(
    sessions: async_sessionmaker[AsyncSession], house: House
) -> None:
    hub = Hub(sessions)
    stream = Stream(await signed_in(sessions, house.ids["agent"]), house.ids["agent"])
    about: Hint = {"agents": [house.ids["agent"]]}

    def told() -> list[Any]:
        return [json.loads(stream.waiting.get_nowait() or "") for _ in range(stream.waiting.qsize())]

    with hub.listening(stream):
        hub.hear(about)
        assert told() == [about]
        await hub.tell()
        assert told() == []
        for _ in range(3):  # of a burst the rest together
            hub.hear(about)
        assert json.loads(await stream.waiting.get() or "") == about
        await hub.tell()
        assert told() == []


async def test_a_large_crowd_takes_turns_and_who_holds_an_item_does_not_wait_for_theirs(
    sessions: async_sessionmaker[AsyncSession], house: House
) -> None:
    async with sessions.begin() as session:
        feed = Feed(name="Box", channel="webhook", synced_at=datetime.now(UTC))
        session.add(feed)
        await session.flush()
        await session.refresh(feed)
        await ingest(session, feed, [post(1)])
        item = (await session.scalars(select(Item.id))).one()
        await claim(session, await session.get_one(Agent, house.ids["agent"]), item)
    hub = Hub(sessions)
    holder = Stream(await signed_in(sessions, house.ids["agent"]), house.ids["agent"])
    watcher = await signed_in(sessions, house.ids["supervisor"])
    crowd = [Stream(watcher, house.ids["supervisor"]) for _ in range(3 * CROWD)]
    with ExitStack() as stack:
        for stream in (*crowd, holder):
            stack.enter_context(hub.listening(stream))
        hub.hear({"items": [item]})
        told = []
        for _ in range(4):
            await hub.tell()
            assert holder.waiting.qsize() == 1
            told.append(sum(stream.waiting.qsize() for stream in crowd))
    assert told[-1] == len(crowd)
    assert max(after - before for before, after in pairwise([0, *told])) <= CROWD
    assert {stream.waiting.get_nowait() for stream in (*crowd, holder)} == {f'{{"items":[{item}]}}'}


async def test_what_all_desks_may_hear_of_is_read_as_for_each_alone(
    sessions: async_sessionmaker[AsyncSession], house: House
) -> None:
    async with sessions() as session:
        agents = list(await session.scalars(select(Agent)))
        together = set(await session.execute(queues_of([agent.id for agent in agents])))
        alone = {(agent.id, queue) for agent in agents for queue in await session.scalars(visible_queues(agent))}
    assert {tuple(pair) for pair in together} == alone
    assert len({agent for agent, _queue in alone}) > 1
