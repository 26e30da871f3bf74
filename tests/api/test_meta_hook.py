"""A delivery of Meta's: what cannot be read is set aside, and Meta is told that it was taken, or it would stop sending."""

import json

import httpx
from fastapi import FastAPI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.flow.configure_account import AccountSettings, create_account
from app.flow.configure_feed import FeedSettings, create_feed
from app.flow.hook import hook_of_app
from app.models.feed import Quarantine
from app.settings import Settings
from app.vault import Vault
from tests.connectors.fakes.meta import APP
from tests.connectors.fakes.whatsapp import FakeWhatsApp
from tests.web.conftest import HOST, House


async def test_a_delivery_of_which_nothing_can_be_read_is_taken_and_set_aside(
    app: FastAPI, settings: Settings, house: House, sessions: async_sessionmaker[AsyncSession]
) -> None:
    fake = FakeWhatsApp()
    async with sessions.begin() as session:
        vault = Vault.load(settings)
        account = await create_account(
            session, vault, "whatsapp", AccountSettings(name="Northwind"), fake.credentials()
        )
        await create_feed(session, "whatsapp", FeedSettings(name="WhatsApp", account_id=account.id))
        address = f"/hooks/{await hook_of_app(session, 'whatsapp', APP)}"
    sent = fake.signed(json.dumps({"object": fake.object, "entry": [fake.entry(fake.told_broken())]}).encode())

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HOST) as http:
        answer = await http.post(address, content=sent.body, headers=sent.headers)

    assert (answer.status_code, len(answer.json()["rejected"])) == (200, 1)
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Quarantine)) == 1
