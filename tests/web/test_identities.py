"""The composer's choice of the account that answers, as a page without scripts sends it."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import uuid4

from fastapi import FastAPI
from sqlalchemy import select

from app.flow.ingest import ingest
from app.models.account import Account
from app.models.feed import Feed
from app.models.item import Item
from app.models.reply import Reply
from tests.company import post
from tests.web.conftest import Browser

Opener = Callable[[str], Awaitable[Browser]]


async def _item(app: FastAPI, *names: str) -> tuple[int, dict[str, int]]:
    """An item that the first of these accounts of ours brought."""
    async with app.state.sessions.begin() as session:
        ours = [Account(channel="demo", name=name, external_id=f"townsquare:{name}", sealed=b"-") for name in names]
        session.add_all(ours)
        await session.flush()
        feed = Feed(
            name="Townsquare",
            channel="demo",
            account_id=ours[0].id,
            settings={"url": "http://127.0.0.1:1"},
            synced_at=datetime.now(UTC),
        )
        session.add(feed)
        await session.flush()
        await session.refresh(feed)
        await ingest(session, feed, [post(1)])
        return (await session.scalars(select(Item.id))).one(), {one.name: one.id for one in ours}


async def test_where_one_account_can_answer_nothing_is_to_be_chosen(app: FastAPI, sign_in: Opener) -> None:
    item, _ids = await _item(app, "northwindhelp")
    browser = await sign_in("agent")
    await browser.send(f"/items/{item}/assignment")
    assert 'name="account_id"' not in (await browser.get(f"/items/{item}")).text


async def test_the_chosen_account_is_saved_with_the_draft_and_sent_with_the_reply(
    app: FastAPI, sign_in: Opener
) -> None:
    item, ids = await _item(app, "northwindhelp", "care")
    browser = await sign_in("agent")
    await browser.send(f"/items/{item}/assignment")
    assert f'value="{ids["northwindhelp"]}" selected>northwindhelp' in (await browser.get(f"/items/{item}")).text
    asked = {"key": str(uuid4()), "text": "We look.", "visibility": "public", "account_id": str(ids["care"])}
    await browser.send(f"/items/{item}/draft", asked, "PUT")
    assert f'value="{ids["care"]}" selected>care' in (await browser.get(f"/items/{item}")).text
    await browser.send(f"/items/{item}/replies", asked)
    async with app.state.sessions() as session:
        assert (await session.scalars(select(Reply.account_id))).all() == [ids["care"]]
