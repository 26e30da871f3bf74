"""The bell, the expert's sight of one item, and working together without script."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from app.flow.ingest import ingest
from app.models.agent import Role
from app.models.feed import Feed
from app.models.item import Item, State
from app.web.sights import Sight, permitted
from tests.company import post
from tests.web.conftest import Browser, House

Opener = Callable[[str], Awaitable[Browser]]


@pytest.fixture
async def items(app: FastAPI, house: House) -> list[int]:
    """Two items in the queue Billing of the team Care."""
    async with app.state.sessions.begin() as session:
        feed = Feed(name="Box", channel="webhook", synced_at=datetime.now(UTC))
        session.add(feed)
        await session.flush()
        await session.refresh(feed)
        await ingest(session, feed, [post(n, f"Tent {n} arrived torn.") for n in range(2)])
        return list(await session.scalars(select(Item.id).order_by(Item.id)))


async def asked(agent: Browser, item: int, house: House) -> None:
    """The agent holds the item and asks the stranger about it."""
    await agent.send(f"/items/{item}/assignment")
    form = {"whom": f"a{house.ids['stranger']}", "question": "Is it void?"}
    assert (await agent.send(f"/items/{item}/consults", form)).status_code == 303


async def test_an_expert_reads_the_one_item_and_answers_it_without_script(
    items: list[int], sign_in: Opener, house: House
) -> None:
    agent, stranger = await sign_in("agent"), await sign_in("stranger")
    await asked(agent, items[0], house)
    assert 'data-notices="1"' in (await stranger.get("/desk")).text
    page = (await stranger.get(f"/items/{items[0]}")).text
    assert "Is it void?" in page
    assert 'id="close"' not in page
    assert 'id="transfer"' not in page
    assert (await stranger.get(f"/items/{items[1]}")).status_code == 404
    action = page.partition('class="answer"')[2].partition('action="')[2].partition('"')[0]
    assert (await stranger.send(action, {"text": "It is void."})).status_code == 303
    assert "It is void." in (await agent.get(f"/items/{items[0]}")).text


@pytest.mark.parametrize(
    ("method", "route"),
    [("POST", "/closure"), ("POST", "/assignment"), ("DELETE", "/assignment"), ("POST", "/transfer"), ("POST", "/takeover"),
     ("POST", "/requests"), ("POST", "/consults"), ("POST", "/parking"), ("DELETE", "/closure")],
)  # fmt: skip
async def test_an_expert_changes_nothing(
    *, items: list[int], sign_in: Opener, house: House, app: FastAPI, method: str, route: str
) -> None:
    agent, stranger = await sign_in("agent"), await sign_in("stranger")
    await asked(agent, items[0], house)
    form = {"disposition": "spam", "to": f"q{house.orders}", "whom": f"a{house.ids['stranger']}", "question": "So?"}
    assert (await stranger.send(f"/items/{items[0]}{route}", form, method)).status_code == 404
    async with app.state.sessions() as session:
        assert await session.scalar(select(Item.state).where(Item.id == items[0])) == State.ACTIVE


async def test_opening_the_item_reads_what_one_was_told_of_it(items: list[int], sign_in: Opener) -> None:
    agent, supervisor = await sign_in("agent"), await sign_in("supervisor")
    for item in items:
        await agent.send(f"/items/{item}/notes", {"text": "@supervisor, look"})
    assert 'data-notices="2"' in (await supervisor.get("/notices?only=bell")).text
    assert 'data-notices="1"' in (await supervisor.get(f"/items/{items[0]}")).text
    page = (await supervisor.get("/notices")).text
    assert page.count("mentioned you") == 2
    assert page.count("data-unread") == 1
    await supervisor.send("/notices/reading")
    assert 'data-notices="0"' in (await supervisor.get("/notices?only=bell")).text


async def test_nobody_reads_anothers_notices(items: list[int], sign_in: Opener) -> None:
    agent, stranger = await sign_in("agent"), await sign_in("stranger")
    await agent.send(f"/items/{items[0]}/notes", {"text": "@supervisor @stranger, look"})
    assert "mentioned you" not in (await stranger.get("/notices")).text
    assert "Stranger cannot see this item" in (await agent.get(f"/items/{items[0]}")).text


async def test_what_is_fetched_ahead_is_not_read_by_that(items: list[int], sign_in: Opener) -> None:
    agent, supervisor = await sign_in("agent"), await sign_in("supervisor")
    await agent.send(f"/items/{items[0]}/notes", {"text": "@supervisor, look"})
    await supervisor.http.get(f"/items/{items[0]}", headers={"X-Ahead": "1"})
    assert 'data-notices="1"' in (await supervisor.get("/notices?only=bell")).text


async def test_a_request_is_met_without_script(items: list[int], sign_in: Opener) -> None:
    agent, supervisor = await sign_in("agent"), await sign_in("supervisor")
    await agent.send(f"/items/{items[0]}/assignment")
    await supervisor.send(f"/items/{items[0]}/requests")
    page = (await agent.get(f"/items/{items[0]}")).text
    assert "Supervisor asks you for this item." in page
    action = page.partition('id="wanted-')[2].partition('action="')[2].partition('"')[0]
    assert (await agent.send(action)).status_code == 303
    assert "You: gave" not in page
    assert "Agent gave it to You" in (await supervisor.get(f"/items/{items[0]}")).text


async def test_colleagues_who_may_see_it_are_proposed_first(items: list[int], sign_in: Opener) -> None:
    agent = await sign_in("agent")
    names = (await agent.get(f"/items/{items[0]}/colleagues?q=s")).text
    assert names.index("Supervisor") < names.index("Stranger")
    assert "cannot see it" in names.partition("Stranger")[2]


async def test_a_sign_tells_who_else_is_there(items: list[int], sign_in: Opener) -> None:
    agent, supervisor = await sign_in("agent"), await sign_in("supervisor")
    await agent.send(f"/items/{items[0]}/viewing", {"typing": "1"}, "PUT")
    answer = (await supervisor.send(f"/items/{items[0]}/viewing", {}, "PUT")).text
    assert "Agent is typing" in answer
    listed = (await supervisor.get("/desk?parts=rail,list")).text
    assert "Agent is typing" in listed
    await agent.send(f"/items/{items[0]}/viewing", {}, "DELETE")
    assert "Agent is" not in (await supervisor.send(f"/items/{items[0]}/viewing", {}, "PUT")).text


def test_notices_and_onlookers_are_told_to_whom_they_concern_only() -> None:
    expert = Sight(7, Role.AGENT, frozenset(), 0.0, frozenset({10}))
    changes: dict[str, set[int] | None] = {"notices": {7, 8}, "viewers": {10, 11}, "items": {10, 11}}
    places: dict[int, tuple[int, int | None]] = {10: (1, None), 11: (1, None)}
    assert permitted(changes, expert, places) == {"notices": [7], "viewers": [10], "items": [10]}
