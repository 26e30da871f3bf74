"""Focus on the desk: live updates leave it where it is, and Tab goes through the panes in the order in which they are read."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Running, SignIn
from tests.browser.steps import claim_first, drawn_anew

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
PLACES = (  # where somebody may be while the desk is drawn anew
    "#rail a[aria-current]",
    "#list .item[aria-current] a",
    "#list a[href]",
    "#park",
    "#thread",
    "#thread details.events summary",
    "[data-draft]",
    "#context a[href]:visible",
    "#context summary",
)


async def test_a_live_update_of_every_part_leaves_the_focus_where_it_is(careline: Running, signed_in: SignIn) -> None:
    page = await signed_in("finn")
    await claim_first(page)
    lost = []
    for place in PLACES:
        here = page.locator(place).first
        await here.focus()
        await drawn_anew(page)
        if not await here.evaluate("here => here === document.activeElement"):
            lost.append(place)
    assert lost == []


async def test_a_live_update_leaves_an_open_menu_open_and_what_is_being_typed_alone(
    careline: Running, signed_in: SignIn
) -> None:
    page = await signed_in("finn")
    await claim_first(page)
    await page.locator("#close").focus()
    await page.keyboard.press("Enter")
    choice = page.locator("#close-menu .opt").nth(1)
    await choice.focus()
    await drawn_anew(page)
    await expect(page.locator("#close-menu")).to_be_visible()
    await expect(choice).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator("#close")).to_be_focused()
    await page.keyboard.press("l")
    await page.keyboard.type("bro")
    await drawn_anew(page)
    await page.keyboard.type("ken")
    await expect(page.locator("#tag-new")).to_have_value("broken")


async def test_an_offer_that_comes_and_is_drawn_anew_moves_no_focus(careline: Running, signed_in: SignIn) -> None:
    page = await signed_in("finn")
    await page.locator("#rail a[aria-current]").focus()
    await page.keyboard.press("Shift+r")
    await expect(page.locator("#accept")).to_be_visible()
    await expect(page.locator("#rail a[aria-current]")).to_be_focused()
    await page.locator("#accept").focus()
    await drawn_anew(page, ("rail", "list", "offer-slot"))
    await expect(page.locator("#accept")).to_be_focused()


async def test_tab_goes_from_the_bar_through_the_panes_to_the_composer_and_the_customer(
    careline: Running, signed_in: SignIn
) -> None:
    page = await signed_in("finn")
    await claim_first(page)
    await page.evaluate("document.activeElement.blur()")
    await page.evaluate("getSelection().removeAllRanges()")
    places = {
        "bar": ".topbar",
        "rail": "#rail",
        "list": "#list",
        "composer": "#dock",
        "conversation": "#conversation",
        "customer": "#context",
    }
    await page.locator(".skip").focus()
    passed: list[str] = []
    for _ in range(200):
        await page.keyboard.press("Tab")
        here = await page.evaluate(
            "places => Object.keys(places).find((name) => document.activeElement.closest(places[name])) ?? ''", places
        )
        if not here and "customer" in passed:
            break
        if here and here not in passed[-1:]:
            passed.append(here)
    assert passed == ["bar", "rail", "list", "conversation", "composer", "customer"]
