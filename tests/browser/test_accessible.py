"""Every page, in light, dark and from right to left: axe-core finds nothing, and none is wider than a phone.

A new page is a line in PAGES.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect
from sqlalchemy import select, update

from app.models.agent import Agent
from app.models.item import Item
from app.northwind import company
from tests.browser.conftest import Running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
AXE = Path(__file__).parents[1] / "vendor" / "axe.min.js"
PHONE = 390  # CSS pixels
WIDER = """() => {
    const width = document.scrollingElement.scrollWidth;
    if (width <= innerWidth) return [];
    const out = [...document.querySelectorAll("main *")].filter((one) => one.getBoundingClientRect().width > innerWidth);
    return [`${width} px wide on a phone: ` + out.slice(0, 3).map((one) => one.outerHTML.slice(0, 120)).join(" ")];
}"""
Act = Callable[[Page], Awaitable[None]]


@dataclass(frozen=True)
class Look:
    """How somebody looks at the pages."""

    name: str
    scheme: str = "light"
    language: str = "en"


LOOKS = (Look("light"), Look("dark", scheme="dark"), Look("right to left", language="ar"))


async def _as_it_is(page: Page) -> None:
    await expect(page.locator("main").first).to_be_visible()


def pressed(selector: str) -> Act:
    """Open a layer by its button."""

    async def act(page: Page) -> None:
        await page.locator(selector).first.click()
        await expect(page.locator(":popover-open").first).to_be_visible()

    return act


async def _claimed(page: Page) -> None:
    await page.locator("#claim").click()
    await expect(page.locator("#park")).to_be_visible()


PAGES: tuple[tuple[str, Act], ...] = (
    ("/desk", _as_it_is),
    ("/desk", pressed("[popovertarget=me-menu]")),
    ("/desk", pressed("[popovertarget=state-menu]:visible")),
    ("/desk", pressed("[popovertarget=keys]:visible")),
    ("/desk/offers", _as_it_is),
    ("/desk/parked", _as_it_is),
    ("/desk/claimable", _as_it_is),
    ("/desk/all", _as_it_is),
    ("/desk/queue/1", _as_it_is),
    ("/drafts", _as_it_is),
    ("/items/{item}", _as_it_is),
    ("/items/{item}", _claimed),
    ("/items/{item}", pressed("#close")),
    ("/items/{item}", pressed("#park")),
    ("/items/{item}/customer", _as_it_is),
    ("/customers/{customer}/history", _as_it_is),
    ("/items/{item}/macros", _as_it_is),
    ("/bulk?do=tag&item={item}", _as_it_is),
    ("/notices", _as_it_is),
    ("/board", _as_it_is),
    ("/board/staffing", _as_it_is),
    ("/me", _as_it_is),
    ("/me/keys", _as_it_is),
    ("/presence/end", _as_it_is),
    ("/search?q=tent", _as_it_is),
    ("/admin/feeds", _as_it_is),
    ("/admin/feeds/1", _as_it_is),
    ("/admin/feeds/new", _as_it_is),
    ("/admin/accounts", _as_it_is),
    ("/admin/accounts/1", _as_it_is),
    ("/admin/queues", _as_it_is),
    ("/admin/queues/1", _as_it_is),
    ("/admin/rules", _as_it_is),
    ("/admin/rules/1", _as_it_is),
    ("/admin/agents", _as_it_is),
    ("/admin/agents/1", _as_it_is),
    ("/admin/teams", _as_it_is),
    ("/admin/skills", _as_it_is),
    ("/admin/reasons", _as_it_is),
    ("/admin/rehearsal", _as_it_is),
    ("/saved", _as_it_is),
    ("/macros", _as_it_is),
    ("/views", _as_it_is),
    ("/nothing/here", _as_it_is),
)


async def violations(page: Page) -> list[str]:
    """What axe finds, one line for each kind and place."""
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']}).then(({violations}) => violations)")
    return [
        f"{one['id']}: {node['target']} {json.dumps(node['html'])[:200]}" for one in found for node in one["nodes"][:3]
    ]


async def wide(page: Page) -> list[str]:
    """Whether the page is wider than a phone, and what sticks out of it."""
    before = page.viewport_size or {"width": 1280, "height": 720}
    await page.set_viewport_size({"width": PHONE, "height": 844})
    found: list[str] = await page.evaluate(WIDER)
    await page.set_viewport_size(before)
    return found


async def _sign_in(careline: Running, page: Page, who: str, look: Look) -> None:
    """As somebody who reads this way."""
    email = f"{who}@northwind.example"
    async with careline.sessions.begin() as session:
        await session.execute(update(Agent).where(Agent.email == email).values(language=look.language))
    await page.goto("/login")
    await page.locator("[name=email]").fill(email)
    await page.locator("[name=password]").fill(company.PASSWORD)
    await page.locator("form button[type=submit], form .btn-primary").first.click()
    await page.wait_for_url("**/desk")


async def _settled(careline: Running, page: Page, look: Look) -> dict[str, int]:
    """Sign in as an admin, once there is something to see."""
    await _sign_in(careline, page, "ada", look)
    await expect(page.locator("#rows-next .item").first).to_be_visible()
    async with careline.sessions() as session:
        item = (await session.scalars(select(Item).where(Item.state == "queued").order_by(Item.id).limit(1))).one()
        return {"item": item.id, "customer": item.customer_id or 0}


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
async def test_axe_finds_nothing_on_any_page_and_none_is_wider_than_a_phone(
    careline: Running, chromium: Browser, look: Look
) -> None:
    context = await chromium.new_context(base_url=careline.url, color_scheme=look.scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page = await context.new_page()
    wrong: dict[str, list[str]] = {}
    await page.goto("/login")
    if found := await violations(page):
        wrong["/login"] = found
    ids = await _settled(careline, page, look)
    for path, act in PAGES:
        await page.goto(path.format(**ids))
        await act(page)
        if found := await violations(page) + await wide(page):
            wrong[f"{path} {getattr(act, '__name__', '')}"] = found
    await context.clear_cookies()
    await _sign_in(careline, page, "finn", look)
    await page.locator("#go-ready").click()
    await expect(page.locator("#offer-slot [data-offer]")).to_be_visible()
    if found := await violations(page):
        wrong["an offer"] = found
    await context.close()
    assert wrong == {}, "\n".join(f"{where}\n  " + "\n  ".join(lines) for where, lines in wrong.items())
