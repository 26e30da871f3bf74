"""The same app and house as the pages are tested with, and programs that bring a token."""

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.connectors.registry import get
from app.flow.configure_account import AccountSettings, create_account, credentials_of
from app.flow.configure_feed import FeedSettings, create_feed
from app.flow.ingest import ingest
from app.flow.tokens import create_token
from app.models.agent import Presence, PresenceState
from app.models.feed import Feed
from app.models.item import Item
from app.settings import Settings
from app.vault import Vault
from tests.company import post
from tests.web.conftest import HOST, House, app, house, sessions, settings, sign_in

__all__ = ["app", "house", "sessions", "settings", "sign_in"]  # fixtures

SECRET = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0cw=="


@pytest.fixture
async def feed_id(sessions: async_sessionmaker[AsyncSession], settings: Settings, house: House) -> int:
    """A webhook feed whose posts go to the queue Billing of the team Care."""
    async with sessions.begin() as session:
        credentials = credentials_of(
            get("webhook"), {"secret": SECRET, "reply_url": "https://shop.example.com/replies"}
        )
        account = await create_account(
            session, Vault.load(settings), "webhook", AccountSettings(name="Shop"), credentials
        )
        shop = FeedSettings(name="Shop", account_id=account.id, settings={"source": "shop"})
        feed = await create_feed(session, "webhook", shop)
        await session.execute(update(Feed).values(synced_at=func.now()))
        await session.execute(update(Presence).values(state=PresenceState.READY))
        return feed.id


@pytest.fixture
async def item_id(sessions: async_sessionmaker[AsyncSession], feed_id: int) -> int:
    """An item that waits in Billing."""
    async with sessions.begin() as session:
        feed = await session.get_one(Feed, feed_id)
        await ingest(session, feed, [post(1, ref={"id": "1", "thread": "1", "visibility": "public"})])
        return (await session.scalars(select(Item.id))).one()


@pytest.fixture
async def program(
    app: FastAPI, sessions: async_sessionmaker[AsyncSession], house: House
) -> AsyncIterator[Callable[..., Awaitable[httpx.AsyncClient]]]:
    """A client with a token of somebody of the house."""
    opened: list[httpx.AsyncClient] = []

    async def make(name: str, *, writes: bool = True) -> httpx.AsyncClient:
        async with sessions.begin() as session:
            token = await create_token(session, house.ids[name], "test", writes=writes)
        http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url=f"{HOST}/api/v1",
            headers={"Authorization": f"Bearer {token}"},
        )
        opened.append(http)
        return http

    yield make
    for http in opened:
        await http.aclose()
