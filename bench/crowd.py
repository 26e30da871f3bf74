"""A crowd of desks: simulated agents who hold the page's stream, ask for its parts, and work.

`python -m bench.crowd` reads {"url", "cookie_name", "agents": [[id, cookie, csrf], ...], "queues": [...], "rest": seconds}
from its standard input, says `here` when every stream stands, works until it is stopped, and then tells in one line
of JSON how long the parts took. Each desk follows static/js/live.js: parts of its own at once, lists and counts as
seldom as the server's pace says, a sign of life when they asked for nothing for a while.
"""

import asyncio
import json
import random
import re
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from bench.harness import percentile

ALIVE = 25.0  # seconds without a request
SOON = 0.3  # seconds from what is about oneself to a look at lists and counts, in a crowd
PACE = 2.0  # seconds between two looks at lists and counts while few look
GATHERED = 0.06  # seconds from a message to the request
MINE = ("me", "offer", "bar")
SLOW = ("rail", "list", "tabs")
ITEM = ("head", "thread", "dock", "context")
OPENS = re.compile(r'id="open-(\d+)"')
KEY = re.compile(r'name="key" value="([0-9a-f-]{36})"')


@dataclass(slots=True, eq=False)
class Desk:
    """One simulated agent."""

    http: httpx.AsyncClient
    agent_id: int
    csrf: str
    item: int | None = None
    pace: float = PACE
    wanted: set[str] = field(default_factory=set)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    slow_at: float = 0.0
    alive_at: float = 0.0
    hurry: bool = False  # what is about the agent themselves does not wait
    took: list[float] = field(default_factory=list)

    async def listen(self, here: asyncio.Event) -> None:
        """Hold the stream."""
        async with self.http.stream("GET", "/live", timeout=None) as stream:
            async for line in stream.aiter_lines():
                here.set()
                if not line.startswith("data: "):
                    continue
                if time.monotonic() - self.alive_at > ALIVE:
                    self.alive_at = time.monotonic()
                    await self.http.get("/presence/alive")
                self.hear(json.loads(line.removeprefix("data: ")))

    def hear(self, message: Any) -> None:
        """Want what a message touches."""
        if not isinstance(message, dict):
            return
        self.pace = message.get("pace", self.pace)
        mine = "agents" in message and (message["agents"] is None or self.agent_id in message["agents"])
        if mine or message.get("all"):
            self.wanted.update(MINE)
        if not self.wanted & set(SLOW):
            spread = random.uniform(0, max(0.0, self.pace - PACE))
            self.slow_at = max(self.slow_at, time.monotonic() - self.pace + spread)
        if mine:
            soon = min(SOON, max(0.0, self.pace - PACE))
            self.slow_at, self.hurry = min(self.slow_at, time.monotonic() - self.pace + soon), True
        if mine or message.get("all") or "items" in message or "queues" in message:
            self.wanted.update(SLOW)
        if "items" in message and self.item and (message["items"] is None or self.item in message["items"]):
            self.wanted.update(ITEM)
        self.news.set()

    async def look(self) -> None:
        """Ask for the parts that are wanted, for ever."""
        while True:
            await self.news.wait()
            if not self.hurry:
                await asyncio.sleep(GATHERED)
            self.hurry = False
            self.news.clear()
            early = self.pace - (time.monotonic() - self.slow_at)
            due = {part for part in self.wanted if early <= 0 or part not in SLOW}
            if due:
                await self.ask(due)
            if self.wanted:
                asyncio.get_running_loop().call_later(max(0.4, early), self.news.set)

    async def ask(self, parts: set[str]) -> None:
        """One request for parts."""
        self.wanted -= parts
        self.alive_at = time.monotonic()
        if parts & set(SLOW):
            self.slow_at = time.monotonic()
        begin = time.perf_counter()
        path = f"/items/{self.item}" if self.item else "/desk"
        answer = await self.http.get(path, params={"parts": ",".join(sorted(parts))})
        if answer.status_code == httpx.codes.OK:
            self.took.append((time.perf_counter() - begin) * 1000)
            self.seen(answer.text)

    def seen(self, page: str) -> None:
        """What an answer shows; of interest to others (bench/offer.py)."""

    async def send(self, path: str, **fields: str) -> httpx.Response:
        """One form."""
        return await self.http.post(path, data={"csrf": self.csrf, **fields})

    async def work(self, queue_id: int, rest: float) -> None:
        """Claim, read, write, answer, close; then rest a while."""
        while True:
            await asyncio.sleep(random.uniform(0.2, 1.8) * rest)
            waiting = OPENS.findall((await self.http.get(f"/desk/queue/{queue_id}")).text)
            if not waiting:
                continue
            item = random.choice(waiting)
            if (await self.send(f"/items/{item}/assignment")).status_code != httpx.codes.SEE_OTHER:
                continue
            self.item = int(item)
            page = (await self.http.get(f"/items/{item}")).text
            if key := KEY.search(page):
                text = f"We are looking at it, one moment. {item}"
                await self.send(f"/items/{item}/draft?_method=PUT", key=key[1], text=text, visibility="public")
            await self.send(f"/items/{item}/closure", disposition="answered")
            self.item = None


async def crowd(told: dict[str, Any]) -> None:
    """Let everybody in, and work until the process is stopped."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    desks = []
    async with asyncio.TaskGroup() as group:
        tasks = []
        for number, (agent_id, cookie, csrf) in enumerate(told["agents"]):
            http = httpx.AsyncClient(
                base_url=told["url"], cookies={told["cookie_name"]: cookie}, limits=limits, timeout=60
            )
            desk, here = Desk(http, agent_id, csrf), asyncio.Event()
            desks.append(desk)
            queue = told["queues"][number % len(told["queues"])]
            tasks += [
                group.create_task(one) for one in (desk.listen(here), desk.look(), desk.work(queue, told["rest"]))
            ]
            await here.wait()
        print("here", flush=True)
        await stop.wait()
        for task in tasks:
            task.cancel()
    took = [one for desk in desks for one in desk.took]
    print(json.dumps({"parts": len(took), "p95": percentile(took, 0.95) if took else None}), flush=True)


if __name__ == "__main__":
    asyncio.run(crowd(json.loads(sys.stdin.readline())))
