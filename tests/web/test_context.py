"""What stands above a conversation, on screen and in the API: marked, and for those alone who may see the item."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from app.connectors.base import Media, Poll, Quote
from app.flow.ingest import ingest
from app.flow.parents import due_parents, keep_parents, take_errand
from app.models.context import ContextPost
from app.models.feed import Feed
from app.models.item import Item
from app.web.media import signature
from tests.api.conftest import program
from tests.company import NOW, post
from tests.web.conftest import Browser, House

__all__ = ["program"]  # a fixture

Opener = Callable[[str], Awaitable[Browser]]


@pytest.fixture
async def item_id(app: FastAPI, house: House) -> int:
    """An item about a post that answers somebody else's, in another language, with a picture."""
    async with app.state.sessions.begin() as session:
        feed = Feed(name="Fediverse", channel="mastodon", synced_at=NOW)
        session.add(feed)
        await session.flush()
        await session.refresh(feed)
        await ingest(session, feed, [post(1, "Ask them.", thread_id="talk", in_reply_to="post-top")])
        errand = await take_errand(session, (await due_parents(session))[0])
        assert errand is not None
        said = {"language": "ar", "url": "https://a.example/top", "posted_at": NOW - timedelta(hours=3)}
        picture = Media("image", "https://a.example/tent.png", "A tent")
        await keep_parents(
            session,
            errand,
            [post("top", "<b>\u0623\u064a \u062e\u064a\u0645\u0629\u061f</b>", media=(picture,), **said)],
        )
        return int((await session.scalars(select(Item.id))).one())


async def test_the_post_above_stands_first_and_is_marked_as_context(item_id: int, sign_in: Opener) -> None:
    page = (await (await sign_in("agent")).get(f"/items/{item_id}")).text
    above, mark, below = page.partition('data-kind="context"')[2].partition("for context")
    assert mark
    assert "Author-Top" in above
    assert 'lang="ar" dir="auto">&lt;b&gt;' in below
    assert 'href="https://a.example/top"' in below
    assert below.index("Open on the channel") < below.index("Ask them.")


async def test_quotes_polls_and_cards_are_shown_as_what_they_are(item_id: int, app: FastAPI, sign_in: Opener) -> None:
    hung = (
        Media("link", "https://news.example/a", "All boots", "https://news.example/a.png", "Boots recalled"),
        Media("quote", "https://b.example/q", "Is <i>this</i> true?", None, "Carol", quote=Quote("carol@b", NOW, "en")),
        Media("quote", ""),
        Media("poll", "", poll=Poll(("yes", "<no>"), (3, 1))),
        Media("poll", "", poll=Poll(("soon",), multiple=True)),
    )
    async with app.state.sessions.begin() as session:
        feed = (await session.scalars(select(Feed))).one()
        await ingest(session, feed, [post(2, "See.", thread_id="talk", in_reply_to="post-1", media=hung)])
    page = (await (await sign_in("agent")).get(f"/items/{item_id}")).text
    assert (
        'href="https://news.example/a" target="_blank" rel="nofollow noopener noreferrer ugc">Boots recalled</a>'
        in page
    )
    assert ">news.example</bdi>" in page
    assert 'src="https://' not in page
    quote, _, rest = page.partition('<blockquote class="quoted">')[2].partition("</blockquote>")
    assert "Carol" in quote
    assert 'lang="en" dir="auto">Is &lt;i&gt;this&lt;/i&gt; true?' in quote
    assert "not shown to us" in rest
    assert "4 votes when it was read" in rest
    assert "&lt;no&gt;" in rest
    assert ">soon<" in rest


async def test_a_picture_above_is_for_those_who_may_see_the_item(item_id: int, app: FastAPI, sign_in: Opener) -> None:
    async with app.state.sessions() as session:
        context_id = await session.scalar(select(ContextPost.id))
    agent, stranger = await sign_in("agent"), await sign_in("stranger")
    path = f"context/{context_id}/0"
    assert f"/media/context/{signature(agent.csrf, path)}/{context_id}/0" in (await agent.get(f"/items/{item_id}")).text
    for browser, token, wanted in ((stranger, stranger.csrf, 404), (agent, stranger.csrf, 404)):
        answer = await browser.get(f"/media/context/{signature(token, path)}/{context_id}/0")
        assert answer.status_code == wanted


async def test_the_api_gives_what_stands_above_apart_from_the_conversation(
    item_id: int, program: Callable[..., Awaitable[httpx.AsyncClient]]
) -> None:
    whole = (await (await program("agent")).get(f"/items/{item_id}")).json()
    assert [one["external_id"] for one in whole["conversation"]] == ["post-1"]
    [above] = whole["context"]
    assert (above["external_id"], above["author"]["name"], above["own"]) == ("post-top", "Author-Top", False)
    assert (await (await program("agent")).get("/posts")).json()["data"][0]["external_id"] == "post-1"
