"""Browser: the desk as an agent meets it, in Chromium, among 200 colleagues who work, with 10,000 open items.

The server is `careline serve` in a process of its own, the colleagues are another (bench/crowd.py). Measured: from a key
to the first paint of the next item; from a customer's new post (its commit) to the screen of who holds the item; the
largest contentful paint and the layout shift of a cold desk. The ratio is the worst of them to its budget: at most 1.
"""

import asyncio
import json
import os
import secrets
import shutil
import socket
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from playwright.async_api import Browser, BrowserContext, async_playwright
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.connectors.base import IncomingAuthor, IncomingPost
from app.db import create_engine, sessionmaker
from app.flow.claim import claim
from app.flow.ingest import ingest
from app.models.agent import Agent, SignIn
from app.models.feed import Feed
from app.models.item import Item, State
from app.models.post import Conversation
from app.settings import Settings
from app.web.edge import cookie_name, digest
from bench.harness import Company, Result, connect, make_company, percentile, settle, spread
from bench.seed import queue_items

ELSEWHERE = ("nice", "-n", "5")  # a person's browser does not share its processors with the server and the colleagues
READ = 1.0  # seconds for which somebody looks at an item before the next key
BUDGETS = {"key": 100.0, "event": 1000.0, "lcp": 1000.0, "cls": 0.05}  # milliseconds, and the share of the window
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# The moment of a key, and the first frame that shows another item than before it.
WATCH = """
addEventListener("keydown", (event) => {
  const before = document.getElementById("desk")?.dataset.item, begin = performance.now();
  const look = () => {
    if (document.getElementById("desk")?.dataset.item === before) return requestAnimationFrame(look);
    const channel = new MessageChannel();
    channel.port1.onmessage = () => { window.painted = performance.now() - begin; };
    channel.port2.postMessage(0);
  };
  window.painted = null;
  if (event.key === "Enter" || event.key === "j" || event.key === "k") requestAnimationFrame(look);
}, true);
window.shift = 0; window.lcp = 0;
new PerformanceObserver((list) => { for (const one of list.getEntries()) if (!one.hadRecentInput) window.shift += one.value; }).observe({ type: "layout-shift", buffered: true });
new PerformanceObserver((list) => { for (const one of list.getEntries()) window.lcp = one.startTime; }).observe({ type: "largest-contentful-paint", buffered: true });
"""


PAINTED = """
new Promise((done, fail) => {
  const begin = performance.now();
  const look = () => {
    if (window.painted !== null) return done(window.painted);
    if (performance.now() - begin > 20_000) return fail(new Error("No other item came."));
    setTimeout(look, 10);
  };
  look();
})
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    items: int = 10_000
    crowd: int = 200
    rest: float = 120.0  # seconds between two items of a colleague, on average
    held: int = 12
    keys: int = 60
    events: int = 40
    loads: int = 7
    warm: float = 10.0  # seconds in which the crowd gets going
    stay: float = 3.0  # seconds on a cold desk, while its layout may shift


TINY = Size(items=60, crowd=2, rest=5, held=3, keys=3, events=2, loads=1, warm=0.1, stay=0.5)


@dataclass(frozen=True, slots=True)
class Ground:
    """Where it is measured."""

    url: str
    settings: Settings
    sessions: async_sessionmaker[AsyncSession]
    company: Company
    signed_in: list[tuple[int, str, str]]  # agent id, cookie, csrf; the first one looks


async def measure(url: str, size: Size | None = None) -> Result:
    """Fill the database at `url` (migrated and empty) and measure."""
    size = size or Size()
    engine = create_engine(url, pool_size=3)
    try:
        ground = await prepared(url, sessionmaker(engine), size)
        async with serving(ground, *ELSEWHERE), _crowd(ground, size) as parts, chromium() as driven:
            await asyncio.sleep(size.warm)
            context = await window(driven, ground)
            figures = {
                "key": await _keys(context, ground, size),
                "event": await _events(context, ground, size),
                **await _loads(driven, ground, size),
            }
    finally:
        await engine.dispose()
    for name, values in figures.items():
        print(f"browser: {name} p95 {percentile(values, 0.95):.3g}, {spread(values, 3)}; budget {BUDGETS[name]:g}")
    print(f"browser: the crowd asked for parts {parts['parts']} times, p95 {parts['p95'] or 0:.0f} ms")
    worst = max(percentile(values, 0.95) / BUDGETS[name] for name, values in figures.items())
    return Result("browser", worst, 1.0, at_least=False)


async def prepared(url: str, sessions: async_sessionmaker[AsyncSession], size: Size) -> Ground:
    """Items that wait, some held by who looks, and everybody signed in."""
    async with sessions() as session:
        company = await make_company(session, agents=size.crowd + 1)
    async with await connect(url) as raw:
        await queue_items(raw, company, size.items)
    signed_in = [(agent_id, secrets.token_urlsafe(32), secrets.token_urlsafe(16)) for agent_id in company.agent_ids]
    until = datetime.now(UTC) + timedelta(hours=2)
    async with sessions.begin() as session:
        session.add_all(SignIn(digest=digest(c), csrf=t, agent_id=a, expires_at=until) for a, c, t in signed_in)
        me = await session.get_one(Agent, company.agent_ids[0])
        head = select(Item.id).where(Item.queue_id == company.queue_ids[0], Item.state == State.QUEUED)
        for item_id in await session.scalars(head.order_by(Item.rank).limit(size.held)):
            await claim(session, me, item_id)
    await settle(url)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = Settings.model_validate({"DATABASE_URL": url, "PORT": port})
    return Ground(url, settings, sessions, company, signed_in)


@asynccontextmanager
async def serving(ground: Ground, *before: str) -> AsyncIterator[None]:
    """`careline serve`, as an operator runs it; `before` goes before the command."""
    with tempfile.TemporaryDirectory(prefix="careline-bench-") as folder:
        environment = {**os.environ, "DATABASE_URL": ground.url, "PORT": str(ground.settings.port)}
        environment |= {"CARELINE_DATA_DIR": folder, "CARELINE_LOG_LEVEL": "ERROR"}
        environment["CARELINE_KEY"] = b64encode(secrets.token_bytes(32)).decode()
        server = await asyncio.create_subprocess_exec(
            *(*before, sys.executable, "-m", "app.cli", "serve"), env=environment, stdout=asyncio.subprocess.DEVNULL
        )
        try:
            await _ready(ground.settings.base_url)
            yield
        finally:
            if server.returncode is None:
                server.terminate()
            await server.wait()


async def _ready(url: str) -> None:
    async with asyncio.timeout(60), httpx.AsyncClient(base_url=url) as http:
        while True:
            try:
                if (await http.get("/readyz")).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.1)


@asynccontextmanager
async def _crowd(ground: Ground, size: Size) -> AsyncIterator[dict[str, Any]]:
    """The colleagues; afterwards the dictionary holds what they tell."""
    crowd = await asyncio.create_subprocess_exec(
        *(*ELSEWHERE, sys.executable, "-m", "bench.crowd"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    if crowd.stdin is None or crowd.stdout is None:
        raise RuntimeError("The crowd has no pipes.")
    told = {
        "url": ground.settings.base_url,
        "cookie_name": cookie_name(ground.settings),
        "agents": ground.signed_in[1:],
        "queues": ground.company.queue_ids,
        "rest": size.rest,
    }
    crowd.stdin.write(json.dumps(told).encode() + b"\n")
    parts: dict[str, Any] = {}
    try:
        if await crowd.stdout.readline() != b"here\n":
            raise RuntimeError("The crowd did not come.")
        yield parts
    finally:
        if crowd.returncode is None:
            crowd.terminate()
        parts |= json.loads(await crowd.stdout.readline() or "{}")
        await crowd.wait()


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A real one, without a window."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=SWITCHES)
        try:
            yield browser
        finally:
            await browser.close()


async def window(chromium: Browser, ground: Ground) -> BrowserContext:
    """A window of the agent who looks, signed in."""
    context = await chromium.new_context(viewport={"width": 1440, "height": 900})
    name, (_agent, cookie, _csrf) = cookie_name(ground.settings), ground.signed_in[0]
    await context.add_cookies([{"name": name, "value": cookie, "url": ground.settings.base_url}])
    await context.add_init_script(WATCH)
    return context


async def _keys(context: BrowserContext, ground: Ground, size: Size) -> list[float]:
    """Milliseconds from `J`, `Enter` to the first paint of the item that it opens."""
    page = await context.new_page()
    await page.goto(f"{ground.settings.base_url}/desk")
    await page.locator("#list .item > a").first.click()
    await page.wait_for_selector("#desk[data-item]")
    found = []
    for number in range(size.keys):
        await page.locator("#list .item[aria-current] > a").focus()
        await page.keyboard.press("j" if number // (size.held - 1) % 2 == 0 else "k")
        await page.wait_for_timeout(150)  # somebody looks where they are
        await page.keyboard.press("Enter")
        found.append(await page.evaluate(PAINTED))
        await page.wait_for_timeout(READ * 1000)
    await page.close()
    return found


async def _events(context: BrowserContext, ground: Ground, size: Size) -> list[float]:
    """Milliseconds from the commit of a customer's post to the screen of who has their item open."""
    async with ground.sessions() as session:
        held = select(Item).where(Item.agent_id == ground.signed_in[0][0], Item.state == State.ACTIVE).limit(1)
        item = (await session.scalars(held)).one()
        feed = await session.get_one(Feed, ground.company.feed_id)
        room = await session.get_one(Conversation, item.conversation_id)
    page = await context.new_page()
    await page.goto(f"{ground.settings.base_url}/items/{item.id}")
    await page.wait_for_selector("#live[data-state=on]", state="attached")
    found = []
    for number in range(size.events):
        await _write(ground, feed, room.external_id, f"Are you there? {number}.")
        begin = time.perf_counter()
        await page.get_by_text(f"Are you there? {number}.").first.wait_for()
        found.append((time.perf_counter() - begin) * 1000)
        await page.wait_for_timeout(300)
    await page.close()
    return found


async def _write(ground: Ground, feed: Feed, thread_id: str, text: str) -> None:
    number = secrets.token_hex(8)
    post = IncomingPost(
        external_id=number,
        thread_id=thread_id,
        author=IncomingAuthor("seeded-1", "customer1"),
        text=text,
        language="en",
        posted_at=datetime.now(UTC),
    )
    async with ground.sessions.begin() as session:
        await ingest(session, feed, [post])


async def _loads(chromium: Browser, ground: Ground, size: Size) -> dict[str, list[float]]:
    """Cold desks: milliseconds to the largest paint, and how much the layout shifts."""
    lcp, cls = [], []
    for _ in range(size.loads):
        context = await window(chromium, ground)
        page = await context.new_page()
        await page.goto(f"{ground.settings.base_url}/desk")
        await page.wait_for_timeout(size.stay * 1000)
        lcp.append(await page.evaluate("window.lcp"))
        cls.append(await page.evaluate("window.shift"))
        await context.close()
    return {"lcp": lcp, "cls": cls}
