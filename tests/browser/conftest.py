"""All of Careline in this process, on a free port, with the demo's company and network; and a real Chromium.

Everything runs in one event loop of the browser stories: web, worker, router, the simulated network and Playwright's
client. Chromium stays open from story to story; each has a Careline, a database and windows of its own.
"""

import asyncio
import secrets
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from fastapi import FastAPI
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.db import create_engine, sessionmaker
from app.demo import server
from app.main import create_app
from app.models.agent import Agent
from app.models.agent import SignIn as SignInRow
from app.models.feed import Feed
from app.northwind import company
from app.settings import Settings
from app.vault import Vault, new_key
from app.web.edge import cookie_name, digest
from app.workers.poll import poll_feed
from app.workers.router import route
from app.workers.runtime import runtime
from app.workers.work import work
from tests import database
from tests.browser.serving import served
from tests.browser.townsquare import TOKEN, Townsquare, townsquare
from tests.browser.wire import Wire, wire

SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HARMLESS = (
    "Failed to load resource",  # an error answer that a test asks for; its page is looked at
    "htmx: htmx:error: Failed to fetch",  # a live part that was under way when the window went elsewhere
)
KEY = new_key()  # what the company's credentials are sealed with, story after story
expect.set_options(timeout=15_000)  # the windows share the machine with everything else


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One loop for all stories: Chromium lives in it."""
    for item in items:
        if item.path.parent == Path(__file__).parent and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@dataclass(frozen=True)
class Running:
    """Careline, up and running."""

    url: str
    network: Townsquare
    wire: Wire  # between the two
    sessions: async_sessionmaker[AsyncSession]
    settings: Settings
    app: FastAPI

    async def hear(self) -> None:
        """Let Careline ask the network at once what is new."""
        async with self.sessions.begin() as session:
            await session.execute(update(Feed).values(next_poll_at=datetime.now(UTC)))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def northwind(_server_url: str) -> AsyncIterator[str]:
    """The name of a database in which Northwind Outfitters is settled, for stories to begin with a copy."""
    with database.cloned(_server_url) as url:
        engine = create_engine(url)
        vault = Vault.load(Settings.model_validate({"key": KEY}))
        await company.settle(sessionmaker(engine), vault, server.Running("http://townsquare.invalid", TOKEN))
        await engine.dispose()
        yield database.name_of(url)


@pytest_asyncio.fixture(loop_scope="session")
async def careline(_server_url: str, northwind: str, tmp_path: Path) -> AsyncIterator[Running]:
    """Careline with Northwind Outfitters, whose customers have written what stands in `townsquare.WRITTEN`."""
    listening = socket.create_server(("127.0.0.1", 0))
    with database.cloned(_server_url, northwind) as url:
        settings = Settings.model_validate(
            {
                "DATABASE_URL": url,
                "PORT": listening.getsockname()[1],
                "data_dir": tmp_path,
                "key": KEY,
                "allow_hosts": server.HOST,
                "company": "Northwind Outfitters",
            }
        )
        engine = create_engine(url)
        sessions = sessionmaker(engine)
        async with townsquare() as network, wire(network.url) as between:
            await company.settle(sessions, Vault.load(settings), server.Running(between.url, network.token))
            await _heard(settings, sessions)
            app = create_app(settings)
            stop = asyncio.Event()
            async with served(app, listening):
                tasks = [asyncio.create_task(work(settings, stop)), asyncio.create_task(route(settings, stop))]
                yield Running(settings.base_url, network, between, sessions, settings, app)
                stop.set()
                app.state.hub.stop()
                await asyncio.gather(*tasks)
        await engine.dispose()


async def _heard(settings: Settings, sessions: async_sessionmaker[AsyncSession]) -> None:
    """Read what the customers have written, as a worker does."""
    async with sessions() as session:
        feed = (await session.scalars(select(Feed.id))).one()
    async with runtime(settings, "careline work") as run:
        await poll_feed(run, feed)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """A headless Chromium from the machine's own packages."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.fail("There is no Chromium on this machine. Install it (Debian: apt-get install chromium).")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=SWITCHES)
        yield browser
        await browser.close()


SignIn = Callable[..., Awaitable[Page]]


@pytest_asyncio.fixture(loop_scope="session")
async def signed_in(careline: Running, chromium: Browser) -> AsyncIterator[SignIn]:
    """Open a window of its own for somebody, at the desk: `await signed_in("finn", java_script_enabled=False)`.

    A script error or a refused script, style or picture in any window fails the test at its end.
    """
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(HARMLESS):
            wrong.append(message.text)

    async def open_window(who: str, **options: object) -> Page:
        context = await chromium.new_context(base_url=careline.url, **options)  # type: ignore[arg-type]
        contexts.append(context)
        name = cookie_name(careline.settings)
        await context.add_cookies([{"name": name, "value": await cookie_of(careline, who), "url": careline.url}])
        page = await context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", listen)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        await page.goto("/desk")
        return page

    yield open_window
    for context in contexts:
        await context.close()
    assert wrong == []


async def cookie_of(careline: Running, who: str) -> str:
    """Sign somebody in without the form, which has stories of its own; the cookie's value."""
    cookie = secrets.token_urlsafe(32)
    async with careline.sessions.begin() as session:
        agent = select(Agent.id).where(Agent.email == f"{who}@northwind.example")
        lasts = datetime.now(UTC) + timedelta(hours=careline.settings.session_hours)
        row = SignInRow(digest=digest(cookie), csrf=secrets.token_urlsafe(24), expires_at=lasts)
        row.agent_id = (await session.scalars(agent)).one()
        session.add(row)
    return cookie
