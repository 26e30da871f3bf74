"""A post comes in, an agent answers it, the answer stands on the channel: over the real database, through each fake."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.connectors.testing.fake import FakeChannel, Trouble, Wire
from app.models.feed import Health
from app.models.item import Disposition, State
from tests.connectors.fakes import bluesky, demo, mastodon, rss
from tests.road.road import Road

CHANNELS: dict[str, Callable[[], FakeChannel]] = {
    "mastodon": mastodon.VARIANTS["mastodon-mentions"],
    "bluesky": bluesky.VARIANTS["notifications"],
    "demo": demo.VARIANTS["demo"],
}


async def lay(engine: AsyncEngine, fake: FakeChannel, http: httpx.AsyncClient) -> Road:
    """The road through this fake."""
    return await Road.lay(
        engine,
        fake.connector.name,
        http,
        fake.settings(),
        credentials=fake.credentials(),
        account=fake.account(),
    )


@pytest.fixture(params=CHANNELS)
def fake(request: pytest.FixtureRequest) -> FakeChannel:
    return CHANNELS[request.param]()


@pytest.fixture
async def road(engine: AsyncEngine, fake: FakeChannel) -> AsyncIterator[Road]:
    async with httpx.AsyncClient(transport=Wire(fake)) as http:
        yield await lay(engine, fake, http)
    fake.close()


async def test_a_mention_is_answered_under_the_right_parent_and_the_answer_to_it_joins(
    road: Road, fake: FakeChannel
) -> None:
    asked = fake.arrive("my tent arrived torn", by="ada")
    fake.arrive("where is my parcel?", by="bob")
    await road.poll()
    first, second = await road.items()
    assert (first.state, second.state) == (State.QUEUED, State.QUEUED)

    sent = await road.answer(first.id, "So sorry! A new one leaves today.")
    [standing] = fake.ledger()
    assert (standing.external_id, standing.parent) == (sent.external_id, asked)

    fake.arrive("thank you!", by="ada", under=sent.external_id)
    await road.poll()
    first, second = await road.items()
    assert (first.state, first.posts, second.posts) == (State.ACTIVE, 2, 1)
    assert first.answered_at is not None


async def test_an_answer_to_a_closed_item_reopens_it(road: Road, fake: FakeChannel) -> None:
    fake.arrive("the zip broke", by="ada")
    await road.poll()
    [item] = await road.items()
    sent = await road.answer(item.id, "We will repair it.", then_close=Disposition.ANSWERED)
    assert [i.state for i in await road.items()] == [State.CLOSED]
    fake.arrive("it broke again", by="ada", under=sent.external_id)
    await road.poll()
    assert [(i.state, i.posts) for i in await road.items()] == [(State.QUEUED, 2)]


async def test_what_was_there_before_the_first_sync_is_not_queued(engine: AsyncEngine, fake: FakeChannel) -> None:
    fake.arrive("long ago")
    async with httpx.AsyncClient(transport=Wire(fake)) as http:
        old = await lay(engine, fake, http)
        assert [(i.state, i.disposition) for i in await old.items()] == [(State.CLOSED, Disposition.BACKLOG)]


async def test_a_direct_message_is_answered_directly(road: Road, fake: FakeChannel) -> None:
    if not (fake.shows_direct and type(fake.connector).capabilities.direct):
        return  # a channel without direct messages has nothing to keep private
    fake.arrive("my order number is 77214", by="ada", direct=True)
    await road.poll()
    [item] = await road.items()
    await road.answer(item.id, "Thank you, found it.")
    assert [s.visibility for s in fake.ledger()] == ["direct"]


async def test_a_web_page_in_place_of_an_answer_is_told_and_loses_nothing(road: Road, fake: FakeChannel) -> None:
    fake.arrive("hello?")
    fake.trouble(Trouble.HTML)
    feed = await road.poll()
    assert feed.health in {Health.FAILING, Health.STOPPED}
    assert feed.trouble
    fake.calm()
    feed = await road.poll()
    assert (feed.health, feed.trouble, len(await road.items())) == (Health.OK, "", 1)


async def test_entries_of_a_feed_file_become_items(engine: AsyncEngine) -> None:
    fake = rss.VARIANTS["rss"]()
    async with httpx.AsyncClient(transport=Wire(fake)) as http:
        road = await Road.lay(engine, "rss", http, fake.settings())
        fake.arrive("A review of the Ridgeline tent")
        await road.poll()
        await road.poll()
        [item] = await road.items()
        assert (item.state, (await road.newest_post()).own) == (State.QUEUED, False)
