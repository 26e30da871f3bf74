"""Choosing in a real browser which of our accounts answers."""

import re

import pytest
from playwright.async_api import expect
from sqlalchemy import select, update

from app.models.account import Account
from app.models.queue import Queue
from app.models.reply import Reply
from tests.browser.conftest import Running, SignIn

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


async def test_the_account_that_answers_is_chosen_kept_and_sent(careline: Running, signed_in: SignIn) -> None:
    async with careline.sessions.begin() as session:
        await session.execute(update(Account).values(external_id="townsquare:northwindhelp"))
        session.add(Account(channel="demo", name="@northwindcare", external_id="townsquare:care", sealed=b"-"))
        await session.execute(update(Queue).values(sign_replies=True, undo_seconds=600))
    page = await signed_in("finn")
    await page.locator("#rows-next .item a").first.click()
    await page.wait_for_url(re.compile(r"/items/\d+"))
    await expect(page.locator("#claim")).to_be_visible()
    await page.keyboard.press("c")
    chosen = page.get_by_label("Answer as")
    await expect(chosen).to_be_visible()
    async with page.expect_response(lambda one: one.url.endswith("/draft") and one.ok):
        await chosen.select_option(label="@northwindcare")
        await page.locator("[data-draft]").fill("We look into it.")
    await page.reload()
    await expect(chosen.locator("option:checked")).to_have_text("@northwindcare")
    await page.locator("[data-send]").click()
    await expect(page.locator(".undo")).to_be_visible()
    async with careline.sessions() as session:
        care = select(Account.id).where(Account.name == "@northwindcare").scalar_subquery()
        assert await session.scalar(select(Reply.text).where(Reply.account_id == care)) == "We look into it. ^FE"
