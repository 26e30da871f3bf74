"""Keys in a real browser: what fires, and what must not."""

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Running, SignIn
from tests.browser.steps import open_first

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


async def pressed(page: Page, **event: object) -> None:
    """A key as layouts and input methods that the machine does not have would send it."""
    script = """(event) => (document.activeElement ?? document.body).dispatchEvent(
        new KeyboardEvent("keydown", { bubbles: true, cancelable: true, ...event }))"""
    await page.evaluate(script, event)


async def test_single_keys_fire_only_where_nobody_types_or_composes(careline: Running, signed_in: SignIn) -> None:
    page = await signed_in("finn")
    sheet = page.locator("#keys")
    await pressed(page, key="?", isComposing=True)
    await pressed(page, key="?", keyCode=229)
    await expect(sheet).to_be_hidden()
    await open_first(page)
    await page.keyboard.press("n")
    await page.keyboard.type("Who? RW")
    await expect(page.locator("[data-draft]")).to_have_value("Who? RW")
    await expect(sheet).to_be_hidden()
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await expect(sheet).to_be_visible()
    await page.keyboard.press("g")
    await page.keyboard.press("s")
    await expect(sheet).to_be_visible()


async def test_another_scripts_layout_finds_the_letters_in_their_places(careline: Running, signed_in: SignIn) -> None:
    page = await signed_in("finn")
    await expect(page.locator("#rows-next .item").first).to_be_visible()
    await pressed(page, key="ت", code="KeyJ")
    await expect(page.locator("#list .item > a").first).to_be_focused()


async def test_two_strokes_go_to_a_page(careline: Running, signed_in: SignIn) -> None:
    page = await signed_in("ada")
    await page.keyboard.press("g")
    await page.keyboard.press("b")
    await page.wait_for_url("**/board")
    await page.keyboard.press("g")
    await page.keyboard.press("d")
    await page.wait_for_url("**/desk")


async def test_a_pressed_key_becomes_ones_own_and_single_keys_can_be_switched_off(
    careline: Running, signed_in: SignIn
) -> None:
    page = await signed_in("finn")
    await page.goto("/me/keys")
    await page.locator("#key-sheet").press("Shift+H")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()
    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_be_hidden()
    await page.keyboard.press("Shift+H")
    await expect(page.locator("#keys")).to_be_visible()
    await page.get_by_role("button", name="Switch single keys off").click()
    await expect(page.locator("#keys[data-keys=off]")).to_be_attached()
    await page.keyboard.press("Escape")
    await expect(page.locator("#keys")).to_be_hidden()
    await page.keyboard.press("Shift+H")
    await expect(page.locator("#keys")).to_be_hidden()
