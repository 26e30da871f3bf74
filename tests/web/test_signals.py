"""What was heard in posts, as agents see it."""

from collections.abc import Awaitable, Callable

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from app.connectors.base import IncomingAuthor
from app.flow.ingest import ingest
from app.models.feed import Feed
from app.models.item import Item
from tests.company import NOW, post
from tests.web.conftest import Browser, House

Opener = Callable[[str], Awaitable[Browser]]
ANGRY = "Third week without an answer and your site is down!! What a disgrace 😡"


@pytest.fixture
async def feed(app: FastAPI, house: House) -> Feed:
    """A channel on which many can read what is posted."""
    async with app.state.sessions.begin() as session:
        made = Feed(name="Fediverse", channel="mastodon", synced_at=NOW)
        session.add(made)
        await session.flush()
        await session.refresh(made)
    return made


async def opened(app: FastAPI, feed: Feed, *said: str) -> list[int]:
    """Items about these posts, each by an author with a thousand followers."""
    async with app.state.sessions.begin() as session:
        by = [IncomingAuthor(f"who-{n}", handle=f"who-{n}", name=f"Who {n}", followers=1000) for n in range(len(said))]
        await ingest(session, feed, [post(n, words, author=by[n]) for n, words in enumerate(said)])
        return list(await session.scalars(select(Item.id).order_by(Item.id)))


async def test_an_item_shows_what_was_heard_and_by_which_words(app: FastAPI, feed: Feed, sign_in: Opener) -> None:
    item_id = (await opened(app, feed, ANGRY))[0]
    page = (await (await sign_in("agent")).get(f"/items/{item_id}")).text
    heard = page.partition('id="ctx-heard"')[2].partition("</section>")[0]
    for words in ("Outage", "“site is down”", "Furious", "Complaint", "English"):
        assert words in heard


async def test_an_item_shows_how_many_said_the_same_and_to_how_many_people(
    app: FastAPI, feed: Feed, sign_in: Opener
) -> None:
    item_id = (await opened(app, feed, ANGRY, f"RT {ANGRY}", ANGRY.upper()))[0]
    page = (await (await sign_in("agent")).get(f"/items/{item_id}")).text
    assert "3 posts say the same, to 3,000 followers" in page
