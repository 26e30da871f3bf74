"""The palette's answers: what a person can do and go to, and customers by their names, none but theirs to see."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI

from app.connectors.base import IncomingAuthor
from app.flow.enter_search import enter_search
from app.flow.ingest import ingest
from app.models.feed import Feed
from tests.company import post
from tests.web.conftest import Browser, House

Opener = Callable[[str], Awaitable[Browser]]


@pytest.fixture
async def lena(app: FastAPI, house: House) -> None:
    """A customer whose item waits in Billing."""
    async with app.state.sessions.begin() as session:
        feed = Feed(name="Box", channel="webhook", synced_at=datetime.now(UTC))
        session.add(feed)
        await session.flush()
        await session.refresh(feed)
        author = IncomingAuthor("lena", handle="@lena_b", name="Lena <b>Brandt</b>")
        await ingest(session, feed, [replace(post(1), author=author)])
        while await enter_search(session):
            pass


@pytest.mark.parametrize("typed", ["lena", "brandt", "Lenna Brant", "@lena_b", "le"])
async def test_a_customer_is_offered_by_a_name_that_may_be_a_little_wrong(
    lena: None, sign_in: Opener, typed: str
) -> None:
    options = (await (await sign_in("agent")).get("/palette/people", params={"q": typed})).text
    assert options.count('role="option"') == 1
    assert 'href="/items/1"' in options
    assert "Lena &lt;b&gt;Brandt" in options


@pytest.mark.parametrize("typed", ["", "l", "%", "_", "\x00\x00a", "nobody at all", "x" * 9_000])
async def test_nobody_is_offered_for_what_is_no_name(lena: None, sign_in: Opener, typed: str) -> None:
    answer = await (await sign_in("agent")).get("/palette/people", params={"q": typed})
    assert answer.status_code == 200
    assert "option" not in answer.text


async def test_customers_of_another_team_are_not_offered(lena: None, sign_in: Opener) -> None:
    assert "option" not in (await (await sign_in("stranger")).get("/palette/people?q=lena")).text
    assert (await (await sign_in("")).get("/palette/people?q=lena")).status_code in {302, 303, 401}


async def test_what_is_offered_depends_on_who_asks(house: House, sign_in: Opener) -> None:
    admins, agents = [(await (await sign_in(who)).get("/palette")).text for who in ("admin", "agent")]
    assert 'href="/admin/queues"' in admins
    assert "/admin" not in agents
    assert 'id="do-claim"' in agents
