"""One address for all accounts of an app: its handshake, and deliveries that reach every feed they concern."""

import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.connectors import registry
from app.flow.configure_account import AccountSettings, create_account, credentials_of
from app.flow.configure_feed import FeedSettings, create_feed
from app.flow.hook import hook_of, hook_of_app
from app.models.account import Account
from app.models.feed import Feed
from app.models.post import Post
from app.settings import Settings
from app.vault import Vault
from tests.connectors.loft import signed
from tests.web.conftest import HOST, House

Sessions = async_sessionmaker[AsyncSession]
SECRET = "of-the-app"


@pytest.fixture
async def address(sessions: Sessions, settings: Settings, house: House, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two accounts of one app with three feeds, and one of another app; where the first one's deliveries go."""
    monkeypatch.setitem(registry.BUILT_IN, "loft", "tests.connectors.loft:LoftConnector")
    vault = Vault.load(settings)
    async with sessions.begin() as session:
        for number, app in enumerate(("one", "one", "another")):
            given = credentials_of(registry.get("loft"), {"client_id": app, "client_secret": SECRET})
            account = await create_account(session, vault, "loft", AccountSettings(name=f"Loft {number}"), given)
            names = ("north", "south") if number == 0 else (f"loft-{number}",)
            for name in names:
                shape = FeedSettings(name=name, account_id=account.id, settings={"loft": name})
                await create_feed(session, "loft", shape)
        return f"/hooks/{await hook_of_app(session, 'loft', 'one')}"


async def _deliver(app: FastAPI, address: str, *lofts: str, secret: str = SECRET) -> httpx.Response:
    told = {"id": "evt-1", "posts": [{"id": f"coo-{one}", "loft": one, "text": "Coo."} for one in lofts]}
    body = json.dumps(told).encode()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HOST) as http:
        return await http.post(address, content=body, headers={"x-coo": signed(secret, body)})


async def _ask(app: FastAPI, address: str, **query: Any) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HOST) as http:
        return await http.get(address, params=query)


async def _brought(sessions: Sessions) -> dict[str, str]:
    async with sessions() as session:
        rows = await session.execute(select(Post.external_id, Feed.name).join(Feed, Feed.id == Post.feed_id))
        return {row[0]: row[1] for row in rows}


async def test_a_delivery_reaches_every_feed_that_it_concerns_and_no_other(
    app: FastAPI, address: str, sessions: Sessions
) -> None:
    answer = await _deliver(app, address, "north", "south", "loft-1", "loft-2")

    assert (answer.status_code, answer.json()["new"]) == (200, 3)
    assert await _brought(sessions) == {"coo-north": "north", "coo-south": "south", "coo-loft-1": "loft-1"}


async def test_a_repeat_brings_nothing_twice(app: FastAPI, address: str, sessions: Sessions) -> None:
    await _deliver(app, address, "north", "south")

    again = await _deliver(app, address, "north", "south")

    assert (again.status_code, again.json()["new"]) == (200, 0)


async def test_a_delivery_that_concerns_nobody_is_taken_politely(
    app: FastAPI, address: str, sessions: Sessions
) -> None:
    assert (await _deliver(app, address, "elsewhere")).status_code == 200
    assert await _brought(sessions) == {}


async def test_a_forged_delivery_is_refused_by_all(app: FastAPI, address: str, sessions: Sessions) -> None:
    assert (await _deliver(app, address, "north", secret="guessed")).status_code == 401
    assert await _brought(sessions) == {}


async def test_one_feed_that_is_off_or_cannot_sign_in_hinders_no_other(
    app: FastAPI, address: str, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Feed).where(Feed.name == "north").values(enabled=False))
        await session.execute(update(Account).where(Account.name == "Loft 1").values(sealed=b"broken"))

    answer = await _deliver(app, address, "north", "south", "loft-1")

    assert answer.status_code == 200
    assert await _brought(sessions) == {"coo-south": "south"}


async def test_the_feeds_of_an_app_share_its_address_and_no_id_is_one(
    app: FastAPI, address: str, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        north = (await session.scalars(select(Feed).where(Feed.name == "north"))).one()
        assert f"/hooks/{await hook_of(session, north, 'one')}" == address
    assert len(address) > 30
    assert (await _deliver(app, f"/hooks/{north.id}", "north")).status_code == 404


async def test_the_handshake_is_answered_as_plain_text(app: FastAPI, address: str) -> None:
    answer = await _ask(app, address, **{"hub.verify_token": "coo", "hub.challenge": "<b>1158"})

    assert (answer.status_code, answer.text) == (200, "<b>1158")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_handshake_with_a_token_is_answered_as_json(app: FastAPI, address: str) -> None:
    answer = await _ask(app, address, **{"hub.verify_token": "coo", "crc": "abc"})

    assert (answer.headers["content-type"], answer.json()) == ("application/json", {"said": "abc"})


async def test_a_handshake_with_a_wrong_token_or_at_a_wrong_address_is_refused(app: FastAPI, address: str) -> None:
    assert (await _ask(app, address, **{"hub.verify_token": "guess", "hub.challenge": "1"})).status_code == 403
    assert (await _ask(app, "/hooks/nowhere", **{"hub.verify_token": "coo"})).status_code == 404


async def test_an_app_proves_its_address_before_it_has_feeds(app: FastAPI, address: str, sessions: Sessions) -> None:
    async with sessions.begin() as session:
        another = f"/hooks/{await hook_of_app(session, 'loft', 'another')}"
        await session.execute(update(Feed).where(Feed.name == "loft-2").values(account_id=None, enabled=False))

    answer = await _ask(app, another, **{"hub.verify_token": "coo", "hub.challenge": "7"})

    assert (answer.status_code, answer.text) == (200, "7")


async def test_a_feed_that_is_fetched_as_well_keeps_its_first_sync_and_its_health(
    app: FastAPI, address: str, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Feed).values(health="failing", trouble="Away.", failures=2))

    await _deliver(app, address, "north")

    async with sessions() as session:
        north = (await session.scalars(select(Feed).where(Feed.name == "north"))).one()
    assert (north.health, north.trouble, north.synced_at) == ("failing", "Away.", None)
