"""Deliveries of a forum and of Telegram, which tell of one post each, on their whole way into the house."""

from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.connectors.testing import FakeChannel
from app.flow.configure_account import AccountSettings, create_account
from app.flow.configure_feed import FeedSettings, create_feed
from app.flow.hook import hook_of
from app.models.post import Post
from app.settings import Settings
from app.vault import Vault
from tests.connectors.fakes.discourse import FakeDiscourse
from tests.connectors.fakes.telegram import FakeTelegram
from tests.web.conftest import HOST, House


@pytest.mark.parametrize("make", [FakeDiscourse, lambda: FakeTelegram(delivered=True)], ids=["discourse", "telegram"])
async def test_what_is_delivered_is_stored_once(
    make: Callable[[], FakeChannel],
    app: FastAPI,
    settings: Settings,
    house: House,
    sessions: async_sessionmaker[AsyncSession],
) -> None:
    fake = make()
    channel, held = fake.connector.name, fake.credentials()
    assert held is not None
    async with sessions.begin() as session:
        vault = Vault.load(settings)
        account = await create_account(session, vault, channel, AccountSettings(name="Northwind"), held)
        wanted = fake.settings().model_dump(mode="json")
        feed = await create_feed(session, channel, FeedSettings(name=channel, account_id=account.id, settings=wanted))
        address = f"/hooks/{await hook_of(session, feed, account.app)}"
    sent = fake.delivery("Where is my order?")

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HOST) as http:
        answers = [await http.post(address, content=sent.body, headers=sent.headers) for _ in range(2)]

    assert [(answer.status_code, answer.json()["new"]) for answer in answers] == [(200, 1), (200, 0)]
    async with sessions() as session:
        assert list(await session.scalars(select(Post.text).where(Post.channel == channel))) == ["Where is my order?"]
