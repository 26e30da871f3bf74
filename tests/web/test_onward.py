"""On to the next item over HTTP: in hand, offered, waiting; and after "send, close, and on to the next"."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from app.flow.ingest import ingest
from app.flow.offer import Proposal, make_offer
from app.models.agent import Agent, Presence, PresenceState
from app.models.assignment import RouterLease
from app.models.feed import Feed
from app.models.item import Item, State
from tests.company import post
from tests.web.conftest import Browser, House

Opener = Callable[[str], Awaitable[Browser]]


@pytest.fixture
async def items(app: FastAPI, house: House) -> list[int]:
    """Four items that wait, oldest first."""
    async with app.state.sessions.begin() as session:
        feed = Feed(name="Box", channel="demo", synced_at=datetime.now(UTC), settings={})
        session.add(feed)
        await session.flush()
        await session.refresh(feed)
        await ingest(session, feed, [post(n) for n in range(4)])
        return list(await session.scalars(select(Item.id).order_by(Item.rank, Item.id)))


async def on(browser: Browser, here: int | str = "") -> str:
    """Where the button "Next item" leads."""
    return (await browser.send("/next", {"here": str(here)})).headers["location"]


async def answer(browser: Browser, item: int, **more: str) -> str:
    sent = {"key": str(uuid4()), "text": "It is on its way.", "visibility": "public", "then_next": "answered", **more}
    return (await browser.send(f"/items/{item}/replies", sent)).headers["location"]


async def hold(app: FastAPI, item: int) -> tuple[str, int | None]:
    async with app.state.sessions() as session:
        found = await session.get_one(Item, item)
        return found.state, found.agent_id


async def test_with_empty_hands_the_first_that_waits_is_taken(
    app: FastAPI, items: list[int], sign_in: Opener, house: House
) -> None:
    browser = await sign_in("agent")
    assert await on(browser) == f"/items/{items[0]}"
    assert await hold(app, items[0]) == (State.ACTIVE, house.ids["agent"])


async def test_what_is_in_hand_and_not_answered_comes_before_anything_new(items: list[int], sign_in: Opener) -> None:
    browser = await sign_in("agent")
    for item in items[:2]:
        await browser.send(f"/items/{item}/assignment")
    assert await on(browser, items[0]) == f"/items/{items[1]}"
    page = (await browser.get(f"/items/{items[1]}")).text
    assert re.search(rf'<a class="icon-btn" id="next" href="/items/{items[0]}"', page)


async def test_with_nothing_else_in_hand_an_offer_is_accepted_before_anything_is_taken(
    app: FastAPI, items: list[int], sign_in: Opener, house: House
) -> None:
    browser = await sign_in("agent")
    async with app.state.sessions.begin() as session:
        await session.execute(update(Presence).values(state=PresenceState.READY))
        assert await make_offer(session, Proposal(items[2], 1, house.ids["agent"], {"policy": "test"}))
    assert await on(browser) == f"/items/{items[2]}"
    assert await hold(app, items[2]) == (State.ACTIVE, house.ids["agent"])


async def test_when_nothing_waits_it_is_said(sign_in: Opener, house: House) -> None:
    told = await (await sign_in("agent")).send("/next")
    assert told.status_code == 409
    assert "Nothing waits that you could answer" in told.text


async def test_the_empty_desk_has_the_button_without_any_script(items: list[int], sign_in: Opener) -> None:
    browser = await sign_in("agent")
    page = (await browser.get("/desk")).text
    assert re.search(r'<form id="next-form" method="post" action="/next">', page)


async def test_send_close_and_on_takes_a_new_one_while_no_offers_come(
    app: FastAPI, items: list[int], sign_in: Opener, house: House
) -> None:
    browser = await sign_in("agent")
    await browser.send(f"/items/{items[0]}/assignment")
    assert await answer(browser, items[0]) == f"/items/{items[1]}"
    assert await hold(app, items[0]) == (State.CLOSED, None)
    assert await hold(app, items[1]) == (State.ACTIVE, house.ids["agent"])


async def test_send_close_and_on_waits_for_the_offer_where_offers_come(
    app: FastAPI, items: list[int], sign_in: Opener
) -> None:
    browser = await sign_in("agent")
    await browser.send(f"/items/{items[0]}/assignment")
    async with app.state.sessions.begin() as session:
        await session.execute(update(Presence).values(state=PresenceState.READY))
        await session.execute(update(RouterLease).values(holder="test", expires_at=datetime(2099, 1, 1, tzinfo=UTC)))
    assert await answer(browser, items[0]) == "/desk/mine"
    assert await hold(app, items[1]) == (State.QUEUED, None)


async def test_who_never_wants_a_new_one_gets_none(
    app: FastAPI, items: list[int], sign_in: Opener, house: House
) -> None:
    browser = await sign_in("agent")
    async with app.state.sessions.begin() as session:
        agent = await session.get_one(Agent, house.ids["agent"])
        agent.preferences = {"pulling": "never"}
    await browser.send(f"/items/{items[0]}/assignment")
    assert await answer(browser, items[0]) == "/desk/mine"


async def test_the_wish_is_set_among_ones_settings(sign_in: Opener, house: House) -> None:
    browser = await sign_in("agent")
    await browser.send("/me/work", {"pulling": "always"}, method="PUT")
    assert re.search(r'<option value="always" selected>', (await browser.get("/me")).text)
