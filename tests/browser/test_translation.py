"""A foreign post in the reader's language: the button goes, the machine's words come in its place, and so does the focus."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import expect
from sqlalchemy import select, update
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from app.models.item import Item
from app.models.post import Post
from tests.browser.conftest import Running, SignIn
from tests.browser.serving import served

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


@pytest_asyncio.fixture(loop_scope="session")
async def translator(careline: Running) -> AsyncIterator[None]:
    """A machine that makes the same of everything; Careline is told of it as by its operator."""

    async def translate(_request: Request) -> JSONResponse:
        return JSONResponse({"translatedText": "My tent has a hole."})

    app = Starlette(routes=[Route("/translate", translate, methods=["POST"])])
    async with served(app, lifespan="off") as url:
        careline.app.state.settings = careline.settings.model_copy(update={"translator_url": url})
        yield


async def foreign(careline: Running) -> str:
    """The address of an item whose customer writes German."""
    async with careline.sessions.begin() as session:
        item = (await session.scalars(select(Item).where(Item.state == "queued").order_by(Item.id).limit(1))).one()
        await session.execute(update(Post).where(Post.conversation_id == item.conversation_id).values(language="de"))
        return f"/items/{item.id}"


@pytest.mark.usefixtures("translator")
@pytest.mark.parametrize("script", [True, False], ids=["with script", "without"])
async def test_a_foreign_post_is_translated_where_it_stands(careline: Running, signed_in: SignIn, script: bool) -> None:
    page = await signed_in("finn", java_script_enabled=script)
    await page.goto(await foreign(careline))
    post = page.locator(".msg[data-kind=post]").first
    await post.get_by_role("button", name="Translate").click()
    await expect(post.locator(".translation")).to_contain_text("Translated by a machine from German to English")
    await expect(post.locator(".translated")).to_have_text("My tent has a hole.")
    await expect(post.get_by_role("button", name="Translate")).to_have_count(0)
    if script:
        await expect(post.locator(".translation")).to_be_focused()
