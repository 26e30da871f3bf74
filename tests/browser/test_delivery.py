"""A reply that does not arrive, in a real browser: the desk says what happened, and what a person does about it works."""

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Running, SignIn
from tests.browser.steps import claim_first
from tests.browser.wire import Trouble

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
TEXT = "We are sorry. Your new tent leaves today."


async def answer(page: Page) -> None:
    await claim_first(page)
    await page.locator("[data-draft]").fill(TEXT)
    await page.locator("[data-send]").click()
    await page.get_by_role("button", name="Send now").click()


async def standing(careline: Running, text: str = TEXT) -> int:
    """How often our answer stands on the network."""
    found, after, more = 0, 0, True
    headers = {"authorization": f"Bearer {careline.network.token}"}
    async with httpx.AsyncClient(base_url=careline.network.url, headers=headers, trust_env=False) as http:
        while more:
            inbox = (await http.get("/api/inbox", params={"after": after})).json()
            found += sum(post["text"] == text for post in inbox["posts"])
            after, more = inbox["last"], inbox["more"]
    return found


async def test_a_refused_reply_shows_the_cause_and_a_retry_delivers_it(careline: Running, signed_in: SignIn) -> None:
    page = await signed_in("marta")
    careline.wire.trouble = Trouble.REFUSED
    await answer(page)
    told = page.locator(".msg .delivery[data-state=failed]")
    await expect(told).to_contain_text("Not delivered:")
    await expect(told).to_contain_text(careline.wire.why)
    assert await standing(careline) == 0
    careline.wire.trouble = Trouble.NONE
    await page.get_by_role("button", name="Retry now").click()
    await expect(page.locator(".msg .delivery[data-state=sent]")).to_be_visible()
    await expect(told).to_have_count(0)
    assert await standing(careline) == 1


@pytest.mark.parametrize("word", ["It did arrive", "It did not, send it again"])
async def test_a_reply_whose_answer_was_lost_is_asked_about_and_stands_there_once_whatever_one_says(
    careline: Running, signed_in: SignIn, word: str
) -> None:
    page = await signed_in("marta")
    careline.wire.trouble = Trouble.ANSWER_LOST
    await answer(page)
    await expect(page.locator(".msg .delivery[data-state=failed]")).to_contain_text("Did it arrive?")
    await expect(page.locator(".msg[id^=reply-]")).to_contain_text(TEXT)
    set_out = len(careline.wire.sent)
    careline.wire.trouble = Trouble.NONE
    await page.get_by_role("button", name=word).click()
    await expect(page.locator(".msg .delivery[data-state=sent]")).to_be_visible()
    assert await standing(careline) == 1
    assert len(careline.wire.sent) == set_out + (word != "It did arrive")
    assert len(set(careline.wire.sent)) == 1


async def test_a_sent_reply_is_edited_and_then_deleted_on_the_channel_and_what_it_said_stays_folded(
    careline: Running, signed_in: SignIn
) -> None:
    page = await signed_in("marta")
    await answer(page)
    reply = page.locator(".msg[id^=reply-]")
    field = page.locator("[data-draft]")
    await expect(reply.locator(".delivery[data-state=sent]")).to_be_visible(timeout=20_000)
    assert await standing(careline) == 1

    # An edit that the network refuses is said in the thread and by the bell, and is not lost.
    careline.wire.trouble = Trouble.REFUSED
    await reply.get_by_role("link", name="Edit").click()
    await expect(field).to_have_value(TEXT)
    await expect(field).to_be_focused()
    async with page.expect_response(lambda answer: answer.url.endswith("/draft")):
        await field.fill(f"{TEXT} By express.")
    await page.reload()
    await expect(field).to_have_value(f"{TEXT} By express.")
    await page.get_by_role("button", name="Save on the channel").click()
    await expect(reply.locator(".delivery[data-state=failed]")).to_contain_text("Not edited:", timeout=20_000)
    await expect(reply.locator(".body")).to_have_text(TEXT)
    await page.locator("#bell").click()
    await expect(page.get_by_text("Your edit of the reply to")).to_be_visible()
    await page.keyboard.press("Escape")

    # By the keyboard, from what was written: then the network shows it, and the thread what stood before.
    careline.wire.trouble = Trouble.NONE
    await page.locator("#thread").focus()
    await page.keyboard.press("Shift+E")
    await expect(field).to_have_value(f"{TEXT} By express.")
    await field.press("Control+Enter")
    await expect(reply.locator(".body")).to_have_text(f"{TEXT} By express.", timeout=20_000)
    await expect(page.locator("[name=visibility][value=direct]")).to_be_attached()
    await reply.get_by_text("Edited").click()
    await expect(reply.locator(".was")).to_have_text(TEXT)
    assert await standing(careline) == 0
    assert await standing(careline, f"{TEXT} By express.") == 1

    await reply.locator("[id^=delete-] summary").click()
    await reply.get_by_role("button", name="Delete on the channel").click()
    await expect(reply.locator(".gone")).to_contain_text("Deleted on the channel", timeout=20_000)
    assert await standing(careline, f"{TEXT} By express.") == 0
    await expect(reply.locator(".body")).to_be_hidden()
    await reply.get_by_text("What it said").click()
    await expect(reply.locator(".body")).to_have_text(f"{TEXT} By express.")
