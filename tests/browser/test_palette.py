"""The palette in a real browser, by keyboard alone."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Running, SignIn
from tests.browser.steps import open_first

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
NAME = "Search or run a command"


async def test_an_action_is_found_and_run_and_only_what_is_possible_is_offered(
    careline: Running, signed_in: SignIn
) -> None:
    page = await signed_in("finn")
    await open_first(page)
    await page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name=NAME)
    await expect(field).to_be_focused()
    await expect(page.get_by_role("option", name=re.compile("^Claim"))).to_have_count(2)  # the action, and the list
    await expect(page.get_by_role("option", name=re.compile("^Park"))).to_have_count(1)  # the list alone
    await page.keyboard.type("clm")
    await expect(page.locator("#do-claim")).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("Enter")
    await expect(page.locator("#park")).to_be_visible()
    await page.keyboard.press("Control+k")
    await page.keyboard.type("park")
    await expect(page.locator("#do-park")).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("Escape")
    await expect(page.locator("#palette")).to_be_hidden()


async def test_it_goes_to_pages_from_every_page_and_hands_words_to_the_search(
    careline: Running, signed_in: SignIn
) -> None:
    page = await signed_in("ada")
    await page.goto("/admin/queues")
    await page.keyboard.press("Control+k")
    await page.keyboard.type("staff")
    await expect(page.get_by_role("option", name=re.compile("^Staffing"))).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/board/staffing")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Staffing")
    await page.keyboard.press("Control+k")
    await page.keyboard.type("zelt kaputt")
    await expect(page.locator("#pal-search")).to_have_attribute("aria-selected", "true")
    await expect(page.locator("#pal-search")).to_have_text("Search everything for “zelt kaputt”")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/search?q=zelt*kaputt")
