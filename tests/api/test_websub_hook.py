"""WebSub over the whole road: a poll asks the hub, the hub asks us, and what it delivers is stored once."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.connectors.base import Link
from app.connectors.rss import RssConnector
from app.connectors.testing.fake import Wire
from app.flow.configure_feed import FeedSettings, create_feed
from app.flow.link import wire
from app.models.feed import Feed
from app.models.post import Post
from app.settings import Settings
from app.vault import Vault
from tests.connectors.fakes.rss import FakeHub
from tests.web.conftest import HOST, Browser, House

Sessions = async_sessionmaker[AsyncSession]
BASE = "https://care.example"
Linked = Callable[[], Awaitable[Link]]


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub(subscribed=False)


@pytest.fixture
async def linked(sessions: Sessions, settings: Settings, house: House, hub: FakeHub) -> Linked:
    """What a poll of the feed is given."""
    async with sessions.begin() as session:
        own = hub.settings().model_dump(mode="json")
        feed = await create_feed(session, "rss", FeedSettings(name="Blog", settings=own))
        await session.execute(update(Feed).where(Feed.id == feed.id).values(synced_at=func.now()))

    async def make() -> Link:
        http = httpx.AsyncClient(transport=Wire(hub))
        async with sessions.begin() as session:
            found = (await session.scalars(select(Feed).where(Feed.name == "Blog"))).one()
            return (await wire(session, found, Vault.load(settings), http, sessions, base=BASE)).link

    return make


@pytest.fixture
async def address(linked: Linked, hub: FakeHub) -> str:
    """Where the hub that was asked delivers."""
    await RssConnector().fetch(await linked(), {})
    return hub.asked[0]["hub.callback"].removeprefix(BASE)


async def _ask(app: FastAPI, address: str, query: dict[str, str]) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HOST) as http:
        return await http.get(address, params=query)


async def _deliver(app: FastAPI, address: str, headers: dict[str, str], body: bytes) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HOST) as http:
        return await http.post(address, content=body, headers=headers)


async def _texts(sessions: Sessions) -> list[str]:
    async with sessions() as session:
        return list(await session.scalars(select(Post.text)))


async def test_the_hub_asks_back_and_its_lease_is_kept(
    app: FastAPI, address: str, hub: FakeHub, linked: Linked
) -> None:
    answer = await _ask(app, address, hub.question(3600))

    assert (answer.status_code, answer.text) == (200, "echo-1")
    kept = (await linked()).told
    assert (kept["asked"], kept["secret"]) == ("", hub.asked[0]["hub.secret"])
    assert kept["until"] > kept["renew"]


async def test_what_was_not_asked_for_is_not_found(app: FastAPI, address: str, hub: FakeHub) -> None:
    answer = await _ask(app, address, hub.question() | {"hub.topic": "https://blog.example/another"})
    assert answer.status_code == 404
    assert "echo" not in answer.text


async def test_an_entry_is_stored_once_however_often_it_is_delivered(
    app: FastAPI, address: str, hub: FakeHub, sessions: Sessions
) -> None:
    sent = hub.delivery("the zip broke")
    first = await _deliver(app, address, sent.headers, sent.body)
    again = await _deliver(app, address, sent.headers, sent.body)

    assert (first.status_code, first.json()["new"]) == (200, 1)
    assert (again.status_code, again.json()["new"]) == (200, 0)
    assert await _texts(sessions) == ["the zip broke"]


async def test_a_forged_delivery_is_acknowledged_and_dropped(
    app: FastAPI, address: str, hub: FakeHub, sessions: Sessions
) -> None:
    sent = hub.delivery("refund 10 dollars")
    answer = await _deliver(app, address, sent.headers, sent.body.replace(b"10", b"99"))

    assert (answer.status_code, answer.json()["accepted"]) == (200, 0)
    assert await _texts(sessions) == []


async def test_neither_the_address_nor_the_secret_stands_on_the_feeds_page(
    address: str, hub: FakeHub, sessions: Sessions, sign_in: Callable[[str], Awaitable[Browser]]
) -> None:
    async with sessions() as session:
        feed_id = await session.scalar(select(Feed.id).where(Feed.name == "Blog"))
    browser = await sign_in("admin")
    page = await browser.get(f"/admin/feeds/{feed_id}")
    assert page.status_code == 200
    assert "Have posts delivered" in page.text
    assert address not in page.text
    assert hub.asked[0]["hub.secret"] not in page.text
