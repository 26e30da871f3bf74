"""A mail on the desk: its quotation folded, its files for those who may see it."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.connectors.base import Media
from app.flow.ingest import ingest
from app.models.feed import Feed
from app.models.item import Item
from app.web.media import signature
from tests.flow.test_ingest_mail import mail
from tests.web.conftest import Browser

SignIn = Callable[[str], Awaitable[Browser]]
pytestmark = pytest.mark.usefixtures("house")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
SAID = "It is torn.\n\nOn Mon, 2 Nov 2026, Care wrote:\n> Which one?"


async def arrived(sessions: async_sessionmaker[AsyncSession]) -> int:
    """A mail with a picture and a page; its item's id."""
    files = (
        Media("image", "", title="a.png", content=PNG),
        Media("file", "", title="evil\r\n.html", content=b"<script>alert(1)</script>"),
        Media("file", "", title="film.mp4"),
    )
    post = mail(1, text=SAID, html="<p>It is <b>torn</b>.</p><script>x</script>", media=files)
    async with sessions.begin() as session:
        feed = Feed(name="Mailbox", channel="email", settings={}, cursor={})
        session.add(feed)
        await session.flush()
        await ingest(session, feed, [post])
        return (await session.scalars(select(Item.id))).one()


async def test_a_mail_shows_its_own_words_and_folds_the_rest(
    sign_in: SignIn, sessions: async_sessionmaker[AsyncSession]
) -> None:
    item_id = await arrived(sessions)
    page = (await (await sign_in("agent")).get(f"/items/{item_id}")).text
    assert 'dir="auto">It is torn.</p>' in page
    assert "Signature and quoted text" in page
    assert "<b>torn</b>" in page
    assert "<script>x" not in page
    assert "too large to be kept here" in page


async def test_a_mails_files_are_for_those_who_may_see_it_and_only_pictures_are_shown(
    sign_in: SignIn, sessions: async_sessionmaker[AsyncSession]
) -> None:
    await arrived(sessions)
    agent, stranger = await sign_in("agent"), await sign_in("stranger")
    picture = await agent.get(f"/media/{signature(agent.csrf, '1/0')}/1/0")
    assert (picture.content, picture.headers["content-type"]) == (PNG, "image/png")
    page = await agent.get(f"/media/{signature(agent.csrf, '1/1')}/1/1")
    assert page.headers["content-type"] == "application/octet-stream"
    assert page.headers["content-disposition"] == "attachment; filename*=UTF-8''evil%0D%0A.html"
    assert "sandbox" in page.headers["content-security-policy"]
    assert (await stranger.get(f"/media/{signature(stranger.csrf, '1/0')}/1/0")).status_code == 404
    assert (await stranger.get(f"/media/{signature(agent.csrf, '1/0')}/1/0")).status_code == 404
