"""What a channel's moderation says of a post, on screen: named beside it, and before its pictures are seen."""

from collections.abc import Awaitable, Callable

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from app.connectors.base import Media
from app.flow.ingest import ingest
from app.models.feed import Feed
from app.models.item import Item
from app.queries.said import labels_of
from tests.company import NOW, post
from tests.web.conftest import Browser, House

Opener = Callable[[str], Awaitable[Browser]]
PICTURE = Media("image", "https://a.example/tent.png", "A tent")


@pytest.fixture
async def shown(app: FastAPI, house: House, sign_in: Opener) -> Callable[..., Awaitable[str]]:
    """The page of an item about a post with these labels and a picture."""

    async def show(**labels: list[str]) -> str:
        async with app.state.sessions.begin() as session:
            feed = Feed(name="Bluesky", channel="bluesky", synced_at=NOW)
            session.add(feed)
            await session.flush()
            await session.refresh(feed)
            await ingest(session, feed, [post(1, "Look.", ref={"labels": labels}, media=(PICTURE,))])
            item_id = (await session.scalars(select(Item.id))).one()
        return (await (await sign_in("agent")).get(f"/items/{item_id}")).text

    return show


async def test_a_label_is_named_beside_the_author_and_its_words_are_never_markup(
    shown: Callable[..., Awaitable[str]],
) -> None:
    page = await shown(post=["<b>rude"], author=["spam"])
    head = page.partition('data-kind="post"')[2].partition("</header>")[0]
    assert "&lt;b&gt;rude" in head
    assert "of the account: spam" in head
    assert "Show what hangs on it" not in page


async def test_pictures_under_a_warning_are_shown_to_who_asks_for_them(shown: Callable[..., Awaitable[str]]) -> None:
    page = await shown(self=["graphic-media"])
    veiled = page.partition("Show what hangs on it</summary>")[2].partition("</details>")[0]
    assert 'alt="A tent"' in veiled
    assert page.count('alt="A tent"') == 1


def test_a_channel_whose_package_is_gone_says_nothing_of_its_posts() -> None:
    assert labels_of("pigeon", {"labels": {"post": ["spam"]}}) == ()
