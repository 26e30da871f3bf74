"""Kill workers, again and again, and compare what was to be sent with what the network's ledger holds.

By hand: `python -m tests.crash.outbox --kills 10000 [--channel parcels-listed] [--seed 7]`.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.connectors import registry
from app.db import create_engine, sessionmaker
from app.flow.attach import attach
from app.flow.claim import claim
from app.flow.ingest import ingest
from app.flow.picture import Cleaned
from app.flow.reply import reply
from app.models.item import Item
from app.models.post import Post
from app.models.reply import Reply, ReplyState
from app.vault import new_key
from tests import database, parcels
from tests.company import Company, make_company, post
from tests.crash.network import Network
from tests.crash.worker import LEASE
from tests.parcels import Parcels

ROOT = Path(__file__).parents[2]
OWN_POINTS = ("before_call", "before_commit", "during_commit", "any_commit")  # the worker dies by its own hand
POINTS = (*OWN_POINTS, "arrived", "applied", "brought", "random")
FRESH = 7  # replies written before each round
SHOT = Cleaned("image/png", 1, 1, b"\x89PNG\r\n\x1a\n")
PATIENCE = 5.0  # seconds for a worker to come to its point
SETTLE_SECONDS = 90.0


@dataclass
class Workers:
    """The process that forks workers, and what it was told."""

    process: asyncio.subprocess.Process
    settings: dict[str, Any]
    log: Path

    async def fork(self, **spec: Any) -> int:
        told = await self._ask({"fork": {**spec, "settings": self.settings, "log": str(self.log)}})
        return int(told["pid"])

    async def ended(self, pid: int, seconds: float) -> int | None:
        """The signal that ended a worker (0: none, it left by itself); None when it still lives after that time."""
        found: int | None = (await self._ask({"wait": pid, "seconds": seconds}))["signal"]
        return found

    async def kill(self, pid: int, how: signal.Signals = signal.SIGKILL) -> None:
        os.kill(pid, how)
        await self.ended(pid, 10.0)

    async def _ask(self, told: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(told).encode() + b"\n")
        line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"The process that forks workers is gone: {self.log.read_text()[-3000:]}")
        return dict(json.loads(line))


@contextlib.asynccontextmanager
async def workers(url: str, folder: Path) -> AsyncIterator[Workers]:
    """Start the process that forks workers of this database."""
    log = folder / "workers.log"
    with log.open("w") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.crash.worker", str(log), cwd=ROOT, stderr=output,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
    settings = {
        "DATABASE_URL": url,
        "key": new_key(),
        "allow_hosts": "127.0.0.1",
        "worker_concurrency": 4,
        "pool_size": 5,
    }
    try:
        yield Workers(process, settings, log)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


@dataclass
class Scene:
    """A company whose replies go to a network, over workers that die."""

    sessions: async_sessionmaker[AsyncSession]
    company: Company
    network: Network
    workers: Workers
    channel: str
    random: Random
    written: int = 0
    kills: Counter[str] = field(default_factory=Counter)

    async def write(self, count: int) -> None:
        """Customers write, and an agent answers each of them."""
        numbers = range(self.written, self.written + count)
        self.written += count
        async with self.sessions.begin() as session:
            posts = [post(n, f"Question {n}", ref={"id": f"post-{n}"}) for n in numbers]
            await ingest(session, self.company.feed, posts)
            asked = select(Item.id, Post.external_id).join(Post, Post.id == Item.post_id)
            fresh = asked.where(Post.external_id.in_([p.external_id for p in posts]))
            for item_id, external_id in (await session.execute(fresh)).all():
                await claim(session, self.company.ayumi, item_id)
                key, ayumi = uuid4(), self.company.ayumi
                for name in ("a.png", "b.png") if item_id % 2 else ():
                    await attach(session, ayumi, item_id, SHOT, name=name, key=key, visibility="public")
                await reply(session, ayumi, item_id, f"Answer to {external_id}", "public", key=key)

    async def round(self, point: str) -> None:
        """A worker begins, and dies at the point; every third time beside one that is killed at any moment."""
        await self.write(FRESH)
        nth = self.random.randint(1, 3)
        spec = {"point": point, "nth": nth} if point in OWN_POINTS else {}
        victim = await self.workers.fork(**spec, seed=self.random.random())
        bystander = await self.workers.fork() if self.random.random() < 1 / 3 else None
        if point in {"arrived", "applied", "brought"}:
            self.network.at(point, nth, lambda: _kill(victim))
        elif point == "random":
            asyncio.get_running_loop().call_later(self.random.uniform(0.02, 0.4), lambda: _kill(victim))
        died = await self.workers.ended(victim, PATIENCE)
        if died is None:
            await self.workers.kill(victim)
        self.kills[point if died == signal.SIGKILL else f"{point} (not reached)"] += 1
        if bystander is not None:
            await asyncio.sleep(self.random.uniform(0, 0.1))
            await self.workers.kill(bystander)
            self.kills["bystander"] += 1

    async def settle(self) -> None:
        """A worker that nobody kills finishes what is left; what waits for a later try need not wait."""
        self.network.calm()
        pid = await self.workers.fork()
        for _ in range(int(SETTLE_SECONDS / 0.2)):
            if not await self._due():
                break
            await asyncio.sleep(0.2)
        else:
            raise TimeoutError(f"Still on their way: {await self._waiting()}. {self.workers.log.read_text()[-3000:]}")
        await self.workers.kill(pid, signal.SIGTERM)

    async def _waiting(self) -> list[str]:
        columns = (Reply.id, Reply.state, Reply.attempt, Reply.due_at, Reply.trouble, func.clock_timestamp())
        async with self.sessions() as session:
            return [str(tuple(row)) for row in await session.execute(select(*columns).where(Reply.due_at.is_not(None)))]

    async def _due(self) -> int:
        async with self.sessions.begin() as session:
            paused = update(Reply).where(
                Reply.due_at > func.now() + timedelta(seconds=LEASE + 1)
            )  # no lease is as long
            await session.execute(paused.values(due_at=func.now()))
            left = await session.scalar(select(func.count()).where(Reply.due_at.is_not(None)))
        return left or 0

    async def complaints(self) -> list[str]:
        """What is wrong: replies lost, sent twice, under another post, or claimed to stand where they do not."""
        async with self.sessions() as session:
            rows = (await session.execute(select(Reply, Post.external_id).join(Post, Post.id == Reply.post_id))).all()
        standing: dict[str, list[dict[str, Any]]] = {}
        for entry in self.network.world.ledger:
            standing.setdefault(entry["text"], []).append(entry)
        told = [] if len(rows) == self.written else [f"{len(rows)} replies of {self.written} written"]
        for row, parent in rows:
            told += [f"{row.text}: {wrong}" for wrong in self._wrong(row, parent, standing.pop(row.text, []))]
        return told + [f"nobody wrote {text}" for text in standing]

    def _wrong(self, row: Reply, parent: str, entries: list[dict[str, Any]]) -> list[str]:
        wrong = []
        if len(entries) > 1:
            wrong.append(f"stands {len(entries)} times")
        if any(entry["in_reply_to"] != parent for entry in entries):
            wrong.append("stands under another post")
        if any(len(entry.get("pictures", ())) != (2 if row.item_id % 2 else 0) for entry in entries):
            wrong.append("stands without its pictures, or with others")
        asks_a_person = self.channel == "parcels-blind" and row.state == ReplyState.UNKNOWN and row.due_at is None
        if row.state != ReplyState.SENT and not asks_a_person:
            wrong.append(f"is {row.state}: {row.trouble}")
        if row.state == ReplyState.SENT and [entry["id"] for entry in entries] != [row.external_id]:
            wrong.append("is said to be sent, but the ledger does not say so")
        return wrong


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@contextlib.asynccontextmanager
async def scene(url: str, folder: Path, channel: str, seed: int = 1, trouble: float = 0.3) -> AsyncIterator[Scene]:
    """Set it: a company without undo time, a network, workers to be."""
    random = Random(seed)
    network = Network(Parcels(keyed=channel == "parcels-keyed"), random, trouble)
    await network.start()
    engine = create_engine(url, pool_size=3)
    sessions = sessionmaker(engine)
    try:
        async with sessions.begin() as session:
            company = await make_company(session, undo_seconds=0)
            company.feed.channel, company.feed.settings = channel, {"url": network.url}
            company.feed.enabled = False  # nothing is fetched here
        async with workers(url, folder) as forked:
            yield Scene(sessions, company, network, forked, channel, random)
    finally:
        await network.close()
        await engine.dispose()


async def kill_and_compare(url: str, folder: Path, channel: str, kills: int, seed: int) -> Scene:
    """Run rounds until so many workers were killed, then let the rest be sent."""
    async with scene(url, folder, channel, seed) as it:
        number = 0
        while it.kills.total() < kills:
            await it.round(POINTS[number % len(POINTS)])
            number += 1
        await it.settle()
        wrong = await it.complaints()
        if wrong:
            raise AssertionError("\n".join([*wrong[:20], f"({len(wrong)} in all)", str(dict(it.kills))]))
        return it


def main() -> None:
    """Kill as many as asked for, over the three makes of channel in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--channel", choices=parcels.CONNECTORS, action="append")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    registry.BUILT_IN.update(parcels.CONNECTORS)
    channels = asked.channel or list(parcels.CONNECTORS)
    database.prepare()
    try:
        with database.template() as server, tempfile.TemporaryDirectory() as folder:
            for channel in channels:
                with database.cloned(server) as url:
                    share = -(-asked.kills // len(channels))
                    it = asyncio.run(kill_and_compare(url, Path(folder), channel, share, asked.seed))
                sys.stdout.write(f"{channel}: {it.written} replies, each once. {dict(it.kills)}\n")
    finally:
        database.tear_down()


if __name__ == "__main__":
    main()
