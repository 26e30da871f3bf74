"""What many stories do: find one's way, take an item, wait until the page stands again."""

import re

from playwright.async_api import Page, expect
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.agent import Agent
from app.models.reply import Reply, ReplyState
from tests.browser.conftest import Running

ITEM = re.compile(r"/items/\d+")
PARTS = ("rail", "list", "conv-head", "thread", "dock", "context")


def number(page: Page) -> int:
    """The item that is open."""
    found = ITEM.search(page.url)
    assert found, page.url
    return int(found.group().rpartition("/")[2])


async def open_first(page: Page) -> int:
    """Open the first item that waits."""
    await page.locator("#rows-next .item a").first.click()
    await page.wait_for_url(ITEM)
    await expect(page.locator("#claim")).to_be_visible()
    return number(page)


async def in_hand(page: Page) -> None:
    """Wait until the open item is the agent's own, and its composer takes a reply."""
    await expect(page.locator("#park")).to_be_attached()  # on a phone it stands in a menu
    await expect(page.locator("#close-menu [name=disposition]").first).to_be_attached()
    await expect(page.locator("[name=visibility][value=direct]")).to_be_attached()


async def claim_first(page: Page) -> int:
    """Open the first item that waits, and claim it."""
    item = await open_first(page)
    await page.locator("#claim").click()
    await in_hand(page)
    return item


async def drawn_anew(page: Page, parts: tuple[str, ...] = PARTS) -> None:
    """Wait until every part has come from the server again: what was marked in it is gone by then."""
    await page.evaluate(
        "parts => parts.forEach((part) => document.getElementById(part).setAttribute('data-before', ''))", parts
    )
    await page.evaluate("document.dispatchEvent(new CustomEvent('careline:refresh'))")
    await expect(page.locator("[data-before]")).to_have_count(0)


async def sent(careline: Running, text: str) -> int:
    """How many replies with this text the channel has taken."""
    async with careline.sessions() as session:
        asked = select(func.count()).where(Reply.text == text, Reply.state == ReplyState.SENT)
        return await session.scalar(asked) or 0


async def agent_named(session: AsyncSession, who: str) -> Agent:
    """Somebody of Northwind by the beginning of their address."""
    return (await session.scalars(select(Agent).where(Agent.email == f"{who}@northwind.example"))).one()
