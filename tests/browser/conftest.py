"""All of Careline in this process, on a free port, with the demo's company and network; and a real Chromium.

Everything runs in the test's own event loop: web, worker, router, the simulated network and Playwright's client.
"""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.db import create_engine, sessionmaker
from app.demo import server
from app.demo.world import Pace
from app.main import create_app
from app.northwind import company
from app.run import Server
from app.settings import Settings
from app.vault import Vault
from app.workers.router import route
from app.workers.work import work
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


@dataclass(frozen=True)
class Running:
    """Careline, up and running."""

    url: str
    network: server.Running
    wire: Wire  # between the two
    sessions: async_sessionmaker[AsyncSession]
    settings: Settings
    app: FastAPI


@pytest.fixture
async def careline(fresh_database: str, tmp_path: Path) -> AsyncIterator[Running]:
    """Careline with Northwind Outfitters, whose customers begin to write at once."""
    listening = socket.create_server(("127.0.0.1", 0))
    settings = Settings.model_validate(
        {
            "DATABASE_URL": fresh_database,
            "PORT": listening.getsockname()[1],
            "data_dir": tmp_path,
            "allow_hosts": server.HOST,
            "company": "Northwind Outfitters",
        }
    )
    engine = create_engine(fresh_database)
    sessions = sessionmaker(engine)
    vault = Vault.load(settings, create=True)
    async with server.running(tmp_path / "network", Pace(seconds=3, crowd=12)) as network, wire(network.url) as between:
        await company.settle(sessions, vault, server.Running(between.url, network.token))
        app = create_app(settings)
        web = Server(uvicorn.Config(app, log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=5))
        stop = asyncio.Event()
        tasks = [
            asyncio.create_task(web.serve(sockets=[listening])),
            asyncio.create_task(work(settings, stop)),
            asyncio.create_task(route(settings, stop)),
        ]
        yield Running(settings.base_url, network, between, sessions, settings, app)
        stop.set()
        app.state.hub.stop()
        web.should_exit = True
        await asyncio.gather(*tasks)
    await engine.dispose()


@pytest.fixture
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


@pytest.fixture
async def signed_in(careline: Running, chromium: Browser) -> AsyncIterator[SignIn]:
    """Open a window of its own for somebody: `await signed_in("finn", java_script_enabled=False)`.

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
        page = await context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", listen)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        await page.goto("/login")
        await page.get_by_label("Work email").fill(f"{who}@northwind.example")
        await page.get_by_label("Password").fill(company.PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url("**/desk")
        return page

    yield open_window
    for context in contexts:
        await context.close()
    assert wrong == []
