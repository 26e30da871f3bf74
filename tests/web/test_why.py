"""The waiting item's page says why nobody has it and what comes next; a supervisor gives it away from there."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from app.flow.ingest import ingest
from app.models.agent import Presence, PresenceState
from app.models.feed import Feed
from app.models.item import Item, State
from app.models.queue import Queue
from app.web import words
from tests.company import post
from tests.web.conftest import Browser, House

Opener = Callable[[str], Awaitable[Browser]]


@pytest.fixture
async def item_id(app: FastAPI, house: House) -> int:
    """An item that waits in Billing, whose only member is at lunch; it overflows in two minutes."""
    async with app.state.sessions.begin() as session:
        feed = Feed(name="Box", channel="webhook", synced_at=datetime.now(UTC))
        session.add(feed)
        await session.flush()
        await session.refresh(feed)
        await ingest(session, feed, [post(1)])
        overflow = {"overflow_queue_id": house.orders, "overflow_after": 120}
        await session.execute(update(Queue).where(Queue.id == house.billing).values(**overflow))
        await session.execute(update(Item).values(raised=["tier=gold"]))
        waiting: int = (await session.scalars(select(Item.id))).one()
        return waiting


async def away(app: FastAPI, agent_id: int, **values: object) -> None:
    async with app.state.sessions.begin() as session:
        told = {"state": PresenceState.NOT_READY, "reason": "lunch", **values}
        await session.execute(update(Presence).where(Presence.agent_id == agent_id).values(told))


async def test_a_waiting_item_says_why_nobody_has_it_what_comes_next_and_what_moved_it(
    app: FastAPI, item_id: int, sign_in: Opener, house: House
) -> None:
    browser = await sign_in("supervisor")
    await away(app, house.ids["agent"])
    page = (await browser.get(f"/items/{item_id}")).text
    assert "Why nobody has it yet" in page
    assert "Nobody is ready. Agent is at lunch." in page
    assert re.search(r'In <time datetime="[^"]+" data-clock="down">1:5\d</time>: it goes to Orders', page)
    assert "tier gold" in page
    assert "You are not a member" not in page  # who only watches is not told why not they


async def test_the_agent_who_looks_hears_why_not_they(
    app: FastAPI, item_id: int, sign_in: Opener, house: House
) -> None:
    browser = await sign_in("agent")
    await away(app, house.ids["agent"])
    page = (await browser.get(f"/items/{item_id}/customer")).text
    assert "You are not ready, so nothing is offered to you." in page


async def test_what_somebody_holds_explains_nothing(item_id: int, sign_in: Opener) -> None:
    browser = await sign_in("agent")
    await browser.send(f"/items/{item_id}/assignment")
    assert "Why nobody has it yet" not in (await browser.get(f"/items/{item_id}")).text


async def test_a_supervisor_gives_an_item_with_a_plain_form(
    app: FastAPI, item_id: int, sign_in: Opener, house: House
) -> None:
    browser = await sign_in("supervisor")
    page = (await browser.get(f"/items/{item_id}/transfer")).text
    assert f'name="to" value="a{house.ids["agent"]}"' in page
    assert f'name="to" value="a{house.ids["stranger"]}"' not in page
    given = await browser.send(f"/items/{item_id}/assignment", {"agent_id": house.ids["agent"], "how": "now"})
    assert given.status_code == 303
    async with app.state.sessions() as session:
        item = await session.get_one(Item, item_id)
    assert (item.state, item.agent_id) == (State.ACTIVE, house.ids["agent"])
    assert "You gave it to Agent" in (await browser.get(f"/items/{item_id}")).text


async def test_an_offer_by_a_supervisor_names_them_to_the_agent(
    app: FastAPI, item_id: int, sign_in: Opener, house: House
) -> None:
    agent, supervisor = await sign_in("agent"), await sign_in("supervisor")
    await away(app, house.ids["agent"], state=PresenceState.READY, reason=None)
    await supervisor.send(f"/items/{item_id}/assignment", {"agent_id": house.ids["agent"], "how": "offer"})
    assert "Supervisor offers it to you" in (await agent.get("/desk")).text


async def test_an_agent_gives_nobody_what_waits(item_id: int, sign_in: Opener, house: House) -> None:
    browser = await sign_in("agent")
    straight = {"to": f"a{house.ids['supervisor']}", "how": "now"}
    assert (await browser.send(f"/items/{item_id}/transfer", straight)).status_code == 403
    asked = {"agent_id": house.ids["agent"], "how": "now"}
    assert (await browser.send(f"/items/{item_id}/assignment", asked)).status_code == 403


async def test_a_form_that_says_neither_way_is_refused(item_id: int, sign_in: Opener, house: House) -> None:
    browser = await sign_in("supervisor")
    refused = await browser.send(f"/items/{item_id}/assignment", {"agent_id": house.ids["agent"], "how": "gently"})
    assert refused.status_code == 422


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ({"policy": "longest_available", "candidates_total": 3}, "You were free the longest of 3 who could take it"),
        ({"policy": "most_spare", "candidates_total": 2}, "You had the most room of 2 who could take it"),
        ({"policy": "best_skilled", "candidates_total": 2}, "You have the most skill of 2 who could take it"),
        ({"policy": "most_spare", "candidates_total": 1}, "You were the only one ready who could take it"),
        ({"policy": "most_spare", "candidates_total": 2, "preferred": True}, "You know this customer"),
        ({"by": 7, "by_name": "Marta"}, "Marta offers it to you"),
    ],
)
def test_an_offer_says_how_the_queue_chose(why: dict[str, object], said: str) -> None:
    assert words.why_lines(why)[0].text == said


def test_who_knows_the_customer_hears_when_they_answered() -> None:
    now = datetime.now(UTC)
    year = (now - timedelta(days=800)).year
    assert str(year) in words.why_lines({"preferred": True}, now - timedelta(days=800))[0].text
    assert (
        words.why_lines({"preferred": True}, now - timedelta(hours=3))[0].text == "You answered this customer 3 h ago"
    )
    assert re.fullmatch(
        r"You answered this customer in [A-Z][a-z]+( \d{4})?",
        words.why_lines({"preferred": True}, now - timedelta(days=40))[0].text,
    )


def test_old_decisions_and_empty_ones_say_nothing() -> None:
    assert words.why_lines({}) == []
