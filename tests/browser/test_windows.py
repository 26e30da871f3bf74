"""Channels that take answers for a time only, in a real browser: what is shown at the composer, and templates after it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import expect
from sqlalchemy import select

from app.connectors.base import IncomingAuthor, IncomingPost, PostKind, Template, Visibility
from app.flow.ingest import ingest
from app.flow.kept_template import keep_templates
from app.models.account import Account
from app.models.feed import NEVER, Feed
from app.models.item import Item
from app.models.post import Post
from tests.browser.conftest import Running, SignIn

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
BODY = "Hello {{1}}, your order {{2}} is on its way."


async def written(careline: Running, channel: str, ago: timedelta, **ref: Any) -> int:
    """Somebody wrote to us on a channel of Meta's, so long ago; the item that it opened."""
    at = datetime.now(UTC) - ago
    direct = ref.get("kind") != "comment"
    post = IncomingPost(
        external_id=f"{channel}-1",
        thread_id=f"{channel}-1",
        author=IncomingAuthor(f"{channel}-ada", "Ada Lovelace", "Ada Lovelace"),
        text="Where is my tent?",
        posted_at=at,
        kind=PostKind.DIRECT if direct else PostKind.COMMENT,
        visibility=Visibility.DIRECT if direct else Visibility.PUBLIC,
        ref={"id": "1", "at": at.isoformat(), **ref},
    )
    async with careline.sessions.begin() as session:
        account = Account(channel=channel, name=f"Northwind on {channel}")
        session.add(account)
        await session.flush()
        values = {"enabled": False, "next_poll_at": NEVER, "synced_at": at, "settings": {}, "account_id": account.id}
        feed = Feed(name=channel, channel=channel, **values)
        session.add(feed)
        await session.flush()
        await session.refresh(feed)
        await ingest(session, feed, [post])
        if channel == "whatsapp":
            listed = [
                Template("order_update", "en_US", BODY, ("1", "2"), "Your order"),
                Template("thanks", "de", "Danke!"),
            ]
            await keep_templates(session, account.id, listed)
        opened = select(Item.id).join(Post, Post.conversation_id == Item.conversation_id)
        return (await session.scalars(opened.where(Post.external_id == post.external_id))).one()


async def test_a_comment_shows_how_long_it_can_be_answered_in_private_and_can_be_hidden(
    careline: Running, signed_in: SignIn
) -> None:
    item = await written(careline, "facebook", timedelta(days=1), kind="comment", private=True, hide=True)
    page = await signed_in("ada")
    await page.goto(f"/items/{item}")
    await page.locator("#claim").click()
    left = page.locator(".composer .window")
    await expect(page.locator(".composer")).to_have_attribute("data-mode", "public")
    await expect(left).to_be_hidden()
    await page.locator(".composer label", has_text="Direct").click()
    await expect(left).to_contain_text("Answer within 5 d 23 h")
    await page.get_by_role("button", name="Hide on the channel").click()
    await expect(page.locator(".msg .delivery[data-state=failed]")).to_contain_text("Not done:")  # nobody signed in
    await expect(page.get_by_role("button", name="Hide on the channel")).to_be_visible()


async def test_when_the_window_is_closed_a_template_goes_out_with_its_blanks_filled_in(
    careline: Running, signed_in: SignIn
) -> None:
    item = await written(careline, "whatsapp", timedelta(days=2), to="16505551234")
    page = await signed_in("ada")
    await page.goto(f"/items/{item}")
    await page.locator("#claim").click()
    await expect(page.locator(".composer-reason", has_text="choose a template")).to_be_visible()
    await page.locator(".templates summary", has_text="order_update").click()
    blanks = page.locator(".templates input[name=value]")
    await blanks.first.fill("Ada")
    await page.get_by_role("button", name="Send the template").locator("visible=true").click()
    await expect(page.locator(".msg[id^=reply-]")).to_have_count(0)  # a blank is left: the browser keeps it
    await blanks.nth(1).fill("4711")
    await page.get_by_role("button", name="Send the template").locator("visible=true").click()
    await expect(page.locator(".msg[id^=reply-]")).to_contain_text("Hello Ada, your order 4711 is on its way.")
