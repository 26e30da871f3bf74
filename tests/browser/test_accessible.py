"""Every page, in light, dark and from right to left: axe-core finds nothing, and none is wider than a phone.

A new page is a line in PAGES.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect
from sqlalchemy import update

from app.main import ROUTERS, create_app
from app.models.agent import Agent
from app.settings import Settings
from app.vault import new_key
from tests.browser.conftest import Running, SignIn
from tests.browser.furnished import furnish
from tests.browser.serving import served

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


async def _as_it_is(page: Page) -> None:
    await expect(page.locator("main").first).to_be_visible()


def pressed(selector: str) -> Act:
    """Open a layer by its button."""

    async def act(page: Page) -> None:
        await page.locator(selector).first.click()
        await expect(page.locator(":popover-open").first).to_be_visible()

    act.__name__ = selector
    return act


def keyed(*keys: str, shows: str) -> Act:
    """Open a layer by keys."""

    async def act(page: Page) -> None:
        for key in keys:
            await page.keyboard.press(key)
        await expect(page.locator(shows).first).to_be_visible()

    act.__name__ = " ".join(keys)
    return act


async def _offered(page: Page) -> None:
    await page.locator("#go-ready").click()
    await expect(page.locator("#offer-slot [data-offer]")).to_be_visible()


PAGES: dict[str, tuple[tuple[str, Act], ...]] = {
    "desk": (
        ("/desk", _as_it_is),
        ("/desk", pressed("[popovertarget=me-menu]")),
        ("/desk", pressed("[popovertarget=state-menu]:visible")),
        ("/desk", pressed("[popovertarget=keys]:visible")),
        ("/desk", keyed("b", shows="#notices-newest .opt")),
        ("/desk", keyed("Control+k", shows="#palette-list [role=option]")),
        ("/desk/offers", _as_it_is),
        ("/desk/parked", _as_it_is),
        ("/desk/claimable", _as_it_is),
        ("/desk/all", _as_it_is),
        ("/desk/queue/1", _as_it_is),
        ("/desk/queues", _as_it_is),
        ("/bulk?do=close&list=claimable&item={item}", _as_it_is),
    ),
    "item": (
        ("/items/{item}", _as_it_is),
        ("/items/{held}", _as_it_is),
        ("/items/{held}", pressed("#close")),
        ("/items/{held}", pressed("#park")),
        ("/items/{held}", keyed("Escape", "t", shows="#transfer-targets .opt")),
        ("/items/{held}", keyed("Escape", "e", shows="#consult-targets .opt")),
        ("/items/{held}", keyed("Escape", "/", shows="[id^=saved-list] [role=option]")),
        ("/items/{held}/macros/{macro}", _as_it_is),
        ("/items/{held}/customer", _as_it_is),
        ("/customers/{customer}/history", _as_it_is),
    ),
    "one's own": (
        ("/me", _as_it_is),
        ("/me/keys", _as_it_is),
        ("/drafts", _as_it_is),
        ("/notices", _as_it_is),
        ("/saved", _as_it_is),
        ("/saved/1", _as_it_is),
        ("/macros", _as_it_is),
        ("/macros/{macro}", _as_it_is),
        ("/views", _as_it_is),
        ("/views/{view}", _as_it_is),
        ("/presence/end", _as_it_is),
        ("/search", _as_it_is),
        ("/search?q=parcel", _as_it_is),
        ("/nothing/here", _as_it_is),
    ),
    "board and feeds": (
        ("/board", _as_it_is),
        ("/board/staffing", _as_it_is),
        ("/admin/feeds", _as_it_is),
        ("/admin/listening", _as_it_is),
        ("/admin/feeds/1", _as_it_is),
        ("/admin/feeds/new", _as_it_is),
        ("/admin/feeds/new?channel=mastodon", _as_it_is),
        ("/admin/accounts", _as_it_is),
        ("/admin/accounts/1", _as_it_is),
        ("/admin/accounts/new?channel=mastodon", _as_it_is),
        ("/admin/rehearsal", _as_it_is),
        ("/admin/rehearsal/{rehearsal}", _as_it_is),
    ),
    "setup": (
        ("/admin/queues", _as_it_is),
        ("/admin/queues/1", _as_it_is),
        ("/admin/queues/new", _as_it_is),
        ("/admin/rules", _as_it_is),
        ("/admin/rules/1", _as_it_is),
        ("/admin/rules/new", _as_it_is),
        ("/admin/agents", _as_it_is),
        ("/admin/agents/1", _as_it_is),
        ("/admin/agents/new", _as_it_is),
        ("/admin/teams", _as_it_is),
        ("/admin/teams/1", _as_it_is),
        ("/admin/skills", _as_it_is),
        ("/admin/skills/1", _as_it_is),
        ("/admin/reasons", _as_it_is),
        ("/admin/reasons/1", _as_it_is),
    ),
}
ELSEWHERE = {  # what a browser asks for that is no page of PAGES
    "/login", "/first-run",  # each has a story below
    "/", "/admin",  # they lead on
    "/desk/mine",  # /desk, once somebody holds an item
    "/healthz", "/readyz", "/metrics", "/live", "/presence/alive", "/media/*/*/*", "/media/context/*/*/*", "/avatar/*/*", "/attachments/*", "/hooks/*",  # no HTML
    "/admin/feeds/*/imports/*/rejected.csv", "/oauth/callback/*/client.json",  # nor these
    "/admin/feeds/*/imports/*",  # once a file was given
    "/palette", "/presence", "/items/*/saved", "/items/*/macros", "/items/*/posts", "/items/*/transfer",  # parts of a page
    "/items/*/colleagues", "/items/*/consults", "/items/*/attachments", "/admin/feeds/health", "/admin/feeds/*/health",
    "/bulk/*",  # read after something was done
    "/forms/*", "/forms/*/receipts/*",  # for strangers, without scripts: tests/web/test_form.py
    "/palette/people", "/admin/accounts/*/connect", "/oauth/callback", "/oauth/callback/*",  # a part; the way to a channel and back
}  # fmt: skip


COLOURS = ("color-contrast", "link-in-text-block")  # axe's rules that look at them
STILL = """() => Promise.allSettled(document.getAnimations()
    .filter((one) => Number.isFinite(one.effect.getComputedTiming().endTime)).map((one) => one.finished))"""


async def violations(page: Page, *rules: str) -> list[str]:
    """What axe finds by all rules, or by these; one line for each kind and place."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text(encoding="utf-8"))
    options = {"resultTypes": ["violations"], **({"runOnly": {"type": "rule", "values": rules}} if rules else {})}
    found = await page.evaluate("options => axe.run(document, options).then(({violations}) => violations)", options)
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


async def looked_at(page: Page, where: str, *, dark: bool = True) -> list[str]:
    """What axe finds in light and, on the same page as it stands open, in dark, which differs in nothing but colours."""
    found = [f"{where}: {one}" for one in await violations(page)]
    if dark:
        await page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        await page.evaluate(STILL)  # a button's colours change over a moment
        found += [f"{where}, dark: {one}" for one in await violations(page, *COLOURS)]
        await page.emulate_media(color_scheme="light", reduced_motion="reduce")
    return found + [f"{where}: {one}" for one in await wide(page)]


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("part", PAGES)
async def test_axe_finds_nothing_on_any_page_and_none_is_wider_than_a_phone(
    careline: Running, signed_in: SignIn, part: str, language: str
) -> None:
    ids = asdict(await furnish(careline))
    async with careline.sessions.begin() as session:
        await session.execute(update(Agent).values(language=language))
    page = await signed_in("ada", reduced_motion="reduce")
    wrong: list[str] = []
    for path, act in PAGES[part]:
        await page.goto(path.format(**ids))
        await act(page)
        wrong += await looked_at(page, f"{path} {act.__name__}", dark=language == "en")
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize("language", ["en", "ar"])
async def test_axe_finds_nothing_on_an_offer(careline: Running, signed_in: SignIn, language: str) -> None:
    async with careline.sessions.begin() as session:
        await session.execute(update(Agent).values(language=language))
    page = await signed_in("finn", reduced_motion="reduce")
    await _offered(page)
    wrong = await looked_at(page, "an offer", dark=language == "en")
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize("language", ["en", "ar"])
async def test_axe_finds_nothing_before_anybody_has_signed_in(
    chromium: Browser, fresh_database: str, language: str
) -> None:
    settings = Settings.model_validate({"DATABASE_URL": fresh_database, "key": new_key()})
    app = create_app(settings)
    wrong: list[str] = []
    async with served(app) as url:
        context = await chromium.new_context(base_url=url, locale=language, reduced_motion="reduce")
        page = await context.new_page()
        for path in ("/first-run", "/login"):
            await page.goto(path)
            await expect(page.locator("html")).to_have_attribute("dir", "rtl" if language == "ar" else "ltr")
            wrong += await looked_at(page, path, dark=language == "en")
            await page.locator("[name=email]").fill("nobody@northwind.example")
            await page.locator("[name=password]").fill("not the password")
            await page.locator("form").first.evaluate("form => { form.noValidate = true; form.requestSubmit(); }")
            await expect(page.locator("[aria-invalid=true]").first).to_be_visible()
            wrong += await looked_at(page, f"{path}, refused", dark=language == "en")
        await context.close()
        app.state.hub.stop()
    assert wrong == [], "\n".join(wrong)


def asked_for(routes: Any, prefix: str = "") -> Iterator[str]:
    """Every path that answers GET, with a star for each number or name in it."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from asked_for(inner.routes, prefix + route.include_context.prefix)
        elif "GET" in (getattr(route, "methods", None) or ()):
            yield re.sub(r"\{\w+\}", "*", prefix + route.path)


def test_no_page_is_forgotten() -> None:
    there = {path for router in ROUTERS for path in asked_for(router.routes)}
    visited = {re.sub(r"\{\w+\}|\b1\b", "*", path.partition("?")[0]) for part in PAGES.values() for path, _ in part}
    assert there - visited - ELSEWHERE == set()
    assert ELSEWHERE - there == set()
