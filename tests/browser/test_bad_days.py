"""Bad days in a real browser: no connection, no sign-in any more, somebody else was first. Nothing that was typed is lost."""

import re

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import delete, func, select

from app.models.agent import SignIn
from app.models.item import Item, State
from app.models.reply import Reply
from app.northwind import company
from tests.browser.conftest import Running
from tests.browser.conftest import SignIn as OpenWindow
from tests.browser.steps import agent_named, claim_first

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
TEXT = "We are sorry. A new tent leaves today."


async def answers(careline: Running) -> int:
    async with careline.sessions() as session:
        return await session.scalar(select(func.count()).where(Reply.text == TEXT, Reply.state != "draft")) or 0


async def sign_out_everywhere(careline: Running) -> None:
    async with careline.sessions.begin() as session:
        await session.execute(delete(SignIn))


async def sign_in_again(page: Page, who: str) -> None:
    dialog = page.locator("#sign-in")
    await expect(dialog).to_be_visible()
    await dialog.get_by_label("Work email").fill(f"{who}@northwind.example")
    await dialog.get_by_label("Password").fill(company.PASSWORD)
    await dialog.get_by_role("button", name="Sign in").click()


async def test_a_reply_sent_without_a_connection_arrives_once_when_it_is_back(
    careline: Running, signed_in: OpenWindow
) -> None:
    page = await signed_in("marta")
    await claim_first(page)
    await page.locator("[data-draft]").fill(TEXT)
    await page.context.set_offline(True)
    await expect(page.locator("#alert[data-kind=offline]")).to_be_visible()
    await page.locator("[data-send]").click()
    await expect(page.locator(".toast")).to_contain_text("Kept.")
    await page.locator("[data-send]").click()
    await expect(page.locator("[data-draft]")).to_have_value(TEXT)
    assert await answers(careline) == 0
    await page.context.set_offline(False)
    await expect(page.locator(".msg[id^=reply-]")).to_contain_text(TEXT)
    await expect(page.locator("[data-draft]")).to_have_value("")
    await expect(page.locator("#alert")).to_be_hidden()
    assert await answers(careline) == 1


async def test_what_is_no_reply_goes_out_only_after_asking(careline: Running, signed_in: OpenWindow) -> None:
    page = await signed_in("marta")
    item = await claim_first(page)
    await page.context.set_offline(True)
    await page.locator("#close").click()
    await page.locator("#close-menu").get_by_role("button", name="No reply needed").click()
    await expect(page.locator(".toast")).to_contain_text("Kept.")
    await page.keyboard.press("Escape")
    await page.context.set_offline(False)
    await expect(page.locator("#alert[data-kind=kept]")).to_contain_text("No reply needed")
    async with careline.sessions() as session:
        assert await session.scalar(select(Item.state).where(Item.id == item)) == State.ACTIVE
    await page.locator("#alert").get_by_role("button", name="Send now").click()
    await expect(page.locator("#conv-head")).to_have_attribute("data-state", "closed")
    await expect(page.locator("#alert")).to_be_hidden()


async def test_a_sign_in_that_ends_while_somebody_writes_is_renewed_in_place_and_the_reply_goes_out(
    careline: Running, signed_in: OpenWindow
) -> None:
    page = await signed_in("marta")
    await claim_first(page)
    await page.locator("[data-draft]").fill(TEXT)
    await sign_out_everywhere(careline)
    await page.locator("[data-send]").evaluate("button => button.form.requestSubmit(button)")
    await sign_in_again(page, "marta")
    await expect(page.locator(".msg[id^=reply-]")).to_contain_text(TEXT)
    await expect(page.locator("#sign-in")).to_be_hidden()
    assert await answers(careline) == 1


async def test_who_signs_in_instead_sees_nothing_of_it_and_sends_nothing(
    careline: Running, signed_in: OpenWindow
) -> None:
    page = await signed_in("marta")
    await claim_first(page)
    await page.locator("[data-draft]").fill(TEXT)
    await sign_out_everywhere(careline)
    await page.locator("[data-send]").evaluate("button => button.form.requestSubmit(button)")
    await sign_in_again(page, "finn")
    await page.wait_for_url("**/desk")
    await expect(page.locator("#alert")).to_be_hidden()
    await expect(page.get_by_text(TEXT)).to_have_count(0)
    assert await answers(careline) == 0


async def test_one_tab_of_two_rings_for_an_offer_and_both_count_it(careline: Running, signed_in: OpenWindow) -> None:
    page = await signed_in("finn")
    async with careline.sessions.begin() as session:
        finn = await agent_named(session, "finn")
        finn.preferences = {"sound": True}
        finn.capacity = 1  # one offer at a time
    await page.context.add_init_script(
        "addEventListener('careline:chime', () => { localStorage.rung = Number(localStorage.rung ?? 0) + 1; })"
    )
    other = await page.context.new_page()
    for tab in (page, other):
        await tab.goto("/desk")
        await tab.locator("h1").first.evaluate("one => one")
        await tab.locator("#list").click(position={"x": 4, "y": 4})
    await page.locator("#go-ready").click()
    for tab in (page, other):
        await expect(tab.locator("[data-offer]").first).to_be_attached()
        await expect(tab).to_have_title(re.compile(r"^\(1\) "))
    await other.reload()
    await expect(other).to_have_title(re.compile(r"^\(1\) "))
    for tab in (page, other):
        await tab.evaluate("navigator.locks.request('careline-told', () => {})")  # each has had its turn
    assert await page.evaluate("localStorage.rung") == "1"
