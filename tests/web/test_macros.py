"""Macros, tags and priority over HTTP: whose they are, and what nobody else may do on any route."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from app.flow.ingest import ingest
from app.models.feed import Feed
from app.models.item import Item, State
from app.models.saved import Macro
from tests.company import post
from tests.web.conftest import Browser, House

Opener = Callable[[str], Awaitable[Browser]]
FORM = {
    "name": "Torn", "add_tags": "torn, tent", "remove_tags": "", "priority": "2", "reply": "", "end": "close:no_reply",
    "whose": "own",
}  # fmt: skip


@pytest.fixture
async def item(app: FastAPI, house: House) -> Item:
    """An item of the queue Billing of the team Care."""
    async with app.state.sessions.begin() as session:
        feed = Feed(name="Box", channel="webhook", synced_at=datetime.now(UTC))
        session.add(feed)
        await session.flush()
        await session.refresh(feed)
        await ingest(session, feed, [post(1)])
        found: Item = (await session.scalars(select(Item))).one()
        return found


async def _now(app: FastAPI, item: Item) -> Item:
    async with app.state.sessions() as session:
        found: Item = await session.get_one(Item, item.id)
        return found


async def _only_macro(app: FastAPI) -> int:
    async with app.state.sessions() as session:
        return int((await session.scalars(select(Macro.id))).one())


async def test_a_macro_is_previewed_and_run(item: Item, app: FastAPI, sign_in: Opener) -> None:
    agent = await sign_in("agent")
    assert (await agent.send("/macros", FORM)).status_code == 303
    path = f"/items/{item.id}/macros/{await _only_macro(app)}"
    assert "Claim it first" in (await agent.get(path)).text
    await agent.send(f"/items/{item.id}/assignment")
    page = (await agent.get(path)).text
    assert re.findall(r'<li dir="auto">([^<]*)</li>', page) == [
        "Add the tag torn", "Add the tag tent", "Make it P2", "Close as “No reply needed”",
    ]  # fmt: skip
    assert (await _now(app, item)).state == State.ACTIVE
    key = page.partition('name="key" value="')[2].partition('"')[0]
    assert (await agent.send(path, {"key": key})).headers["location"] == "/desk"
    after = await _now(app, item)
    assert (after.state, after.tags, after.priority) == (State.CLOSED, ["torn", "tent"], 2)


async def test_nobody_uses_or_changes_what_is_not_theirs_on_any_route(
    item: Item, app: FastAPI, sign_in: Opener
) -> None:
    await (await sign_in("agent")).send("/macros", FORM)
    macro = await _only_macro(app)
    key = {"key": "8f14e45f-ceea-467f-a0e6-1d1c2b7f0011"}
    for name in ("stranger", "supervisor", "admin"):
        other = await sign_in(name)
        answers = [
            await other.get(f"/macros/{macro}"),
            await other.send(f"/macros/{macro}", FORM, "PUT"),
            await other.send(f"/macros/{macro}", {}, "DELETE"),
            await other.get(f"/items/{item.id}/macros/{macro}"),
            await other.send(f"/items/{item.id}/macros/{macro}", key),
        ]
        assert {answer.status_code for answer in answers} == {404}, name
    stranger = await sign_in("stranger")
    assert (await stranger.get(f"/items/{item.id}/macros")).status_code == 404
    assert (await stranger.send("/macros", FORM | {"whose": "all"})).status_code == 403
    assert (await stranger.send("/macros", FORM | {"end": "park:never"})).status_code == 422


async def test_labels_of_an_item_of_another_team_are_not_there(item: Item, app: FastAPI, sign_in: Opener) -> None:
    stranger = await sign_in("stranger")
    for method, route, form in (
        ("POST", "/tags", {"tag": "x"}), ("DELETE", "/tags", {"tag": "x"}), ("PUT", "/priority", {"priority": "1"}),
    ):  # fmt: skip
        assert (await stranger.send(f"/items/{item.id}{route}", form, method)).status_code == 404, route
    after = await _now(app, item)
    assert (after.tags, after.priority) == (item.tags, item.priority)


async def test_labels_are_changed_beside_the_conversation_and_told_in_its_history(item: Item, sign_in: Opener) -> None:
    agent = await sign_in("agent")
    await agent.send(f"/items/{item.id}/tags", {"tag": "<b>Torn"})
    await agent.send(f"/items/{item.id}/priority", {"priority": "1"}, "PUT")
    page = (await agent.get(f"/items/{item.id}")).text
    assert "You added the tag &lt;b&gt;torn" in page
    assert "You made it P1, it was P3" in page
    await agent.send(f"/items/{item.id}/tags", {"tag": "<b>torn"}, "DELETE")
    assert "You took the tag &lt;b&gt;torn away" in (await agent.get(f"/items/{item.id}")).text
