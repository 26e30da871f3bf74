"""Saved replies: whose they are, who may change them, what fits an item, and that no blank is ever sent."""

import html
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from app.flow.ingest import ingest
from app.models.feed import Feed
from app.models.item import Item
from app.models.saved import SavedReply
from tests.company import post
from tests.web.conftest import Browser, House

Opener = Callable[[str], Awaitable[Browser]]
KEY = "8f14e45f-ceea-467f-a0e6-1d1c2b7f0009"


@pytest.fixture
async def item(app: FastAPI, house: House) -> Item:
    """An item of the queue Billing of the team Care, by Lena Brandt, in German."""
    async with app.state.sessions.begin() as session:
        feed = Feed(name="Box", channel="webhook", synced_at=datetime.now(UTC))
        session.add(feed)
        await session.flush()
        await session.refresh(feed)
        await ingest(session, feed, [post(1, "Wo ist mein Zelt?", author="lena", language="de")])
        found: Item = (await session.scalars(select(Item))).one()
        return found


async def _save(browser: Browser, title: str, whose: str = "own", **more: str) -> int:
    form = {
        "title": title,
        "body": f"{title} for {{customer.name}}",
        "language": "",
        "tags": "",
        "whose": whose,
        **more,
    }
    return (await browser.send("/saved", form)).status_code


async def _ids(app: FastAPI) -> dict[str, int]:
    async with app.state.sessions() as session:
        return {one.title: one.id for one in await session.scalars(select(SavedReply))}


async def _titles(browser: Browser, item: Item, query: str = "") -> list[str]:
    page = (await browser.get(f"/items/{item.id}/saved", params={"q": query})).text
    return [html.unescape(one) for one in re.findall(r'<span dir="auto">([^<]*)</span>', page)]


async def test_agents_keep_their_own_and_supervisors_what_is_shared(
    app: FastAPI, sign_in: Opener, house: House
) -> None:
    agent, supervisor = await sign_in("agent"), await sign_in("supervisor")
    assert await _save(agent, "Mine") == 303
    assert await _save(agent, "For all", "all") == 403
    assert await _save(agent, "For the team", str(house.care)) == 403
    assert await _save(supervisor, "For all", "all") == 303
    assert await _save(supervisor, "For the team", str(house.care)) == 303
    assert await _save(supervisor, "For another team", str(house.shop)) == 422
    assert set(await _ids(app)) == {"Mine", "For all", "For the team"}


async def test_nobody_sees_uses_or_changes_what_is_not_theirs_on_any_route(
    app: FastAPI, sign_in: Opener, house: House
) -> None:
    agent, supervisor = await sign_in("agent"), await sign_in("supervisor")
    await _save(agent, "Mine")
    await _save(supervisor, "Team", str(house.care))
    await _save(supervisor, "All", "all")
    ids = await _ids(app)
    form = {"title": "Stolen", "body": "x", "language": "", "tags": "", "whose": "own"}
    for who, title, status in (
        ("stranger", "Mine", 404), ("stranger", "Team", 404), ("stranger", "All", 403), ("supervisor", "Mine", 404),
        ("admin", "Mine", 404), ("agent", "Team", 403),
    ):  # fmt: skip
        browser = await sign_in(who)
        path = f"/saved/{ids[title]}"
        answers = [
            await browser.get(path),
            await browser.send(path, form, "PUT"),
            await browser.send(path, {}, "DELETE"),
        ]
        assert {answer.status_code for answer in answers} == {status}, (who, title)
        used = await browser.send(f"{path}/uses")
        assert used.status_code == (404 if status == 404 else 204)
    assert set(await _ids(app)) == {"Mine", "Team", "All"}
    assert "Mine" not in (await supervisor.get("/saved")).text
    assert (await (await sign_in("stranger")).get("/saved")).text.count("Team") == 0


async def test_the_picker_is_not_there_for_an_item_of_another_team(item: Item, sign_in: Opener) -> None:
    assert (await (await sign_in("stranger")).get(f"/items/{item.id}/saved")).status_code == 404


async def test_what_fits_comes_in_the_customers_language_and_on_the_topic_first(item: Item, sign_in: Opener) -> None:
    agent = await sign_in("agent")
    for title, language, tags in (
        ("Delivery", "en", ""), ("Lieferung", "de", ""), ("Rechnung", "de", "billing"), ("Any language", "", ""),
    ):  # fmt: skip
        await _save(agent, title, language=language, tags=tags)
    assert await _titles(agent, item) == ["Rechnung", "Lieferung", "Any language", "Delivery"]
    assert await _titles(agent, item, "deliv") == ["Delivery"]
    assert await _titles(agent, item, "BILLing") == ["Rechnung"]
    assert await _titles(agent, item, "lfg") == ["Lieferung"]
    assert await _titles(agent, item, "nothing like it") == []


async def test_it_is_filled_in_and_hostile_names_stay_text(item: Item, app: FastAPI, sign_in: Opener) -> None:
    agent = await sign_in("agent")
    await _save(agent, "<b>Hello", body="Hi {customer.name}, {queue.name} #{item.id} {order}. {agent.first_name}")
    page = (await agent.get(f"/items/{item.id}/saved")).text
    assert f'data-text="Hi Lena, Billing #{item.id} {{order}}. Agent"' in page
    assert "To fill in: {order}" in page
    assert "<b>Hello" not in page


async def test_a_reply_with_a_blank_is_refused_in_words_and_keeps_its_text(item: Item, sign_in: Opener) -> None:
    agent = await sign_in("agent")
    await agent.send(f"/items/{item.id}/assignment")
    form = {"text": "Your order {order number}", "visibility": "public", "key": KEY}
    answer = await agent.send(f"/items/{item.id}/replies", form)
    assert answer.status_code in {409, 422}
    assert "Your order {order number}" in html.unescape(answer.text)


async def test_uses_are_counted(app: FastAPI, sign_in: Opener) -> None:
    agent = await sign_in("agent")
    await _save(agent, "Mine")
    saved = (await _ids(app))["Mine"]
    for _time in range(2):
        await agent.send(f"/saved/{saved}/uses")
    async with app.state.sessions() as session:
        assert (await session.get_one(SavedReply, saved)).uses == 2


async def test_one_is_changed_and_removed(app: FastAPI, sign_in: Opener) -> None:
    agent = await sign_in("agent")
    await _save(agent, "Mine")
    path = f"/saved/{(await _ids(app))['Mine']}"
    form = {"title": "Better", "body": "New\r\ntext", "language": "de", "tags": "A, a, b", "whose": "own"}
    assert (await agent.send(path, form, "PUT")).status_code == 303
    async with app.state.sessions() as session:
        saved = (await session.scalars(select(SavedReply))).one()
        assert (saved.title, saved.body, saved.language, saved.tags) == ("Better", "New\ntext", "de", ["a", "b"])
    assert (await agent.send(path, form | {"language": "!"}, "PUT")).status_code == 422
    await agent.send(path, {}, "DELETE")
    assert await _ids(app) == {}
