"""The composer in a real browser: two windows that disagree, pictures, threads, and what is changed after it was sent."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Running, SignIn

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
ITEM = re.compile(r"/items/\d+")


async def claim_the_first(page: Page) -> None:
    await page.locator("#rows-next .item a").first.click()
    await page.locator("#claim").click()
    await expect(page.locator("[name=visibility][value=direct]")).to_be_attached()


async def test_when_two_windows_write_the_same_draft_one_sees_both_and_chooses(
    careline: Running, signed_in: SignIn
) -> None:
    first = await signed_in("marta")
    await claim_the_first(first)
    second = await first.context.new_page()
    await second.goto(first.url)
    async with first.expect_response(lambda answer: answer.url.endswith("/draft")):
        await first.locator("[data-draft]").fill("It leaves on Monday.")
    await second.locator("[data-draft]").fill("It leaves on Tuesday.")
    told = second.locator("[data-conflict]")
    await expect(told.locator("mark").last).to_have_text("Monday")
    await expect(second.locator("[data-send]")).to_be_disabled()
    async with second.expect_response(lambda answer: answer.url.endswith("/draft")):
        await told.get_by_role("button", name="Keep what is here").click()
    await expect(told).to_be_hidden()
    await first.locator("[data-draft]").fill("It leaves on Monday, early.")
    await first.locator("[data-conflict]").get_by_role("button", name="Take what was saved there").click()
    await expect(first.locator("[data-draft]")).to_have_value("It leaves on Tuesday.")
    await first.goto("/drafts")
    await expect(first.locator(".draft-list li")).to_contain_text("It leaves on Tuesday.")
