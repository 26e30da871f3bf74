"""An offer is seen wherever one is, and covers nothing that one is doing; on a phone and beside the desk."""

import re

import pytest
from playwright.async_api import Locator, Page, expect
from sqlalchemy import select

from app.flow.offer import Proposal, make_offer
from app.models.item import Item, State
from tests.browser.conftest import Running, SignIn
from tests.browser.steps import ITEM, agent_named, claim_first

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
PHONE = {"width": 390, "height": 844}


async def offer_to(careline: Running, who: str) -> int:
    """Offer somebody an item that waits, as the router does; the item."""
    async with careline.sessions.begin() as session:
        agent = await agent_named(session, who)
        waiting = select(Item).where(Item.state == State.QUEUED).order_by(Item.id).limit(1)
        item = (await session.scalars(waiting)).one()
        assert await make_offer(session, Proposal(item.id, item.version, agent.id, {}))
        return item.id


async def box(part: Locator) -> tuple[float, float]:
    """Where a part begins and ends, from the top of the window."""
    found = await part.bounding_box()
    assert found
    return found["y"], found["y"] + found["height"]


async def get_ready(page: Page) -> None:
    await page.locator(".state-compact").click()
    await page.locator("#state-menu [value=ready]").click()
    await expect(page.locator(".state-compact")).to_contain_text("Ready")


async def test_on_a_phone_an_offer_is_seen_beside_a_conversation_and_does_not_cover_what_is_written(
    careline: Running, signed_in: SignIn
) -> None:
    page = await signed_in("ada", viewport=PHONE)
    await get_ready(page)
    await claim_first(page)
    field = page.locator("[data-draft]")
    await field.fill("Half a thought")
    item = await offer_to(careline, "ada")
    bar = page.locator(".offer-bar")
    await expect(bar).to_be_visible()
    await expect(field).to_be_focused()
    await expect(field).to_have_value("Half a thought")
    for part in (field, page.locator("[data-send]"), page.locator("#conv-head")):
        assert (await box(part))[0] >= (await box(bar))[1]
    await page.locator("#bar-decline").click()
    await expect(page.locator("#bar-decline-menu [name=reason]").first).to_be_visible()
    await page.keyboard.press("Escape")
    await bar.locator(".what").click()
    await page.wait_for_url("**/desk/offers")
    await expect(bar).to_be_hidden()
    await page.locator("#accept").click()
    await page.wait_for_url(f"**/items/{item}")


async def test_an_offer_is_seen_on_the_board_and_in_the_setup_and_leads_to_the_desk(
    careline: Running, signed_in: SignIn
) -> None:
    page = await signed_in("ada", viewport=PHONE)
    await get_ready(page)
    await page.goto("/admin/feeds/new?channel=rss")
    await page.get_by_label("Feed address").fill("https://blog.example.com/feed")
    item = await offer_to(careline, "ada")
    await expect(page.locator(".offer-bar")).to_be_visible()
    await expect(page.get_by_label("Feed address")).to_have_value("https://blog.example.com/feed")
    await page.goto("/board")
    await page.get_by_role("link", name="Look at it").click()
    await page.wait_for_url("**/desk/offers")
    await expect(page.locator(f"#offer-{item}")).to_be_visible()


async def test_on_the_desk_an_offer_leaves_the_waiting_list_in_the_moment_it_appears(
    careline: Running, signed_in: SignIn
) -> None:
    page = await signed_in("ada")
    await page.locator("#go-ready").click()
    await expect(page.locator("#rows-next .item").first).to_be_visible()
    item = await offer_to(careline, "ada")
    await expect(page.locator(f"#offer-{item}")).to_be_visible()
    await expect(page.locator(f"#rows-next #item-{item}")).to_have_count(0, timeout=1)
    await expect(page.locator("#rail .chip")).to_contain_text("1 new", timeout=1)
    offer = page.locator(f"#offer-{item}")
    expires = await offer.get_attribute("data-expires") or ""
    await page.keyboard.press("+")
    await expect(offer).not_to_have_attribute("data-expires", expires)


async def test_on_a_phone_the_list_shows_what_can_still_be_taken_back(careline: Running, signed_in: SignIn) -> None:
    page = await signed_in("marta", viewport=PHONE)
    await claim_first(page)
    await page.locator("[data-draft]").fill("On its way.")
    await page.locator("[data-send]").click()
    await expect(page.locator(".undo")).to_be_visible()
    await page.locator("#conv-head a.only-phone").click()
    await page.wait_for_url("**/desk/mine")
    undo = page.get_by_role("button", name="Undo")
    await expect(undo).to_be_visible()
    assert (await box(undo))[1] <= (await box(page.locator("#tabbar")))[0]
    await undo.click()
    await page.wait_for_url(ITEM)
    await expect(page.locator("[data-draft]")).to_have_value("On its way.")


async def test_a_feed_tells_its_health_by_itself_and_leaves_the_form_beside_it_alone(
    careline: Running, signed_in: SignIn
) -> None:
    page = await signed_in("ada")
    await page.goto("/admin/feeds")
    async with page.expect_response(lambda answer: answer.url.endswith("/admin/feeds/health")):
        pass
    await page.locator("#feeds th a").first.click()
    await page.get_by_label("Name").fill("Half typed")
    async with page.expect_response(lambda answer: re.search(r"/admin/feeds/\d+/health$", answer.url) is not None):
        pass
    await expect(page.get_by_label("Name")).to_have_value("Half typed")
