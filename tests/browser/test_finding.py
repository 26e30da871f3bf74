"""Finding things in a real browser: a list narrowed, kept and dealt with as a whole; the search; names in the palette."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import select

from app.connectors.base import IncomingAuthor
from app.flow.ingest import ingest
from app.models.feed import Feed
from app.models.item import Item
from tests.browser.conftest import Running, SignIn
from tests.company import post

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
SAID = ("The zebra on my mug is fading.", "Is the zebra mug dishwasher safe?", "Zebra and lion mugs, please!")
LENA = IncomingAuthor("lena", handle="@lena_b", name="Lena Brandtner")


async def zebras(careline: Running) -> list[int]:
    """Items that only these stories know of."""
    async with careline.sessions.begin() as session:
        feed = Feed(name="Box", channel="webhook", synced_at=datetime.now(UTC), enabled=False)
        session.add(feed)
        await session.flush()
        await session.refresh(feed)
        await ingest(session, feed, [replace(post(n, text), author=LENA) for n, text in enumerate(SAID)])
        return list(await session.scalars(select(Item.id).where(Item.channel == "webhook").order_by(Item.id)))


async def priorities(careline: Running, ids: list[int]) -> list[int]:
    async with careline.sessions() as session:
        return list(await session.scalars(select(Item.priority).where(Item.id.in_(ids)).order_by(Item.id)))


async def until_found(page: Page, address: str, hit: str) -> None:
    """New things are entered into the search a moment after they came."""
    await page.goto(address)
    while not await page.locator(hit).count():
        await page.goto(address)


async def test_a_list_is_narrowed_by_words_kept_as_a_view_and_dealt_with_as_a_whole(
    careline: Running, signed_in: SignIn
) -> None:
    one, two, three = await zebras(careline)
    page = await signed_in("ada")
    await until_found(page, "/desk/all?text=lion", f"#item-{three}")
    await page.goto("/desk/all")
    await page.keyboard.press("f")
    await expect(page.get_by_label("Words")).to_be_focused()
    await page.keyboard.type("zebra -lion")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/desk/all?*text=zebra*lion*")
    rows = page.locator("#list .item")
    await expect(rows).to_have_count(2)
    await page.reload()
    await expect(rows).to_have_count(2)
    await expect(page.locator("#list-chips")).to_contain_text("Words: zebra -lion")
    await page.get_by_role("button", name="Save as a view").click()
    await page.get_by_label("Name").fill("Zebras")
    await page.keyboard.press("Enter")
    view = page.locator("#rail a", has_text="Zebras")
    await expect(view).to_have_attribute("aria-current", "page")
    await expect(view).to_contain_text("2")

    before = await priorities(careline, [one, two, three])
    await page.locator(f"#item-{one} .pick input").check()
    await page.locator(f"#item-{two} .pick input").check()
    await expect(page.locator("#bulk")).to_contain_text("2 chosen")
    await page.locator("#bulk-deed").select_option("prioritise")
    await page.locator("#bulk-next").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Set the priority: 2 items")
    await expect(page.get_by_text("Nothing has been done yet.")).to_be_visible()
    assert await priorities(careline, [one, two, three]) == before
    await page.get_by_label("P1, highest").check()
    await page.locator("#bulk-go").click()
    await expect(page.locator("#bulk-sum")).to_have_text("2 items were done.")
    assert await priorities(careline, [one, two, three]) == [1, 1, before[2]]
    await page.get_by_role("link", name="Back to the list").click()
    await expect(page.locator("#list-title")).to_have_text("Zebras")
    await expect(page.locator("#list .prio[data-p='1']")).to_have_count(2)


async def test_words_operators_and_a_name_with_a_mistake_are_found(careline: Running, signed_in: SignIn) -> None:
    _one, two, _three = await zebras(careline)
    page = await signed_in("ada")
    line = await page.locator("#rows-next .item .line").first.inner_text()
    word = max(re.findall(r"\w+", line), key=len)
    await until_found(page, f"/search?q={word}", ".hits mark")
    await page.goto("/desk")
    await page.keyboard.press("s")
    await expect(page.get_by_label("Look for")).to_be_focused()
    await page.keyboard.type('zebra -lion from:lena "dishwasher safe"')
    await page.keyboard.press("Enter")
    await expect(page.locator(".hits li")).to_have_count(1)
    await expect(page.locator(".hits mark").first).to_have_text("zebra")
    await page.locator(".hits a").first.click()
    await page.wait_for_url(re.compile(rf"/items/{two}#post-\d+"))
    await page.goto("/search")
    await expect(page.get_by_label("Look for")).to_be_focused()
    await page.keyboard.type("lenna brantner")
    await page.keyboard.press("Enter")
    await expect(page.locator(".people")).to_contain_text("Lena Brandtner")
    await page.keyboard.press("Escape")
    await page.keyboard.press("Control+k")
    await expect(page.get_by_role("combobox", name="Search or run a command")).to_be_focused()
    await page.keyboard.type("lenna brantner")
    customer = page.get_by_role("option", name=re.compile("Lena Brandtner"))
    await expect(customer).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile(r"/items/\d+"))
    await expect(page.locator("#conv-head")).to_contain_text("Lena Brandtner")
