"""Translate: a post in the reader's language, by a server that speaks as LibreTranslate does, once for everybody."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import func, select, update
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.connectors.base import PostChange
from app.flow.change import keep_changes
from app.flow.ingest import ingest
from app.flow.tidy import tidy
from app.models.agent import Agent
from app.models.feed import Feed
from app.models.item import Item
from app.models.post import Post
from app.models.translation import Translation
from app.settings import Settings
from app.vault import Vault
from tests.company import post
from tests.web.conftest import Browser, House

Opener = Callable[[str], Awaitable[Browser]]
KEY = "a-key"
LIMIT = 100  # characters that it translates at once
KNOWN = {
    ("de", "en"): "The tent has a <b>hole</b>.",
    ("ar", "en"): "Where is my order?",
    ("de", "ar"): "في الخيمة ثقب.",
    ("es", "en"): "It is the blue one.",
}


@dataclass
class Translator:
    """LibreTranslate as its source answers: https://github.com/LibreTranslate/LibreTranslate/blob/main/libretranslate/app.py."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    answers: Response | None = None  # instead of what it would say

    async def translate(self, request: Request) -> Response:
        told = await request.json()
        self.asked.append(told)
        if self.answers is not None:
            return self.answers
        if told.get("api_key") != KEY:
            return JSONResponse({"error": "Invalid API key"}, 403)
        if len(told["q"]) > LIMIT:
            said = f"Invalid request: request ({len(told['q'])}) exceeds text limit ({LIMIT})"
            return JSONResponse({"error": said}, 400)
        source = "es" if told["source"] == "auto" else told["source"]
        if (source, told["target"]) not in KNOWN:
            return JSONResponse({"error": f"{source} is not supported"}, 400)
        guess = {"detectedLanguage": {"confidence": 83, "language": source}} if told["source"] == "auto" else {}
        return JSONResponse({"translatedText": KNOWN[source, told["target"]], **guess})


@pytest.fixture
async def translator() -> AsyncIterator[Translator]:
    """On a free port of loopback."""
    made = Translator()
    listening = socket.create_server(("127.0.0.1", 0))
    made.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    routes = [Route("/translate", made.translate, methods=["POST"])]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_config=None, ws="none", lifespan="off"))
    running = asyncio.create_task(server.serve(sockets=[listening]))
    yield made
    server.should_exit = True
    await running


@pytest.fixture
def settings(tmp_path: Path, translator: Translator) -> Settings:
    """No host is allowed but by being the translator's."""
    made = Settings.model_validate(
        {"data_dir": tmp_path, "translator_url": translator.url, "translator_key": KEY, "allow_hosts": ""}
    )
    Vault.load(made, create=True)
    return made


@pytest.fixture
async def item(app: FastAPI, house: House) -> Item:
    """A German post, in the queue of the team Care."""
    return await bring(app, "Das Zelt hat ein Loch.", language="de-AT")


async def bring(app: FastAPI, said: str, **values: Any) -> Item:
    async with app.state.sessions.begin() as session:
        feed = Feed(name="Box", channel="webhook", synced_at=datetime.now(UTC))
        session.add(feed)
        await session.flush()
        await session.refresh(feed)
        await ingest(session, feed, [post(1, said, **values)])
        item: Item = (await session.scalars(select(Item))).one()
        return item


async def change(app: FastAPI, item: Item, **said: Any) -> None:
    async with app.state.sessions.begin() as session:
        written = await session.get_one(Post, item.post_id)
        feed = await session.get_one(Feed, written.feed_id)
        assert await keep_changes(session, feed, [PostChange(written.external_id, datetime.now(UTC), **said)]) == 1


async def ask(browser: Browser, item: Item) -> tuple[int, str]:
    """Press the button; what the browser is answered with, as its status and its text."""
    answer = await browser.send(f"/posts/{item.post_id}/translation", {"item_id": str(item.id)})
    return answer.status_code, answer.text


async def page_of(browser: Browser, item: Item) -> str:
    return (await browser.get(f"/items/{item.id}")).text


async def test_a_post_in_another_language_is_translated_below_its_own_words(
    item: Item, sign_in: Opener, translator: Translator
) -> None:
    browser = await sign_in("agent")
    assert f'action="/posts/{item.post_id}/translation"' in await page_of(browser, item)
    answer = await browser.send(f"/posts/{item.post_id}/translation", {"item_id": str(item.id)})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/items/{item.id}")
    page = await page_of(browser, item)
    assert "Translated by a machine from German to English" in page
    assert '<p class="translated" lang="en" dir="ltr">The tent has a &lt;b&gt;hole&lt;/b&gt;.</p>' in page
    assert "Das Zelt hat ein Loch." in page
    assert "/translation" not in page
    expected = {"q": "Das Zelt hat ein Loch.", "source": "de", "target": "en", "format": "text", "api_key": KEY}
    assert translator.asked == [expected]


async def test_the_machine_is_asked_once_for_everybody_who_reads_a_language(
    app: FastAPI, item: Item, sign_in: Opener, translator: Translator
) -> None:
    await ask(await sign_in("agent"), item)
    await ask(await sign_in("agent"), item)
    supervisor = await sign_in("supervisor")
    assert "The tent has a" in await page_of(supervisor, item)
    async with app.state.sessions.begin() as session:
        await session.execute(update(Agent).where(Agent.name == "Supervisor").values(language="ar"))
    assert "The tent has a" not in await page_of(supervisor, item)
    await ask(supervisor, item)
    assert '<p class="translated" lang="ar" dir="rtl">في الخيمة ثقب.</p>' in await page_of(supervisor, item)
    assert len(translator.asked) == 2


async def test_the_button_stands_only_where_it_helps(app: FastAPI, house: House, sign_in: Opener) -> None:
    item = await bring(app, "My tent arrived torn.", language="en-GB")
    assert "/translation" not in await page_of(await sign_in("agent"), item)


async def test_a_language_that_the_channel_does_not_tell_is_guessed_by_the_machine(
    app: FastAPI, house: House, sign_in: Opener, translator: Translator
) -> None:
    item, browser = await bring(app, "Es la azul."), await sign_in("agent")
    await ask(browser, item)
    assert "Translated by a machine from Spanish to English" in await page_of(browser, item)
    assert translator.asked[0]["source"] == "auto"


async def test_a_translation_goes_with_the_words_that_it_was_made_of(
    app: FastAPI, item: Item, sign_in: Opener, translator: Translator
) -> None:
    browser = await sign_in("agent")
    await ask(browser, item)
    await change(app, item, text="Das Zelt hat zwei Löcher.")
    page = await page_of(browser, item)
    assert "Translated by a machine" not in page
    assert f'action="/posts/{item.post_id}/translation"' in page
    await ask(browser, item)
    assert translator.asked[1]["q"] == "Das Zelt hat zwei Löcher."


async def test_what_is_wiped_is_wiped_in_every_language(app: FastAPI, item: Item, sign_in: Opener) -> None:
    browser = await sign_in("agent")
    await ask(browser, item)
    await change(app, item, deleted=True)
    assert (await ask(browser, item))[0] == 409
    async with app.state.sessions.begin() as session:
        await tidy(session, 30, wipe_days=0)
        assert await session.scalar(select(func.count()).select_from(Translation)) == 0


async def test_who_may_not_read_the_conversation_gets_nothing_translated(
    item: Item, sign_in: Opener, translator: Translator
) -> None:
    assert (await ask(await sign_in("stranger"), item))[0] == 404
    assert translator.asked == []


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        (JSONResponse({"error": "Slow down: 20 per 1 minute"}, 429), "is asked too often"),
        (JSONResponse({"error": "Invalid API key"}, 403), "refuses our key"),
        (JSONResponse({"error": "de is <i>not</i> supported"}, 400), "de is &lt;i&gt;not&lt;/i&gt; supported"),
        (JSONResponse({"error": "Cannot translate text: argos"}, 500), "does not answer now"),
        (PlainTextResponse("<html>", 200), "something that is no translation"),
        (JSONResponse(["?"]), "something that is no translation"),
        (JSONResponse({"translatedText": None}), "something that is no translation"),
        (PlainTextResponse("Bad Gateway", 400), "Bad Request"),
    ],
)
async def test_a_failure_says_what_happened_and_keeps_nothing(
    item: Item, sign_in: Opener, translator: Translator, answers: Response, told: str
) -> None:
    translator.answers = answers
    browser = await sign_in("agent")
    status, text = await ask(browser, item)
    assert status == 502
    assert told in text
    assert "Translated by a machine" not in await page_of(browser, item)


async def test_a_text_beyond_the_translators_limit_is_refused_in_its_own_words(
    app: FastAPI, house: House, sign_in: Opener
) -> None:
    item = await bring(app, "Das Zelt. " * 20, language="de")
    assert "exceeds text limit (100)" in (await ask(await sign_in("agent"), item))[1]


async def test_a_text_that_no_translator_takes_is_not_sent_at_all(
    app: FastAPI, house: House, sign_in: Opener, translator: Translator
) -> None:
    item = await bring(app, "Das Zelt. " * 2_001, language="de")
    assert (await ask(await sign_in("agent"), item))[0] == 422
    assert translator.asked == []


class TestWithoutATranslator:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        made = Settings(data_dir=tmp_path)
        Vault.load(made, create=True)
        return made

    async def test_nobody_is_offered_a_translation(self, item: Item, sign_in: Opener) -> None:
        browser = await sign_in("agent")
        assert "/translation" not in await page_of(browser, item)
        assert (await ask(browser, item))[0] == 404


async def test_a_translator_that_is_away_is_told_as_such(item: Item, app: FastAPI, sign_in: Opener) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        gone = f"http://127.0.0.1:{closed.getsockname()[1]}"
    app.state.settings = app.state.settings.model_copy(update={"translator_url": gone})
    status, text = await ask(await sign_in("agent"), item)
    assert status == 502
    assert "does not answer now" in text
