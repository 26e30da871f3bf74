import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from structlog.testing import capture_logs

from app.hints import Hint
from app.models.agent import Agent, SignIn
from app.models.sight import queues_of, visible_queues
from app.web.live import Hub, Stream
from tests.web.conftest import House


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
    assert hub.pace == 6.0


async def test_what_is_about_an_agent_is_told_to_them_at_once_and_not_again_with_the_rest(
    sessions: async_sessionmaker[AsyncSession], house: House
) -> None:
    async with sessions.begin() as session:
        signed_in = SignIn(
            digest=b"1", csrf="", agent_id=house.ids["agent"], expires_at=datetime.now(UTC) + timedelta(hours=1)
        )
        session.add(signed_in)
    hub, stream = Hub(sessions), Stream(sign_in_id=signed_in.id, agent_id=house.ids["agent"])
    about: Hint = {"agents": [house.ids["agent"]]}

    def told() -> list[Any]:
        return [json.loads(stream.waiting.get_nowait() or "") for _ in range(stream.waiting.qsize())]

    with hub.listening(stream):
        hub.hear(about)
        assert told() == [about]
        await hub.tell()
        assert told() == []
        for _ in range(3):  # of a burst the first at once, the rest together
            hub.hear(about)
        assert told() == [about]
        await hub.tell()
        assert told() == [about]


async def test_what_all_desks_may_hear_of_is_read_as_for_each_alone(
    sessions: async_sessionmaker[AsyncSession], house: House
) -> None:
    async with sessions() as session:
        agents = list(await session.scalars(select(Agent)))
        together = set(await session.execute(queues_of([agent.id for agent in agents])))
        alone = {(agent.id, queue) for agent in agents for queue in await session.scalars(visible_queues(agent))}
    assert {tuple(pair) for pair in together} == alone
    assert len({agent for agent, _queue in alone}) > 1
