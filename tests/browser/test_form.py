"""The feedback form in a real browser without scripts: written, corrected, sent, and on the desk."""

import re
from datetime import timedelta

import pytest
from playwright.async_api import Browser, expect

from app.models.feed import Feed
from tests.browser.conftest import Running, SignIn

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


async def test_a_stranger_writes_by_keyboard_without_scripts_and_the_message_is_on_the_desk(
    careline: Running, signed_in: SignIn, chromium: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.form.QUICKEST", timedelta(0))
    async with careline.sessions.begin() as session:
        asked = {"title": "Write to Northwind", "consent": "I agree to be answered."}
        feed = Feed(name="Form", channel="form", settings=asked, cursor={})
        session.add(feed)
        await session.flush()
        feed_id = feed.id
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{careline.url}/forms/{feed_id}")
    await page.get_by_label("Your message").fill("The zipper of my tent is gone.")
    await page.get_by_label("Your e-mail address").fill("ann@cust")
    await page.get_by_label("I agree to be answered.").check()
    await page.get_by_role("button", name="Send message").press("Enter")
    wrong = page.get_by_label("Your e-mail address")
    await expect(wrong).to_be_focused()
    await expect(wrong).to_have_accessible_description(re.compile("Check your e-mail address"))
    await expect(page.get_by_label("Your message")).to_have_value("The zipper of my tent is gone.")
    await wrong.fill("ann@cust.example")
    await page.get_by_role("button", name="Send message").press("Enter")
    await expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    await expect(page.get_by_text(re.compile("Its reference is [A-Z2-7]{4}-"))).to_be_visible()
    await context.close()
    desk = await signed_in("ada")
    await desk.goto(f"{careline.url}/search?q=zipper")
    await expect(desk.get_by_text("The zipper of my tent is gone.").first).to_be_visible()
