"""An agent switches the interface to Arabic and works an item in it, from right to left."""

import re

from playwright.async_api import Page, expect

from tests.browser.conftest import Running, SignIn
from tests.browser.steps import claim_first


async def speak(page: Page, language: str) -> None:
    """Choose the language on the page of one's own settings."""
    await page.goto("/me")
    await page.locator("#form-profile [name=language]").select_option(language)
    await page.locator("#form-profile button[type=submit]").click()
    await expect(page.locator("html")).to_have_attribute("lang", language)


async def test_an_agent_switches_to_arabic_and_answers_an_item(careline: Running, signed_in: SignIn) -> None:
    page = await signed_in("marta", viewport={"width": 1440, "height": 900})
    await speak(page, "ar")
    await page.goto("/desk")
    await expect(page.locator("html")).to_have_attribute("dir", "rtl")
    rail, thread = page.locator("#rail"), page.locator("#conversation")
    await claim_first(page)
    left, right = await thread.bounding_box(), await rail.bounding_box()
    assert left is not None
    assert right is not None
    assert left["x"] < right["x"]  # the lists stand where reading begins
    await page.locator("[data-draft]").first.fill("شكرًا، سنهتم بالأمر.")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator(".delivery").last).to_have_text(re.compile("[\u0600-\u06ff]"))
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_compact_and_calm_pages_are_so_at_once(careline: Running, signed_in: SignIn) -> None:
    page = await signed_in("finn", viewport={"width": 1440, "height": 900})
    height = "document.querySelector('#topbar').getBoundingClientRect().height"
    before = await page.evaluate(height)
    await page.goto("/me")
    await page.locator("#form-look [name=density]").select_option("compact")
    await page.locator("#form-look [name=motion]").select_option("reduced")
    await page.locator("#form-look button[type=submit]").click()
    await page.goto("/desk")
    assert await page.evaluate(height) < before
    slow = "parseFloat(getComputedStyle(document.querySelector('.btn, .icon-btn')).transitionDuration) > 0.001"
    assert not await page.evaluate(slow)
