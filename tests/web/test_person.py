"""The customer's pane: what agents say about a person, who may, and what happens when a part does not load."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from sqlalchemy import select, text

from app.flow.ingest import ingest
from app.models.feed import Feed
from app.models.item import Item
from tests.company import post
from tests.web.conftest import Browser, House

Opener = Callable[[str], Awaitable[Browser]]


@pytest.fixture
async def items(app: FastAPI, house: House) -> list[Item]:
    """Two items by two authors, in the queue of the team Care."""
    async with app.state.sessions.begin() as session:
        feed = Feed(name="Box", channel="webhook", synced_at=datetime.now(UTC))
        session.add(feed)
        await session.flush()
        await session.refresh(feed)
        await ingest(session, feed, [post(1, author="lena"), post(2, author="lena@posteo.example")])
        return list(await session.scalars(select(Item).order_by(Item.id)))


async def test_an_agent_links_tags_notes_and_asks_beside_the_conversation(items: list[Item], sign_in: Opener) -> None:
    browser, item = await sign_in("agent"), items[0]
    here = {"item_id": str(item.id)}
    base = f"/customers/{item.customer_id}"
    for path, form in (
        ("authors", {"handle": "lena@posteo.example"}),
        ("tags", {"tag": "<b>vip</b>"}),
        ("notes", {"text": "Likes plain answers."}),
    ):
        answer = await browser.send(f"{base}/{path}", here | form)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/items/{item.id}")
    page = (await browser.get(f"/items/{item.id}")).text
    pane = page.partition('id="context"')[2]
    assert "l•••a@posteo.example" in pane
    assert "lena@posteo.example" not in page
    assert "&lt;b&gt;vip" in pane
    assert "Likes plain answers." in pane
    assert f'href="/items/{items[1].id}"' in pane
    asked = pane.partition("/contact")[0].rpartition("/")[2]
    await browser.send(f"{base}/authors/{asked}/contact", here)
    assert "lena@posteo.example" in (await browser.get(f"/items/{item.id}")).text
    assert "lena@posteo.example" not in (await (await sign_in("supervisor")).get(f"/items/{item.id}")).text
    await browser.send(f"{base}/authors/{asked}", here, method="DELETE")
    await browser.send(f"{base}/tags", here | {"tag": "<b>vip</b>"}, method="DELETE")
    pane = (await browser.get(f"/items/{item.id}")).text.partition('id="context"')[2]
    assert "vip" not in pane
    assert "posteo" not in pane


async def test_all_items_of_a_customer_are_listed_for_who_may_see_any(items: list[Item], sign_in: Opener) -> None:
    history = f"/customers/{items[0].customer_id}/history"
    assert f'href="/items/{items[0].id}"' in (await (await sign_in("agent")).get(history)).text
    stranger = await sign_in("stranger")
    assert (await stranger.get(history)).status_code == 404
    for path in ("authors", "tags", "notes"):
        form = {"item_id": str(items[0].id), "handle": "x", "tag": "x", "text": "x"}
        assert (await stranger.send(f"/customers/{items[0].customer_id}/{path}", form)).status_code == 404


async def test_a_part_that_does_not_load_says_so_and_takes_nothing_else_with_it(
    app: FastAPI, items: list[Item], sign_in: Opener
) -> None:
    async with app.state.sessions.begin() as session:
        await session.execute(text("ALTER TABLE customer_note RENAME TO somewhere_else"))
    page = (await (await sign_in("agent")).get(f"/items/{items[0].id}")).text
    assert page.count("This part did not load.") == 1
    assert "No other item is open." in page


async def test_who_was_late_is_told_what_a_colleague_did_meanwhile(items: list[Item], sign_in: Opener) -> None:
    agent, supervisor = await sign_in("agent"), await sign_in("supervisor")
    closing = f"/items/{items[0].id}/closure"
    assert (await supervisor.send(closing, {"disposition": "spam"})).status_code == 303
    late = await agent.http.post(
        closing, data={"csrf": agent.csrf, "disposition": "no_reply"}, headers={"HX-Request": "true"}
    )
    assert late.status_code == 409
    assert "Supervisor closed it: Spam" in late.text


async def test_a_refused_form_shows_what_changed_beside_what_was_written(items: list[Item], sign_in: Opener) -> None:
    agent, supervisor = await sign_in("agent"), await sign_in("supervisor")
    at = f"/items/{items[0].id}"
    assert (await supervisor.send(f"{at}/closure", {"disposition": "spam"})).status_code == 303
    asked = {"text": "We are on it.", "visibility": "public", "key": "7f3c1f9e-6c0b-4b55-9f0a-0d9a2c1f5b11"}
    for headers, box in (({"HX-Request": "true"}, "What you wrote"), ({}, "Your text, so that nothing is lost")):
        late = await agent.http.post(f"{at}/replies", data={"csrf": agent.csrf, **asked}, headers=headers)
        assert late.status_code == 409
        changed, _, wrote = late.text.partition(box)
        assert "Supervisor closed it: Spam" in changed
        assert "We are on it." in wrote
