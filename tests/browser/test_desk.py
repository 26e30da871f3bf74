"""The desk in a real browser: by mouse, by keyboard alone, without JavaScript, and with two agents side by side."""

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import Route, expect
from sqlalchemy import select

from app.models.item import Item, State
from tests.browser.conftest import Running, SignIn
from tests.browser.steps import ITEM, claim_first, in_hand, number, open_first, sent

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
TEXT = "We are sorry. It leaves our warehouse today and is with you tomorrow."


async def state_of(careline: Running, item: int) -> str | None:
    async with careline.sessions() as session:
        return await session.scalar(select(Item.state).where(Item.id == item))


async def test_with_the_mouse_an_offer_is_accepted_answered_delivered_and_closed(
    careline: Running, signed_in: SignIn
) -> None:
    page = await signed_in("finn")
    await page.locator("#go-ready").click()
    await page.get_by_role("button", name="Accept").click()
    await page.wait_for_url(ITEM)
    item = number(page)
    await page.locator("[data-draft]").fill(TEXT)
    await page.get_by_role("button", name="Send Ctrl Enter").click()
    await page.get_by_role("button", name="Send now").click()
    await expect(page.locator(".msg .delivery[data-state=sent]")).to_be_visible()
    await expect(page.locator("[data-draft]")).to_have_value("")
    await page.locator("#close").click()
    await page.locator("#close-menu").get_by_role("button", name="Answered").click()
    await expect(page.locator(f"#rows-active #item-{item}")).to_have_count(0)
    assert await state_of(careline, item) == State.CLOSED
    assert await sent(careline, TEXT) == 1


async def test_the_item_that_a_key_would_open_is_there_before_the_key(careline: Running, signed_in: SignIn) -> None:
    page = await signed_in("finn")
    await expect(page.locator("#rows-next .item").first).to_be_visible()
    async with page.expect_response(lambda answer: "x-ahead" in answer.request.headers) as ahead:
        await page.keyboard.press("j")
    address = (await ahead.value).url
    await (await ahead.value).finished()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.keyboard.press("Enter")
    await page.wait_for_url(address)
    await expect(page.locator("#claim")).to_be_visible()
    await expect(page.locator("#desk")).to_have_attribute("data-item", str(number(page)))
    assert address not in asked


async def test_the_keyboard_alone_is_enough(careline: Running, signed_in: SignIn) -> None:
    page = await signed_in("finn")
    await expect(page.locator("#rows-next .item").first).to_be_visible()
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await page.wait_for_url(ITEM)
    item = number(page)
    await expect(page.locator("#claim")).to_be_visible()
    await page.keyboard.press("c")
    await in_hand(page)
    await page.keyboard.press("n")
    await page.keyboard.type("Called the warehouse.")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator(".msg[data-kind=note]")).to_contain_text("Called the warehouse.")
    await page.keyboard.press("Escape")
    await page.keyboard.press("r")
    await page.keyboard.type(TEXT)
    await page.keyboard.press("Control+Enter")
    await expect(page.locator(".undo")).to_be_visible()
    await page.keyboard.press("Control+z")
    await expect(page.locator("[data-draft]")).to_have_value(TEXT)
    await page.keyboard.press("Control+Enter")
    await expect(page.locator(".undo")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("#")
    await expect(page.locator("#close-menu")).to_be_visible()
    await page.keyboard.press("1")
    await expect(page.locator(f"#rows-active #item-{item}")).to_have_count(0)
    assert await state_of(careline, item) == State.CLOSED


async def test_without_javascript_the_whole_road_works(careline: Running, signed_in: SignIn) -> None:
    page = await signed_in("finn", java_script_enabled=False)
    await page.locator("#go-ready").click()
    accept = page.get_by_role("button", name="Accept")
    while not await accept.count():
        await page.goto("/desk")
    await accept.click()
    await page.wait_for_url(ITEM)
    item = number(page)

    # A note, a tag, and aside for a while.
    await page.get_by_role("radio", name="Note").check(force=True)
    await page.locator("[data-draft]").fill("Second letter this week.")
    await page.get_by_role("button", name="Send Ctrl Enter").click()
    await expect(page.locator(".msg[data-kind=note]")).to_contain_text("Second letter this week.")
    await page.locator("#tag-new").fill("twice")
    await page.get_by_role("button", name="Add", exact=True).click()
    await expect(page.get_by_role("button", name="Take the tag twice away")).to_be_visible()
    await page.locator("#park").click()
    await page.locator("#park-menu").get_by_role("button", name="In one hour").click()
    assert await state_of(careline, item) == State.PARKED
    await page.goto(f"/items/{item}")
    await page.locator("#go-on").click()

    # To another queue with a note, and back by claiming it there.
    await page.locator("#transfer").click()
    await page.get_by_role("link", name="Transfer to a colleague, a queue or a skill").click()
    await page.get_by_label("A note that goes with it").fill("Please look at the invoice.")
    await page.get_by_role("button", name=re.compile("waiting$")).first.click()
    assert await state_of(careline, item) in {State.QUEUED, State.OFFERED}
    await page.goto(f"/items/{item}")
    await expect(page.locator(".msg[data-kind=note]").last).to_contain_text("Please look at the invoice.")
    await page.locator("#claim").click()

    await page.locator("[name=visibility]").first.check(force=True)  # it was a note that was written last
    await page.locator("[data-draft]").fill(TEXT)
    await page.get_by_role("button", name="Send Ctrl Enter").click()
    await page.get_by_role("button", name="Send now").click()
    delivered = page.locator(".msg .delivery[data-state=sent]")
    while not await delivered.count():
        await page.reload()
    await page.locator("#close").click()
    await page.locator("#close-menu").get_by_role("button", name="Answered").click()
    await page.goto(f"/items/{item}")
    await page.get_by_role("button", name="Reopen").click()
    await expect(page.locator("#reopen")).to_have_count(0)
    assert await state_of(careline, item) in {State.QUEUED, State.OFFERED}
    assert await sent(careline, TEXT) == 1


async def test_the_second_of_two_agents_sees_who_has_the_item(careline: Running, signed_in: SignIn) -> None:
    marta, ada = await signed_in("marta"), await signed_in("ada")
    await expect(marta.locator("#rows-next .item").first).to_be_visible()
    item = await marta.locator("#rows-next .item").first.get_attribute("data-item")
    for page in (marta, ada):
        await page.goto(f"/items/{item}")
    await ada.route("**/items/*?parts=*", lambda route: route.abort())  # her page has not heard of it yet
    await marta.locator("#claim").click()
    await expect(marta.locator("[data-send]")).to_be_visible()
    await ada.evaluate("document.querySelector('#claim-form').requestSubmit()")
    await expect(ada.locator(".toast")).to_contain_text(re.compile(r"Marta \w+ took it \d+ s ago"))
    await ada.unroute_all()
    await ada.reload()
    await expect(ada.locator("#conv-head")).to_contain_text("Marta")
    await expect(ada.locator(".composer-reason")).to_contain_text("colleague")


async def test_what_a_colleague_does_shows_without_a_reload(careline: Running, signed_in: SignIn) -> None:
    marta, ada = await signed_in("marta"), await signed_in("ada")
    await expect(marta.locator("#rows-next .item").first).to_be_visible()
    item = await marta.locator("#rows-next .item").first.get_attribute("data-item")
    for page in (marta, ada):
        await page.goto(f"/items/{item}")
    await marta.locator("#claim").click()
    await expect(ada.locator("#conv-head .state-word")).to_contain_text("Marta")
    await ada.locator("[data-draft]").fill("I know this customer: be kind.")
    await ada.locator("[data-send]").click()
    await expect(marta.locator(".msg[data-kind=note]")).to_contain_text("be kind")


async def test_a_draft_is_kept_and_what_is_being_written_is_left_alone(careline: Running, signed_in: SignIn) -> None:
    page = await signed_in("marta")
    await claim_first(page)
    field = page.locator("[data-draft]")
    async with page.expect_response(lambda answer: answer.url.endswith("/draft")):
        await field.fill("Half a thought")
    await field.press("End")
    await field.type(" and more")
    await page.evaluate("document.dispatchEvent(new CustomEvent('careline:refresh'))")
    async with page.expect_response(lambda answer: "parts=" in answer.url):
        pass
    await expect(field).to_be_focused()
    await expect(field).to_have_value("Half a thought and more")
    async with page.expect_response(lambda answer: answer.url.endswith("/draft")):
        await field.blur()
    await page.reload()
    await expect(field).to_have_value("Half a thought and more")


async def test_what_is_written_while_a_claim_is_on_its_way_goes_on(careline: Running, signed_in: SignIn) -> None:
    page = await signed_in("marta")
    await open_first(page)
    answer = asyncio.Event()

    async def wait(route: Route) -> None:
        await answer.wait()
        await route.continue_()

    await page.route("**/assignment", wait)
    await page.locator("#claim").click()
    await page.locator("[data-draft]").fill("Called the ")
    answer.set()
    await expect(page.locator("[name=visibility][value=direct]")).to_be_attached()
    await page.keyboard.type("warehouse.")
    await expect(page.locator("[data-draft]")).to_have_value("Called the warehouse.")
    await expect(page.locator("[name=visibility][value=note]")).to_be_checked()


async def test_too_long_a_reply_cannot_be_sent_and_says_why(careline: Running, signed_in: SignIn) -> None:
    page = await signed_in("marta")
    await claim_first(page)
    await page.locator("[data-draft]").fill("👩‍👩‍👧" * 501)
    await expect(page.locator(".counter")).to_contain_text("1 too long")
    await expect(page.locator("[data-send]")).to_be_disabled()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_is_wider_than_a_phone(careline: Running, signed_in: SignIn, scheme: str, tmp_path: Path) -> None:
    page = await signed_in("finn", viewport={"width": 390, "height": 844}, color_scheme=scheme)
    await page.locator(".item a").first.click()
    await page.wait_for_url(ITEM)
    item = number(page)
    for path in ("/desk", "/desk/queues", "/desk/parked", f"/items/{item}", f"/items/{item}/customer"):
        await page.goto(path)
        assert await page.evaluate("document.documentElement.scrollWidth") == 390, path
