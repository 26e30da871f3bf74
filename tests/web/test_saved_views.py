"""Saved views: a list's address under a name, one's own or shared; who may change them, and in which order they stand."""

import html
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from app.flow.ingest import ingest
from app.models.feed import Feed
from app.models.saved import SavedView
from tests.company import post
from tests.web.conftest import Browser, House

Opener = Callable[[str], Awaitable[Browser]]
GERMAN = "all?language=de"


@pytest.fixture
async def items(app: FastAPI, house: House) -> None:
    """Two German items and one English of the team Care."""
    async with app.state.sessions.begin() as session:
        feed = Feed(name="Box", channel="webhook", synced_at=datetime.now(UTC))
        session.add(feed)
        await session.flush()
        await session.refresh(feed)
        await ingest(session, feed, [post(n, language="de" if n < 2 else "en") for n in range(3)])


async def _keep(browser: Browser, name: str, listed: str = GERMAN, whose: str = "own") -> int:
    return (await browser.send("/views", {"name": name, "list": listed, "whose": whose})).status_code


async def _ids(app: FastAPI) -> dict[str, int]:
    async with app.state.sessions() as session:
        return {one.name: one.id for one in await session.scalars(select(SavedView))}


async def _rail(browser: Browser, path: str = "/desk") -> list[tuple[str, str, str]]:
    """Name, address and count of the views in the rail."""
    part = (await browser.get(path)).text.partition('id="rail-views"')[2].partition("</section>")[0]
    found = re.findall(r'<li><a href="([^"]*)".*?<span class="label"[^>]*>(.*?)</span><span class="n">(.*?)<', part)
    return [(name, html.unescape(path), count) for path, name, count in found]


async def test_a_view_is_the_lists_address_with_a_name_and_a_count(items: None, sign_in: Opener) -> None:
    browser = await sign_in("agent")
    answer = await browser.send("/views", {"name": "German", "list": f"{GERMAN}&sort=new", "whose": "own"})
    assert answer.headers["location"] == "/desk/all?language=de&sort=new"
    assert await _rail(browser) == [("German", "/desk/all?language=de&sort=new", "2")]
    page = (await browser.get("/desk/all?language=de&sort=new")).text
    assert '<h2 id="list-title"><bdi>German</bdi></h2>' in page


async def test_a_view_counts_the_open_items_of_its_queue_and_state_alone(
    items: None, sign_in: Opener, house: House
) -> None:
    browser = await sign_in("agent")
    await _keep(browser, "English waiting", f"q{house.billing}?language=en")
    await _keep(browser, "Parked", "all?state=parked")
    await _keep(browser, "Ended", "all?state=closed")
    assert [count for _name, _path, count in await _rail(browser)] == ["1", "0", "0"]


async def test_agents_keep_their_own_views_and_only_supervisors_share(
    app: FastAPI, items: None, sign_in: Opener, house: House
) -> None:
    agent, supervisor, stranger = [await sign_in(name) for name in ("agent", "supervisor", "stranger")]
    assert await _keep(agent, "Mine") == 303
    assert await _keep(agent, "For all", whose="all") == 403
    assert await _keep(agent, "For us", whose=str(house.care)) == 403
    assert await _keep(supervisor, "Care", whose=str(house.care)) == 303
    assert await _keep(supervisor, "Shop", whose=str(house.shop)) == 422
    assert await _keep(supervisor, "Whole house", whose="all") == 303
    assert [name for name, _path, _count in await _rail(agent)] == ["Mine", "Care", "Whole house"]
    assert [name for name, _path, _count in await _rail(supervisor)] == ["Care", "Whole house"]
    assert [(name, count) for name, _path, count in await _rail(stranger)] == [("Whole house", "0")]


async def test_every_address_of_a_view_is_closed_to_whom_it_is_not_for(
    app: FastAPI, sign_in: Opener, house: House
) -> None:
    agent, supervisor, stranger = [await sign_in(name) for name in ("agent", "supervisor", "stranger")]
    await _keep(agent, "Mine")
    await _keep(supervisor, "Care", whose=str(house.care))
    ids = await _ids(app)
    for browser, view, status in (
        (stranger, "Mine", 404),
        (stranger, "Care", 404),
        (agent, "Care", 403),
        (supervisor, "Mine", 404),
    ):
        path = f"/views/{ids[view]}"
        assert (await browser.get(path)).status_code == status
        assert (await browser.send(f"{path}?_method=PUT", {"name": "Taken", "whose": "own"})).status_code == status
        assert (await browser.send(f"{path}/place?_method=PUT", {"to": "up"})).status_code == status
        assert (await browser.send(f"{path}?_method=DELETE")).status_code == status
    assert await _ids(app) == ids


async def test_views_are_renamed_moved_and_removed(app: FastAPI, sign_in: Opener, house: House) -> None:
    browser = await sign_in("agent")
    for name in ("One", "Two", "Three"):
        await _keep(browser, name)
    ids = await _ids(app)
    await browser.send(f"/views/{ids['Three']}/place?_method=PUT", {"to": "up"})
    await browser.send(f"/views/{ids['One']}/place?_method=PUT", {"to": "up"})
    assert [name for name, _path, _count in await _rail(browser)] == ["One", "Three", "Two"]
    await browser.send(f"/views/{ids['Three']}?_method=PUT", {"name": "Third", "whose": "own"})
    await browser.send(f"/views/{ids['One']}?_method=DELETE")
    assert [name for name, _path, _count in await _rail(browser)] == ["Third", "Two"]


async def test_a_view_without_a_name_is_asked_for_one_and_keeps_its_list(sign_in: Opener) -> None:
    browser = await sign_in("agent")
    answer = await browser.send("/views", {"name": "", "list": GERMAN, "whose": "own"})
    assert answer.status_code == 422
    assert f'name="list" value="{GERMAN}"' in answer.text


async def test_only_a_list_that_can_be_narrowed_is_kept(app: FastAPI, sign_in: Opener) -> None:
    browser = await sign_in("agent")
    for listed in ("mine", "all?state=nonsense", "https://example.com/"):
        assert await _keep(browser, "Odd", listed) == 422
    assert await _ids(app) == {}


async def test_a_view_of_a_queue_that_one_does_not_see_is_left_out(app: FastAPI, sign_in: Opener, house: House) -> None:
    supervisor, stranger = await sign_in("supervisor"), await sign_in("stranger")
    await _keep(supervisor, "Billing", f"q{house.billing}?language=de", whose="all")
    assert await _rail(stranger) == []
