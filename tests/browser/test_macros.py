"""A macro in a real browser, by keyboard alone: chosen in the palette, previewed, run."""

import re

import pytest
from playwright.async_api import expect

from app.flow.macro import MacroSettings, save_macro
from app.flow.saved import ALL, SavedSettings, save_reply
from tests.browser.conftest import Running, SignIn
from tests.browser.steps import agent_named, in_hand, open_first

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


async def test_a_macro_is_chosen_previewed_and_run(careline: Running, signed_in: SignIn) -> None:
    async with careline.sessions.begin() as session:
        ada = await agent_named(session, "ada")
        saved = await save_reply(session, ada, SavedSettings(title="Wait", body="One moment, please.", whose=ALL))
        settings = MacroSettings(name="Zenith wait", reply=saved.id, add_tags=("waits",), priority=4, whose=ALL)
        await save_macro(session, ada, settings)
    page = await signed_in("finn")
    await open_first(page)
    await page.keyboard.press("c")
    await in_hand(page)
    await page.keyboard.press("Control+k")
    await page.keyboard.type("zenith")
    await expect(page.get_by_role("option", name=re.compile("Zenith"))).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Zenith wait")).to_be_visible()
    await expect(page.locator(".macro-reply")).to_have_text("One moment, please.")
    await page.locator("#run-macro").press("Enter")
    await expect(page.locator(".undo")).to_be_visible()
    await expect(page.locator(".chip.tag")).to_contain_text(["waits"])
    await expect(page.locator("#priority")).to_have_value("4")
