"""A whole shift by keyboard alone: no mouse, focus in sight, and never lost when a part of the page is drawn anew."""

import asyncio
import re

import pytest
from playwright.async_api import Browser, Page, expect

from app.flow.saved import ALL, SavedSettings, save_reply
from app.northwind import company
from tests.browser.conftest import Running
from tests.browser.steps import ITEM, agent_named, in_hand, number, sent

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
SORRY = "We are looking for it, and write to you before six."
NOTE = "@Ada Quist could you call the depot?"
SEEN = """() => {
    const here = document.activeElement;
    const { width, height } = here.getBoundingClientRect();
    const { outlineStyle, outlineWidth } = getComputedStyle(here);
    const writes = here.matches("input, textarea"); // what is written into shows its caret
    return here !== document.body && width * height > 0 && (writes || (outlineStyle !== "none" && parseFloat(outlineWidth) > 0));
}"""
MOUSE = """
    for (const kind of ["pointerdown", "mousedown", "touchstart"])
        addEventListener(kind, () => { document.documentElement.dataset.mouse = kind; }, true);
"""


async def focus_is_seen(page: Page) -> None:
    """Somewhere, and visibly so, as soon as the page stands."""
    await page.wait_for_function(SEEN)


async def tab_to(page: Page, selector: str, most: int = 60) -> None:
    """Go on by Tab until focus is there."""
    target = page.locator(selector).first
    for _ in range(most):
        await page.keyboard.press("Tab")
        if await target.evaluate("one => one === document.activeElement"):
            return
    raise AssertionError(f"Tab does not lead to {selector}")


async def sign_in(page: Page) -> None:
    await page.goto("/login")
    await expect(page.get_by_label("Work email")).to_be_focused()
    await page.keyboard.type("finn@northwind.example")
    await page.keyboard.press("Tab")
    await page.keyboard.type(company.PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/desk")


async def accept_the_offer(page: Page) -> int:
    """Accept by key what is offered; the item."""
    before = page.url
    await expect(page.locator("#accept")).to_be_visible()
    await page.keyboard.press("a")
    await page.wait_for_url(lambda url: url != before and ITEM.search(url) is not None)
    await in_hand(page)
    await focus_is_seen(page)
    return number(page)


async def answer_with_a_saved_reply_and_go_on(page: Page) -> None:
    first = number(page)
    await page.keyboard.press("/")
    await expect(page.get_by_role("combobox", name="Find a saved reply")).to_be_focused()
    await page.keyboard.type("before six")
    await expect(page.get_by_role("option", name=re.compile("Before six"))).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("Enter")
    await expect(page.locator("[data-draft]")).to_be_focused()
    await expect(page.locator("[data-draft]")).to_have_value(SORRY)
    await page.keyboard.press("Control+Shift+Enter")
    await page.wait_for_url(lambda url: ITEM.search(url) is not None and f"/items/{first}" not in url)
    await in_hand(page)
    await focus_is_seen(page)


async def park_it(page: Page) -> None:
    item = number(page)
    await page.keyboard.press("Escape")
    await page.keyboard.press("z")
    await expect(page.locator("#park-menu .opt").first).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator(f"#rows-parked #item-{item}")).to_be_visible()
    await focus_is_seen(page)


async def leave_a_note(page: Page) -> None:
    await page.keyboard.press("n")
    await page.keyboard.type("@Ad")
    await expect(page.locator("#mentions .opt[aria-selected=true]")).to_contain_text("Ada Quist")
    await page.keyboard.press("Enter")
    await page.keyboard.type("could you call the depot?")
    await expect(page.locator("[data-draft]")).to_have_value(NOTE)
    await page.keyboard.press("Control+Enter")
    await expect(page.locator(".msg[data-kind=note]")).to_contain_text(NOTE)
    await expect(page.locator("[data-draft]")).to_have_value("")
    await expect(page.locator("[data-draft]")).to_be_focused()


async def transfer_it_through_the_palette(page: Page) -> None:
    await page.keyboard.press("Escape")
    await page.keyboard.press("Control+k")
    await page.keyboard.type("transfer")
    await expect(page.locator("#do-transfer")).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("Enter")
    await expect(page.locator("#transfer-find")).to_be_focused()
    await page.keyboard.type("Products")
    await expect(page.locator("#transfer-targets .opt")).to_have_count(1)
    await tab_to(page, "#transfer-targets .opt")
    await focus_is_seen(page)
    await page.keyboard.press("Enter")
    await expect(page.locator("#park")).to_have_count(0)
    await focus_is_seen(page)


async def find_again(page: Page, word: str) -> None:
    await page.keyboard.press("s")
    await page.wait_for_url("**/search")
    await expect(page.locator("#q")).to_be_focused()
    await page.keyboard.type(word)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/search?q=*")
    await tab_to(page, ".hits a")
    await focus_is_seen(page)
    await page.keyboard.press("Enter")
    await page.wait_for_url(ITEM)


async def answer_and_take_it_back(page: Page) -> None:
    await page.keyboard.press("r")
    await page.keyboard.type("On its wya.")
    await expect(page.locator("[data-composer]")).to_have_attribute("data-version", re.compile(r"\d+"))  # it is saved
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("[data-draft]")).to_have_value("")
    await expect(page.locator(".undo").first).to_be_visible()
    await focus_is_seen(page)
    await page.keyboard.press("Control+z")
    await expect(page.locator("[data-draft]")).to_have_value("On its wya.")
    await expect(page.locator("[data-draft]")).to_be_focused()


async def look_at_the_keys(page: Page) -> None:
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("#keys")).to_be_hidden()


async def sign_out(page: Page) -> None:
    await tab_to(page, "[popovertarget=me-menu]", most=200)
    await focus_is_seen(page)
    await page.keyboard.press("Enter")
    await expect(page.locator("#me-menu")).to_be_visible()
    await tab_to(page, "#me-menu form[action='/logout'] button")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/presence/end*")
    await tab_to(page, "main [type=submit]")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/login")


async def test_a_shift_is_worked_from_sign_in_to_sign_out_without_a_mouse(careline: Running, chromium: Browser) -> None:
    async with careline.sessions.begin() as session:
        ada, finn = await agent_named(session, "ada"), await agent_named(session, "finn")
        await save_reply(session, ada, SavedSettings(title="Before six", body=SORRY, whose=ALL))
        finn.capacity = 2  # what is next is offered, and nothing over that
    context = await chromium.new_context(base_url=careline.url)
    await context.add_init_script(MOUSE)
    page = await context.new_page()
    page.set_default_timeout(15_000)
    await sign_in(page)
    await page.keyboard.press("Shift+R")
    first = await accept_the_offer(page)
    second = await accept_the_offer(page)
    await answer_with_a_saved_reply_and_go_on(page)
    assert number(page) == first
    await park_it(page)
    await page.keyboard.press("Shift+R")  # no wrap-up
    held = await accept_the_offer(page)
    await leave_a_note(page)
    await transfer_it_through_the_palette(page)
    await find_again(page, "depot")
    assert number(page) == held
    await look_at_the_keys(page)
    assert await accept_the_offer(page) not in {first, second, held}
    await answer_and_take_it_back(page)
    await sign_out(page)
    assert await page.evaluate("document.documentElement.dataset.mouse") is None
    async with asyncio.timeout(60):
        while not await sent(careline, SORRY):  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.2)
    assert (await sent(careline, SORRY), await sent(careline, "On its wya.")) == (1, 0)
    await context.close()
