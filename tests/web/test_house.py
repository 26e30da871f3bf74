"""A feed's rules of the house: previewed before they are saved, and what they left out told on the feed's page."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.flow.configure_feed import FeedSettings, create_feed
from app.flow.ingest import ingest
from app.models.feed import Feed
from tests.company import post
from tests.web.conftest import Browser, House

SignIn = Callable[[str], Awaitable[Browser]]
Sessions = async_sessionmaker[AsyncSession]
TYPED = {
    "channel": "rss", "name": "Blog", "enabled": "on", "min_interval": "15", "max_interval": "300",
    "s-url": "https://blog.example/feed",
}  # fmt: skip


@pytest.fixture
async def path(sessions: Sessions, house: House) -> str:
    """The page of a feed with three posts."""
    async with sessions.begin() as session:
        feed = await create_feed(
            session, "rss", FeedSettings(name="Blog", settings={"url": "https://blog.example/feed"})
        )
        await session.refresh(feed)
        await ingest(session, feed, [post(1), post(2, "Win a giveaway"), post(3, language="fr")])
        return f"/admin/feeds/{feed.id}"


async def _seen(admin: Browser, path: str) -> str:
    return (await admin.get(path)).text.partition('name="seen" value="')[2].partition('"')[0]


async def test_a_preview_shows_what_would_stay_and_go_and_saves_nothing(
    path: str, sign_in: SignIn, sessions: Sessions
) -> None:
    admin = await sign_in("admin")
    asked = {"h-unwanted": "giveaway", "h-languages": "en\nde", "do": "preview", "seen": await _seen(admin, path)}

    page = (await admin.send(path, TYPED | asked, "PUT")).text

    assert "2 of the newest 3 would be left out." in page
    assert ("Says an unwanted word (giveaway)" in page, "In another language (fr)" in page) == (True, True)
    assert ">giveaway</textarea>" in page
    async with sessions() as session:
        assert (await session.scalars(select(Feed.house))).one() == {}


async def test_rules_are_saved_shown_again_and_tell_what_they_left_out(
    path: str, sign_in: SignIn, sessions: Sessions
) -> None:
    admin = await sign_in("admin")
    asked = {"h-unwanted": "giveaway", "h-kinds": ["mention", "reply"], "seen": await _seen(admin, path)}

    saved = await admin.send(path, TYPED | asked, "PUT")
    async with sessions.begin() as session:
        feed = (await session.scalars(select(Feed))).one()
        await ingest(session, feed, [post(7, "A <b>giveaway</b>")])
    page = (await admin.get(path)).text

    assert (saved.status_code, feed.house) == (303, {"kinds": ["mention", "reply"], "unwanted": ["giveaway"]})
    assert 'value="mention" checked' in page
    assert "Says an unwanted word: " in page
    assert "A &lt;b&gt;giveaway&lt;/b&gt;" in page


async def test_a_pattern_that_is_none_stands_beside_its_field(path: str, sign_in: SignIn) -> None:
    admin = await sign_in("admin")
    asked = {"h-wanted": "(unclosed", "seen": await _seen(admin, path)}

    refused = await admin.send(path, TYPED | asked, "PUT")

    assert refused.status_code == 422
    assert 'id="f-h-wanted-about"' in refused.text


async def test_only_an_admin_sees_and_changes_them(path: str, sign_in: SignIn) -> None:
    agent = await sign_in("agent")

    assert (await agent.get(path)).status_code == 403
    assert (await agent.send(path, TYPED | {"h-wanted": "x"}, "PUT")).status_code == 403
