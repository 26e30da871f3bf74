"""Presence in a real browser: wrap-up by keys, the end of a shift with and without JavaScript, a laptop that is shut."""

import asyncio
import re
from datetime import datetime, timedelta

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import func, select, update

from app.models.agent import Agent, Presence, PresenceState
from app.models.item import Item, State
from app.models.queue import Queue
from tests.browser.conftest import Running, SignIn
from tests.browser.steps import ITEM, claim_first, in_hand

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
PRESSED = re.compile("true")


async def set_queues(careline: Running, **values: int) -> None:
    async with careline.sessions.begin() as session:
        await session.execute(update(Queue).values(values))


async def accept_an_offer(page: Page) -> None:
    """Who is ready is offered what waits."""
    await page.locator("#accept").click()
    await page.wait_for_url(ITEM)
    await in_hand(page)


async def close_it(page: Page) -> None:
    await page.locator("#close").click()
    await page.locator("#close-menu").get_by_role("button", name="Answered").click()


async def held(careline: Running, *states: State) -> int:
    async with careline.sessions() as session:
        return await session.scalar(select(func.count()).select_from(Item).where(Item.state.in_(states))) or 0


async def presence_of_finn(careline: Running) -> Presence:
    async with careline.sessions() as session:
        finn = select(Presence).join(Agent, Agent.id == Presence.agent_id).where(Agent.email.startswith("finn@"))
        return (await session.scalars(finn)).one()


async def test_wrap_up_is_shown_extended_and_ended_by_keys(careline: Running, signed_in: SignIn) -> None:
    await set_queues(careline, wrap_up=100, wrap_up_most=120)
    page = await signed_in("finn")
    await page.keyboard.press("Shift+R")
    await expect(page.locator("#go-ready")).to_have_attribute("aria-pressed", PRESSED)
    await accept_an_offer(page)
    await close_it(page)
    switch = page.locator("#wrap-up")
    await expect(switch).to_have_attribute("aria-pressed", PRESSED)
    await expect(switch.locator("time")).to_have_text(re.compile(r"1:[34]\d"))
    await page.keyboard.press("Shift+W")
    await expect(switch.locator("time")).to_have_text(re.compile(r"[12]:[05]\d"))
    await expect(switch).not_to_contain_text("+30 s")
    await page.keyboard.press("Shift+R")
    await expect(page.locator("#go-ready")).to_have_attribute("aria-pressed", PRESSED)
    await page.keyboard.press("Shift+W")
    await expect(switch).to_have_attribute("aria-pressed", PRESSED)


async def test_wrap_up_ends_by_itself_before_the_agent_s_eyes(careline: Running, signed_in: SignIn) -> None:
    await set_queues(careline, wrap_up=4, wrap_up_most=4)
    page = await signed_in("finn")
    await page.keyboard.press("Shift+R")
    await expect(page.locator("#go-ready")).to_have_attribute("aria-pressed", PRESSED)
    await accept_an_offer(page)
    await close_it(page)
    await expect(page.locator("#wrap-up")).to_have_attribute("aria-pressed", PRESSED)
    await expect(page.locator("#go-ready")).to_have_attribute("aria-pressed", PRESSED)


@pytest.mark.parametrize("script", [True, False])
async def test_a_shift_that_ends_with_work_in_hand_asks_and_keeps_it(
    careline: Running, signed_in: SignIn, script: bool
) -> None:
    page = await signed_in("finn", java_script_enabled=script)
    await claim_first(page)
    await page.get_by_role("button", name=re.compile("Offline|Not ready")).first.click()  # a popover needs no script
    await page.locator("#state-menu button[value=offline]").click()
    await page.wait_for_url("**/presence/end")
    await expect(page.get_by_role("heading", name="You hold 1 item")).to_be_visible()
    await page.get_by_role("link", name="Stay").click()
    await page.wait_for_url("**/desk")
    assert await held(careline, State.ACTIVE) == 1
    await page.goto("/presence/end")
    await page.get_by_label("Keep it, parked until").check()
    await page.get_by_label("Parked until", exact=True).select_option(label="Next Monday")
    await page.get_by_role("button", name="End the shift").click()
    await page.wait_for_url("**/desk")
    assert (await held(careline, State.ACTIVE), await held(careline, State.PARKED)) == (0, 1)
    assert (await presence_of_finn(careline)).state == PresenceState.OFFLINE


async def test_an_open_desk_keeps_its_agent_and_a_laptop_that_is_shut_does_not(
    careline: Running, signed_in: SignIn
) -> None:
    page = await signed_in("finn")
    await page.keyboard.press("Shift+R")
    await expect(page.locator("#go-ready")).to_have_attribute("aria-pressed", PRESSED)
    await expect(page.locator("#live")).to_have_attribute("data-state", "on")
    await _silent(careline, 40)
    async with asyncio.timeout(40):
        while (await presence_of_finn(careline)).seen_at < await _ago(careline, 20):  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.5)
    await page.context.set_offline(True)
    await _silent(careline, 70)
    async with asyncio.timeout(10):
        while (await presence_of_finn(careline)).state != PresenceState.OFFLINE:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.2)


async def _silent(careline: Running, seconds: int) -> None:
    async with careline.sessions.begin() as session:
        await session.execute(update(Presence).values(seen_at=func.now() - timedelta(seconds=seconds)))


async def _ago(careline: Running, seconds: int) -> datetime:
    async with careline.sessions() as session:
        return (await session.scalars(select(func.now() - timedelta(seconds=seconds)))).one()
