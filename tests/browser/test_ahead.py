"""Pages ahead: fetched before the key, shown at once by it, never stale, and never seen by anybody before that."""

import re

import pytest
from playwright.async_api import Page, Request, expect
from sqlalchemy import func, select

from app.models.together import Viewer
from tests.browser.conftest import Running, SignIn

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
ITEM = re.compile(r"/items/(\d+)(?:\?.*)?$")


def pages_asked(page: Page) -> list[Request]:
    """The requests for whole items, from now on."""
    asked: list[Request] = []
    page.on(
        "request",
        lambda one: (
            asked.append(one) if one.method == "GET" and ITEM.search(one.url) and "parts=" not in one.url else None
        ),
    )
    return asked


async def test_the_item_under_the_key_is_there_before_enter_and_nobody_has_looked_at_it(
    careline: Running, signed_in: SignIn
) -> None:
    page = await signed_in("marta")
    second = page.locator("#rows-next .item > a").nth(1)
    await expect(second).to_be_visible()
    row = page.locator(f"#{await second.get_attribute('id')}")
    address = str(await row.evaluate("(link) => link.href"))
    asked = pages_asked(page)
    async with page.expect_response(lambda answer: answer.url == address):
        await row.focus()
    async with careline.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Viewer)) == 0
    async with page.expect_response(lambda answer: "parts=" in answer.url and "thread" in answer.url):  # drawn anew
        await row.press("Enter")
        await page.wait_for_url(address)
    assert [one.headers.get("x-ahead") for one in asked if one.url == address] == ["1"]


async def test_what_a_colleague_changed_meanwhile_is_asked_for_again(careline: Running, signed_in: SignIn) -> None:
    marta, ada = await signed_in("marta"), await signed_in("ada")
    await expect(marta.locator("#live[data-state=on]")).to_be_attached()
    second = marta.locator("#rows-next .item > a").nth(1)
    await expect(second).to_be_visible()
    row = marta.locator(f"#{await second.get_attribute('id')}")
    address = str(await row.evaluate("(link) => link.href"))
    async with marta.expect_response(lambda answer: answer.url == address):
        await row.focus()
    found = ITEM.search(address)
    assert found
    await ada.goto(f"/items/{found.group(1)}")
    await ada.locator("#claim").click()
    await expect(ada.locator("[data-send]")).to_be_visible()
    await marta.evaluate(
        "(address) => document.querySelector(`a[href='${new URL(address).pathname}']`).click()", address
    )
    await expect(marta.locator("#conv-head .state-word")).to_contain_text("Ada")
