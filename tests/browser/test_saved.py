"""Saved replies in a real browser, by keyboard alone: found, put in, filled in, sent."""

import re

import pytest
from playwright.async_api import expect

from app.flow.saved import ALL, SavedSettings, save_reply
from tests.browser.conftest import Running, SignIn
from tests.browser.steps import agent_named, in_hand, open_first

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
BODY = "Hello {customer.name}, order {order number} is on its way, {greeting}. {agent.first_name}"


async def test_a_saved_reply_is_found_put_in_and_sent_once_its_blanks_are_filled_in(
    careline: Running, signed_in: SignIn
) -> None:
    async with careline.sessions.begin() as session:
        ada = await agent_named(session, "ada")
        await save_reply(session, ada, SavedSettings(title="Zebra crossing", body=BODY, whose=ALL))
    page = await signed_in("finn")
    await open_first(page)
    await page.keyboard.press("c")
    await in_hand(page)
    await page.keyboard.press("p")
    await page.keyboard.type("a/b")
    draft = page.locator("[data-draft]")
    await expect(draft).to_have_value("a/b")
    await draft.fill("")
    await page.keyboard.press("/")
    search = page.get_by_role("combobox", name="Find a saved reply")
    await expect(search).to_be_focused()
    await page.keyboard.type("zbrcrs")
    await expect(page.get_by_role("option", name=re.compile("Zebra"))).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("Enter")
    await expect(draft).to_be_focused()
    await expect(draft).to_have_value(re.compile(r"order \{order number\} is on its way, \{greeting\}\. Finn$"))
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("[data-blanks]")).to_have_text(
        "Fill in {order number}, {greeting} before you send it, or take it out."
    )
    await expect(page.locator(".undo")).to_have_count(0)
    await page.keyboard.type("NW-1")
    await draft.fill((await draft.input_value()).replace("{greeting}", "bye"))
    await expect(page.locator("[data-blanks]")).to_be_hidden()
    await page.keyboard.press("Control+Enter")
    await expect(page.locator(".undo")).to_be_visible()


async def test_escape_leaves_the_picker_and_goes_back_to_the_text(careline: Running, signed_in: SignIn) -> None:
    page = await signed_in("finn")
    await open_first(page)
    await page.keyboard.press("/")
    await expect(page.get_by_role("combobox", name="Find a saved reply")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator("[data-draft]")).to_be_focused()
