"""The staffing page: for supervisors, over the queues of their teams; a chart with a table behind it."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.flow.claim import claim
from app.flow.close import close
from app.flow.ingest import ingest
from app.models.agent import Agent
from app.models.feed import Feed
from app.models.item import Disposition
from tests.company import items, post
from tests.web.conftest import Browser, House

SignIn = Callable[[str], Awaitable[Browser]]
Sessions = async_sessionmaker[AsyncSession]


async def a_week_ago(sessions: Sessions, house: House) -> None:
    """Items that came a week ago, a few minutes from now, each closed after ten minutes."""
    then = datetime.now(UTC) - timedelta(days=7) + timedelta(minutes=30)
    async with sessions.begin() as session:
        feed = Feed(name="Box", channel="webhook", synced_at=datetime.now(UTC))
        session.add(feed)
        await session.flush()
        await session.refresh(feed)
        await ingest(session, feed, [post(number) for number in range(8)])
        agent = await session.get_one(Agent, house.ids["agent"])
        for item in await items(session):
            await claim(session, agent, item.id)
            await close(session, agent, item.id, Disposition.ANSWERED)
        await session.execute(text("ALTER TABLE event DISABLE TRIGGER event_append_only"))
        for verb, minutes in (("open", 0), ("claim", 1), ("close", 11)):
            moved = {"verb": verb, "at": then + timedelta(minutes=minutes)}
            await session.execute(text("UPDATE event SET at = :at WHERE verb = :verb"), moved)
        await session.execute(text("UPDATE item SET opened_at = :at"), {"at": then})
        await session.execute(text("ALTER TABLE event ENABLE TRIGGER event_append_only"))


@pytest.mark.parametrize("who", ["supervisor", "admin"])
async def test_the_need_stands_beside_who_is_signed_in(
    sign_in: SignIn, sessions: Sessions, house: House, who: str
) -> None:
    await a_week_ago(sessions, house)
    browser = await sign_in(who)

    page = await browser.get("/board/staffing")
    hasty = await browser.get("/board/staffing?patience=2")

    assert page.status_code == 200, page.text
    assert "Billing" in page.text
    assert "handling 10:00" in page.text
    assert "<svg" in page.text
    assert page.text.count('<tr><th scope="row">') == 32
    assert "Erlang C" in page.text
    assert hasty.status_code == 200
    assert 'value="2"' in hasty.text
    assert "/board/staffing" in (await browser.get("/board")).text


async def test_without_a_past_the_page_says_what_it_needs(sign_in: SignIn, house: House) -> None:
    supervisor = await sign_in("supervisor")

    page = await supervisor.get("/board/staffing?patience=")

    assert (page.status_code, "There is nothing to reckon with yet" in page.text) == (200, True)
    for wrong in ("soon", "-1", "nan"):
        assert (await supervisor.get(f"/board/staffing?patience={wrong}")).status_code == 422


async def test_agents_do_not_see_it(sign_in: SignIn, house: House) -> None:
    assert (await (await sign_in("agent")).get("/board/staffing")).status_code == 403
    assert (await (await sign_in("")).get("/board/staffing")).status_code == 303
