"""Many items at once over HTTP: what would happen is shown first, then it happens, once, and is told item by item."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select

from app.flow.ingest import ingest
from app.models.feed import Feed
from app.models.item import Item, State
from tests.company import post
from tests.web.conftest import Browser, House

Opener = Callable[[str], Awaitable[Browser]]


@pytest.fixture
async def items(app: FastAPI, house: House) -> list[int]:
    async with app.state.sessions.begin() as session:
        feed = Feed(name="Box", channel="webhook", synced_at=datetime.now(UTC))
        session.add(feed)
        await session.flush()
        await session.refresh(feed)
        await ingest(session, feed, [post(n) for n in range(5)])
        return list(await session.scalars(select(Item.id).order_by(Item.rank, Item.id)))


def fields(page: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page):
        found.setdefault(name, []).append(value)
    return found


async def states(app: FastAPI) -> dict[str, int]:
    async with app.state.sessions() as session:
        return {row[0]: row[1] for row in await session.execute(select(Item.state, func.count()).group_by(Item.state))}


async def test_what_would_happen_is_shown_before_it_happens_and_told_after(
    items: list[int], sign_in: Opener, app: FastAPI
) -> None:
    other, browser = await sign_in("supervisor"), await sign_in("agent")
    await other.send(f"/items/{items[0]}/assignment")
    chosen = "&".join(f"item={one}" for one in items[:3])
    page = (await browser.get(f"/bulk?do=close&{chosen}&list=all")).text
    assert "Close: 2 items" in page
    assert "Supervisor has it." in page
    assert await states(app) == {State.ACTIVE: 1, State.QUEUED: 4}
    form = fields(page)
    assert [one.partition(".")[0] for one in form["item"]] == [str(one) for one in items[1:3]]
    answer = await browser.send("/bulk", {**form, "disposition": "spam"})
    told = (await browser.get(answer.headers["location"])).text
    assert "2 items were done" in told
    assert await states(app) == {State.ACTIVE: 1, State.QUEUED: 2, State.CLOSED: 2}
    again = await browser.send("/bulk", {**form, "disposition": "spam"})
    assert again.headers["location"] == answer.headers["location"]
    assert (await other.get(answer.headers["location"])).status_code == 404


async def test_tags_and_priority_are_shown_as_they_are_and_set_for_all(items: list[int], sign_in: Opener) -> None:
    browser = await sign_in("agent")
    chosen = "&".join(f"item={one}" for one in items[:2])
    form = fields((await browser.get(f"/bulk?do=tag&{chosen}&list=all")).text)
    answer = await browser.send("/bulk", {**form, "tag": "flood"})
    assert "2 items were done" in (await browser.get(answer.headers["location"])).text
    page = (await browser.get(f"/bulk?do=untag&{chosen}&item={items[2]}&list=all")).text
    assert page.count('<span class="chip" dir="auto">flood</span>') == 2
    assert "<option>flood</option>" in page
    page = (await browser.get(f"/bulk?do=prioritise&{chosen}&list=all")).text
    assert page.count('data-p="3"') == 2
    answer = await browser.send("/bulk", {**fields(page), "priority": "1"})
    assert "2 items were done" in (await browser.get(answer.headers["location"])).text
    wrong = {**fields(page), "priority": "7", "key": str(uuid4())}
    assert (await browser.send("/bulk", wrong)).status_code == 422


async def test_a_whole_list_can_be_chosen(items: list[int], sign_in: Opener) -> None:
    browser = await sign_in("agent")
    page = (await browser.get("/bulk?do=claim&all=1&list=claimable")).text
    assert "Claim: 5 items" in page
    narrowed = (await browser.get("/bulk?do=claim&all=1&list=claimable%3Fchannel%3Drss")).text
    assert "Claim: 0 items" in narrowed


async def test_nothing_of_another_team_is_shown_or_named(items: list[int], sign_in: Opener) -> None:
    browser = await sign_in("stranger")
    page = (await browser.get(f"/bulk?do=claim&item={items[0]}")).text
    assert "1 chosen item is not in a queue of your teams." in page
    assert "Tent" not in page
    assert "tent arrived" not in page


@pytest.mark.parametrize("query", ["do=claim", "do=explode&item=1", "do=claim&item=x", "do=claim&item=" + "9" * 40])
async def test_nonsense_is_refused_in_words(items: list[int], sign_in: Opener, query: str) -> None:
    answer = await (await sign_in("agent")).get(f"/bulk?{query}")
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "form", [{}, {"key": "x"}, {"key": "8f14e45f-ceea-467f-a0e6-1d1c2b7f0001", "do": "claim", "item": "1"}]
)
async def test_a_form_that_names_nothing_is_refused(items: list[int], sign_in: Opener, form: dict[str, str]) -> None:
    assert (await (await sign_in("agent")).send("/bulk", form)).status_code == 422
