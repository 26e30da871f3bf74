"""Offer: from ready to the offer on screen, with 200 agents at their desks and 10,000 items waiting.

`careline serve` and `careline route` in processes of their own. Each of 200 simulated agents holds the page's stream and
asks for its parts as static/js/live.js does (bench/crowd.py); every now and then one becomes ready, is offered an item,
accepts, closes it and is away again. Measured: from sending `ready` to the answer that holds the offer; and in Chromium,
among them, from the press of Ready to the offer in the page. The ratio is the worse 95th percentile to 250 ms: at most 1.
"""

import asyncio
import contextlib
import gc
import os
import random
import secrets
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpx
from playwright.async_api import Page

from app.db import create_engine, sessionmaker
from app.web.edge import cookie_name
from bench.browser import Ground, chromium, prepared, serving, window
from bench.browser import Size as House
from bench.crowd import Desk
from bench.harness import Result, connect, percentile, spread

GOAL_MS = 250.0
PATIENCE = 30.0  # seconds, after which an agent is away again
AWAY = "UPDATE presence SET state = 'not_ready', reason = 'break'"
LOOK = """
(patience) => new Promise((done, fail) => {
  const begin = performance.now();
  const look = () => {
    if (document.querySelector("[data-offer]")) return done(performance.now() - begin);
    if (performance.now() - begin > patience * 1000) return fail(new Error("No offer came."));
    requestAnimationFrame(look);
  };
  document.getElementById("go-ready").click();
  look();
})
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    items: int = 10_000
    agents: int = 200
    rest: float = 120.0  # seconds between two items of an agent, on average
    seconds: float = 60.0
    warm: float = 10.0  # seconds before, in which everybody comes and the router begins to lead
    presses: int = 20  # in Chromium


TINY = Size(items=60, agents=3, rest=0.5, seconds=3.0, warm=0.5, presses=2)


@dataclass(slots=True, eq=False)
class Asked(Desk):
    """A simulated agent who waits for offers."""

    offered: asyncio.Event = field(default_factory=asyncio.Event)
    offer: int = 0
    waits: list[float] = field(default_factory=list)  # milliseconds from ready to the offer

    def seen(self, page: str) -> None:
        """Look for an offer in an answer."""
        _before, found, after = page.partition('data-offer="')
        if found:
            self.offer = int(after.partition('"')[0])
            self.offered.set()

    async def serve(self, size: Size) -> None:
        """Be ready for one item after the other, with rests between them."""
        while True:
            await asyncio.sleep(random.uniform(0.2, 1.8) * size.rest)
            self.offered.clear()
            begin = time.perf_counter()
            await self.send("/presence", state="ready")
            with contextlib.suppress(TimeoutError):  # counted as what it took
                await asyncio.wait_for(self.offered.wait(), PATIENCE)
            self.waits.append((time.perf_counter() - begin) * 1000)
            await finish(self, self.offer)


async def finish(desk: Desk, item: int) -> None:
    """Take the offer, close it, and be away: what others do meanwhile is not measured."""
    await desk.send(f"/items/{item}/acceptance")
    await desk.send("/presence", state="not_ready:break")
    await desk.send(f"/items/{item}/closure", disposition="answered")


async def measure(url: str, size: Size | None = None) -> Result:
    """Fill the database at `url` (migrated and empty) and measure."""
    size = size or Size()
    engine = create_engine(url, pool_size=3)
    try:
        ground = await prepared(url, sessionmaker(engine), House(items=size.items, crowd=size.agents, held=0))
        async with await connect(url) as raw:
            await raw.execute(AWAY)
        async with serving(ground), _routing(ground), chromium() as browser:
            page = await (await window(browser, ground)).new_page()
            await page.goto(f"{ground.settings.base_url}/desk")
            async with _desks(ground, size) as desks:
                await asyncio.sleep(size.warm)
                for desk in desks:
                    desk.waits.clear()
                begin = time.monotonic()
                pressed = await _presses(page, ground, size)
                await asyncio.sleep(max(0.0, size.seconds - (time.monotonic() - begin)))
                while not any(desk.waits for desk in desks):  # noqa: ASYNC110 - a machine busy elsewhere
                    await asyncio.sleep(0.1)
                waits = [one for desk in desks for one in desk.waits]
    finally:
        await engine.dispose()
    return _told(waits, pressed)


def _told(waits: list[float], pressed: list[float]) -> Result:
    simulated, screen = percentile(waits, 0.95), percentile(pressed, 0.95)
    print(f"offer: simulated agents p95 {simulated:.0f} ms, {spread(waits, 0)}")
    print(f"offer: Chromium p95 {screen:.0f} ms, {spread(pressed, 0)}")
    return Result("offer", max(simulated, screen) / GOAL_MS, 1.0, at_least=False)


@asynccontextmanager
async def _routing(ground: Ground) -> AsyncIterator[None]:
    """`careline route`, as an operator runs it."""
    with tempfile.TemporaryDirectory(prefix="careline-bench-") as folder:
        environment = {**os.environ, "DATABASE_URL": ground.url, "CARELINE_DATA_DIR": folder}
        environment |= {"CARELINE_LOG_LEVEL": "ERROR", "CARELINE_KEY": b64encode(secrets.token_bytes(32)).decode()}
        router = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app.cli", "route"), env=environment, stdout=asyncio.subprocess.DEVNULL
        )
        try:
            yield
        finally:
            if router.returncode is None:
                router.terminate()
            await router.wait()


@asynccontextmanager
async def _desks(ground: Ground, size: Size) -> AsyncIterator[list[Asked]]:
    """Everybody but the one who sits at Chromium, at their desks."""
    # The server shuts what is silent for 5 s: let go of it before.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=2.0)
    desks = []
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        tasks = []
        for agent_id, cookie, csrf in ground.signed_in[1:]:
            http = httpx.AsyncClient(
                base_url=ground.settings.base_url,
                cookies={cookie_name(ground.settings): cookie},
                limits=limits,
                timeout=60,
            )
            await stack.enter_async_context(http)
            desk, here = Asked(http, agent_id, csrf), asyncio.Event()
            tasks += [group.create_task(one) for one in (desk.listen(here), desk.look(), desk.serve(size))]
            await here.wait()
            desks.append(desk)
        gc.freeze()  # our own pauses are not the server's
        yield desks
        for task in tasks:
            task.cancel()


async def _presses(page: Page, ground: Ground, size: Size) -> list[float]:
    """Milliseconds from the press of Ready to the offer in the page."""
    _agent, cookie, csrf = ground.signed_in[0]
    found = []
    async with httpx.AsyncClient(
        base_url=ground.settings.base_url, cookies={cookie_name(ground.settings): cookie}, timeout=60
    ) as http:
        desk = Desk(http, ground.signed_in[0][0], csrf)
        for _ in range(size.presses):
            found.append(await page.evaluate(LOOK, PATIENCE))
            item = await page.locator("[data-offer]").first.get_attribute("data-offer")
            await finish(desk, int(item or 0))
            await page.goto(f"{ground.settings.base_url}/desk")
            await page.wait_for_selector("#live[data-state=on]", state="attached")
            await page.wait_for_timeout(min(1000.0, size.rest * 1000))  # the page has settled
    return found
