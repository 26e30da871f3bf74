"""The conversation in a real browser: what becomes of posts on their channel is shown as it happens."""

import pytest
from playwright.async_api import expect

from app.connectors.base import PostChange
from app.flow.change import keep_changes
from app.models.feed import Feed
from app.models.item import Item
from app.models.post import Post
from tests.browser.conftest import Running, SignIn
from tests.browser.steps import claim_first

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


async def change(careline: Running, item_id: int, **said: object) -> None:
    """What the item's newest post becomes on the channel."""
    async with careline.sessions.begin() as session:
        post = await session.get_one(Post, (await session.get_one(Item, item_id)).post_id)
        feed = await session.get_one(Feed, post.feed_id)
        told = PostChange(post.external_id, post.received_at, **said)  # type: ignore[arg-type]
        assert await keep_changes(session, feed, [told]) == 1


async def test_an_edit_and_a_deletion_show_at_once_and_take_nothing_away_from_who_writes(
    careline: Running, signed_in: SignIn
) -> None:
    page = await signed_in("finn")
    item = await claim_first(page)
    await page.locator("[data-draft]").fill("We are looking into it")
    await page.locator("[data-draft]").focus()
    await change(careline, item, text="It is the blue tent, not the red one.")
    post = page.locator(".msg[data-kind=post]").first
    await expect(post.locator(".body")).to_have_text("It is the blue tent, not the red one.")
    await expect(post.locator(".versions summary")).to_contain_text("Edited")
    await change(careline, item, deleted=True)
    await expect(post.locator(".gone")).to_contain_text("Deleted on the channel")
    await expect(page.locator("[data-draft]")).to_be_focused()
    await expect(page.locator("[data-draft]")).to_have_value("We are looking into it")
