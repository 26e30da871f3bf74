"""The router process: it leads or stands by, expires offers and makes new ones. `careline route`.

A standby keeps its kernel told as the leader does, so that it can decide as soon as it leads. A hint wakes it at once,
and it looks by itself every second. It believes in its lease only as long as its own clock says that the last renewal
is young; the database has the last word in every transaction.
"""

import asyncio
import contextlib
import gc
import os
import secrets
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import create_engine, plain, sessionmaker
from app.flow.mirror import (
    Mirror,
    changed_since,
    clock,
    last_event,
    load_agents,
    load_all,
    load_house,
    load_items,
)
from app.flow.offer import expire_offers
from app.flow.route import LEASE, MOST_OFFERS, lead, leads, make_moves, offer_at_once, step_down
from app.hints import Hint, hints
from app.models.offering import Fence
from app.routing.decisions import Decision, Match, Overflow
from app.settings import Settings
from app.telemetry import offers

log = structlog.get_logger(__name__)

SOON = 0.05  # seconds
LOOK_EVERY = 1.0  # seconds without a hint
HOUSE_EVERY = 5.0  # seconds between two looks at queues and agents
OVERLAP = 10.0  # seconds of events that are read again


class Router:
    """One router: a holder of the lease with a kernel that mirrors the database, or a standby."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Take a name that nobody else has."""
        self.engine = engine
        self.sessions = sessionmaker(engine)
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.epoch: int | None = None
        self.renewed = 0.0  # on the monotonic clock
        self.mirror: Mirror | None = None
        self.changed = Changed()
        self.decided: deque[Decision] = deque()
        self.seen: deque[tuple[float, int]] = deque()  # newest event ids, by when they were read
        self.looked = self.looked_at_house = 0.0

    def hear(self, hint: Hint | None) -> None:
        """Take a hint of what changed; None stands for anything."""
        self.changed.add(hint)

    async def tick(self) -> int:
        """Lead if we can, take back what ran out, offer what waits; returns how many decisions held."""
        made = 0
        while await self._lead():
            batch = await self._round()
            made += batch
            if not batch and not self.decided:
                return made
        await self._follow()
        return made

    async def _lead(self) -> bool:
        young = time.monotonic() - self.renewed < LEASE.total_seconds() / 3
        if self.epoch is not None and young:
            return True
        began = time.monotonic()
        async with self.sessions.begin() as session:
            epoch = await lead(session, self.holder)
        if epoch != self.epoch:
            log.info("router_leads" if epoch is not None else "router_stands_by", epoch=epoch)
            # What is known stays, however long ago the old lease ended: everything is looked at for what changed since.
            self._reconsider(self.decided, set())
            self.decided.clear()
            self.changed.everything = True
        self.epoch, self.renewed = epoch, began
        return epoch is not None

    async def _follow(self) -> None:
        """Stand by: know what the leader knows, and decide nothing."""
        try:
            async with self.sessions() as session:
                cold = self.mirror is None
                with uncollected(cold):
                    mirror = await self._mirrored(session)
                    if cold:
                        # The first run puts every item into its lane, which takes longest. What it decides is taken back.
                        self._reconsider(mirror.kernel.run(await clock(session)), set())
                        await self._mirrored(session)
        except BaseException:
            self.forget()
            raise

    def forget(self) -> None:
        """Believe nothing any more: the next round reads everything anew."""
        self.mirror = None
        self.decided.clear()
        self.seen.clear()

    async def _round(self) -> int:
        """Take back what ran out, decide, move and offer: each that writes is fenced by the lease's epoch."""
        try:
            # Two transactions: each locks presences in order of agent, and one after the other would not be in order.
            async with self.sessions.begin() as session:
                if not await self._still_leads(session):
                    return 0
                expired = await expire_offers(session)
            # Not under the lease: to read all that waits may take longer than a transaction that holds it may be silent.
            async with self.sessions() as session:
                with uncollected(self.mirror is None):
                    mirror = await self._mirrored(session)
                    if not self.decided:
                        self.decided.extend(mirror.kernel.run(await clock(session)))
            batch = [self.decided.popleft() for _ in range(min(MOST_OFFERS, len(self.decided)))]
            held = await self._move([one for one in batch if isinstance(one, Overflow)])
            held |= await self._offer([one for one in batch if isinstance(one, Match)])
        except BaseException:
            self.forget()
            raise
        self._reconsider(batch, held)
        offers.labels(outcome="expired").inc(expired)
        offers.labels(outcome="made").inc(len(held))
        return len(held)

    async def _move(self, overflows: Sequence[Overflow]) -> set[int]:
        if not overflows:
            return set()
        async with self.sessions.begin() as session:
            return await make_moves(session, overflows) if await self._still_leads(session) else set()

    async def _offer(self, matches: Sequence[Match]) -> set[int]:
        if self.epoch is None or not matches:
            return set()
        async with plain(self.engine) as connection:
            return await offer_at_once(connection, Fence(self.holder, self.epoch), matches)

    async def _still_leads(self, session: AsyncSession) -> bool:
        """Whether the lease is ours until this transaction ends; if not, nothing is believed any more."""
        if self.epoch is not None and await leads(session, self.holder, self.epoch):
            return True
        self.epoch = None
        self.forget()
        return False

    def _reconsider(self, batch: Iterable[Decision], held: set[int]) -> None:
        """Decisions that did not hold were made on what is not so any more: look at those again."""
        for decision in batch:
            if decision.item.id not in held:
                self.changed.items.add(decision.item.id)
                if isinstance(decision, Match):
                    self.changed.agents.add(decision.agent_id)

    async def _mirrored(self, session: AsyncSession) -> Mirror:
        """The kernel, told what changed: by hints at once, by the events every second, and the house every five."""
        now = time.monotonic()
        if self.mirror is None:
            self.changed = Changed()
            self.mirror = await load_all(session)
            self.seen.append((now, self.mirror.after))
            self.looked = self.looked_at_house = now
            return self.mirror
        changed, self.changed = self.changed, Changed()
        if now - self.looked >= LOOK_EVERY or changed.everything:
            changed.items |= await self._events(session, now)
        if now - self.looked_at_house >= HOUSE_EVERY or changed.everything:
            self.looked_at_house = now
            if await load_house(session, self.mirror):
                self.forget()
                return await self._mirrored(session)
        elif changed.agents:
            await load_agents(session, self.mirror, changed.agents)
        await load_items(session, self.mirror, changed.items)
        return self.mirror

    async def _events(self, session: AsyncSession, now: float) -> set[int]:
        """Items with new events. Ids are given before they are committed, so the last ten seconds are read again."""
        self.looked = now
        while len(self.seen) > 1 and now - self.seen[1][0] > OVERLAP:
            self.seen.popleft()
        self.seen.append((now, await last_event(session)))
        return await changed_since(session, self.seen[0][1])

    def pause(self) -> float:
        """Seconds until something is to be done even without a hint."""
        if self.changed.items:  # what did not hold is looked at again soon, but not over and over in one moment
            return SOON
        soon = self.mirror.kernel.next_at() if self.mirror is not None else None
        if soon is None:
            return LOOK_EVERY
        return min(LOOK_EVERY, max(SOON, (soon - datetime.now(UTC)).total_seconds()))

    async def close(self) -> None:
        """Let a standby lead at once."""
        if self.epoch is not None:
            async with self.sessions.begin() as session:
                await step_down(session, self.holder, self.epoch)


@contextlib.contextmanager
def uncollected(cold: bool) -> Iterator[None]:
    """Keep the garbage collector away from a hundred thousand items that are read and put into lanes, now and later."""
    if not cold:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@dataclass(slots=True)
class Changed:
    """What hints said since the kernel was last told."""

    items: set[int] = field(default_factory=set)
    agents: set[int] = field(default_factory=set)
    everything: bool = False

    def add(self, hint: Hint | None) -> None:
        """Add a hint; one that names too many, or none at all, asks for a look at everything."""
        if hint is None:
            self.everything = True
            return
        for kind, known in (("items", self.items), ("agents", self.agents)):
            ids = hint.get(kind, [])
            if ids is None:
                self.everything = True
            else:
                known.update(ids)


async def route(settings: Settings, stop: asyncio.Event) -> None:
    """Run a router until `stop`."""
    engine = create_engine(settings.database_url, 2, "careline route")
    router = Router(engine)
    nudged = asyncio.Event()
    listener = asyncio.create_task(_listen(settings.database_url, router, nudged))
    try:
        while not stop.is_set():
            nudged.clear()
            try:
                await router.tick()
            except (DBAPIError, OSError) as error:
                log.warning("database_away", cause=type(error).__name__)
                router.epoch = None
            await _either(stop, nudged, router.pause())
        await router.close()
    finally:
        listener.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listener
        await engine.dispose()


async def _listen(url: str, router: Router, nudged: asyncio.Event) -> None:
    async for hint in hints(url):
        router.hear(hint)
        if hint is None or "queues" in hint or "agents" in hint:
            nudged.set()


async def _either(stop: asyncio.Event, nudged: asyncio.Event, seconds: float) -> None:
    waits = [asyncio.create_task(event.wait()) for event in (stop, nudged)]
    await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
