import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from structlog.testing import capture_logs

from app.web.live import Hub, Stream


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
