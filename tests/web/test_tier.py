"""The tier of a customer's contract: who may set it, who sees it, what it keeps."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from app.flow.ingest import ingest
from app.models.feed import Feed
from app.models.item import Item
from app.models.post import Customer
from tests.company import post
from tests.web.conftest import Browser, House

Opener = Callable[[str], Awaitable[Browser]]


@pytest.fixture
async def item(app: FastAPI, house: House) -> Item:
    """An item of the queue Billing of the team Care."""
    async with app.state.sessions.begin() as session:
        feed = Feed(name="Box", channel="webhook", synced_at=datetime.now(UTC))
        session.add(feed)
        await session.flush()
        await session.refresh(feed)
        await ingest(session, feed, [post(1, "Where is my tent?")])
        found: Item = (await session.scalars(select(Item))).one()
        return found


async def _tier(app: FastAPI, item: Item) -> str:
    async with app.state.sessions() as session:
        found: Customer = await session.get_one(Customer, item.customer_id)
        return found.tier


async def test_a_supervisor_sets_the_tier_beside_the_conversation_and_everybody_sees_it(
    item: Item, sign_in: Opener, app: FastAPI
) -> None:
    supervisor, agent = await sign_in("supervisor"), await sign_in("agent")
    assert "No tier" in (await supervisor.get(f"/items/{item.id}")).text
    assert "Tier" not in (await agent.get(f"/items/{item.id}")).text.partition('id="context"')[2]

    form = {"tier": "  gold <b>\n plus ", "item_id": str(item.id), "list": ""}
    answer = await supervisor.send(f"/customers/{item.customer_id}/tier", form)

    assert (answer.status_code, answer.headers["location"]) == (303, f"/items/{item.id}")
    assert await _tier(app, item) == "gold <b> plus"
    for reader in (supervisor, agent):
        assert "Tier: gold &lt;b&gt; plus" in (await reader.get(f"/items/{item.id}")).text
    assert f'action="/customers/{item.customer_id}/tier"' not in (await agent.get(f"/items/{item.id}")).text
    await supervisor.send(f"/customers/{item.customer_id}/tier", form | {"tier": ""})
    assert await _tier(app, item) == ""


async def test_nobody_else_sets_it(item: Item, sign_in: Opener, app: FastAPI) -> None:
    form = {"tier": "gold", "item_id": str(item.id)}
    path = f"/customers/{item.customer_id}/tier"

    assert (await (await sign_in("agent")).send(path, form)).status_code == 403
    assert (await (await sign_in("stranger")).send(path, form)).status_code == 403
    assert (await (await sign_in("")).send(path, form)).headers["location"].startswith("/login")
    admin = await sign_in("admin")
    assert (await admin.send("/customers/999/tier", form)).status_code == 404
    assert (await admin.send(path, form | {"tier": "x" * 61})).status_code == 422
    assert await _tier(app, item) == ""
