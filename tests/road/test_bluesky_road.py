"""The main road over a real Bluesky network on loopback: `make peers`."""

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from app.connectors.base import IncomingAuthor
from app.connectors.bluesky_account import BlueskyCredentials
from app.connectors.bluesky_lists import BlueskySettings
from app.models.item import Disposition, Item, State
from tests.connectors.test_bluesky_network import PDS, Person, network, thread, until
from tests.road.road import Road

__all__ = ["network"]  # the fixture that starts it
pytestmark = [pytest.mark.peer, pytest.mark.timeout(1200)]


async def seen(road: Road, posts: int) -> Item:
    """The one item, once it holds so many posts."""

    async def there() -> Item | None:
        await road.poll()
        found = await road.items()
        return found[0] if found and found[0].posts == posts else None

    return await until(there)


async def test_a_strangers_mention_is_answered_in_its_thread_and_their_answer_reopens_the_item(
    engine: AsyncEngine,
) -> None:
    async with httpx.AsyncClient(timeout=20) as http:
        us, stranger = await Person.join(http, "north"), await Person.join(http, "ada")
        made = await us.post_to("com.atproto.server.createAppPassword", {"name": "careline"})
        credentials = BlueskyCredentials(service=PDS, identifier=us.handle, app_password=SecretStr(made["password"]))
        who = IncomingAuthor(external_id=us.did, handle=us.handle)
        road = await Road.lay(engine, "bluesky", http, BlueskySettings(), credentials=credentials, account=who)

        asked = await stranger.mention(us, "the checkout is frozen")
        item = await seen(road, posts=1)
        assert item.state == State.QUEUED

        sent = await road.answer(item.id, "We see it, and are on it.", then_close=Disposition.ANSWERED)
        [standing] = (await thread(stranger, asked["uri"], replies=1))["replies"]
        assert (standing["post"]["uri"], standing["post"]["record"]["reply"]["parent"]) == (sent.external_id, asked)
        assert [i.state for i in await road.items()] == [State.CLOSED]

        ours = {"uri": standing["post"]["uri"], "cid": standing["post"]["cid"]}
        await stranger.write("thank you!", reply={"root": asked, "parent": ours})
        assert (await seen(road, posts=2)).state == State.QUEUED
