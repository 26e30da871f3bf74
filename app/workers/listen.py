"""Streams: one connection for each feed whose channel tells of posts as they come, held by one process of all.

A look every second opens what is due, renews the leases, and closes what is no longer ours. No transaction is open while
a stream waits.
"""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, replace
from time import monotonic

import structlog

from app.connectors import registry
from app.connectors.base import Batch, Json
from app.errors import CarelineError, ConnectorError, RateLimited
from app.flow.allowance import keep_rate_limit, poll_rest
from app.flow.budget import keep_told, wait_for
from app.flow.link import Wire, wire
from app.flow.listen import LEASE, Held, Line, keep_streamed, let_go, lines, renew_streams, stream_ended, take_stream
from app.i18n import N_
from app.telemetry import posts_ingested
from app.workers.runtime import Runtime

log = structlog.get_logger(__name__)

LEASED = LEASE.total_seconds()
RENEW_EVERY = LEASED / 3  # seconds
PATIENCE = LEASED / 3  # seconds that a look may take: the database may be away without saying so
LONGEST = 3600.0  # seconds; then it is opened anew, with fresh credentials and the right time
CLOSING = 5.0  # seconds that connections get to close at the end
BROKEN = N_("The stream ended because of an error of Careline's own: %(error)s. The log has the details.")


@dataclass(slots=True)
class Open:
    """A stream of ours. Times are of the process's clock."""

    held: Held
    task: asyncio.Task[None]
    opened: float
    good_until: float  # nobody else has taken it before
    closing: bool = False

    def close(self) -> None:
        """Ask it to end, once: asking again would disturb the closing."""
        if not self.closing:
            self.closing = True
            self.task.cancel()


class Streams:
    """The streams that this process holds, by feed."""

    def __init__(self, runtime: Runtime) -> None:
        """Hold none yet."""
        self.runtime = runtime
        self.open: dict[int, Open] = {}
        self._renewed = monotonic()

    async def look(self) -> None:
        """Close, renew and open. Raises what a database that is away raises; streams past their lease end all the same."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._reap()
                async with self.runtime.sessions() as session:
                    found = await lines(session, _channels())
                self._close_others(found)
                await self._renew()
                for feed_id in [feed_id for feed_id, line in found.items() if line.due]:
                    await self._open(feed_id)
        finally:
            for stream in self.open.values():
                if monotonic() >= stream.good_until:
                    stream.close()

    async def end(self) -> None:
        """Close all of them, so that another process can open them at once."""
        for stream in self.open.values():
            stream.close()
        if self.open:
            await asyncio.wait([stream.task for stream in self.open.values()], timeout=CLOSING)
            await self._reap()

    async def _reap(self) -> None:
        for feed_id, stream in [(feed_id, one) for feed_id, one in self.open.items() if one.task.done()]:
            if stream.task.cancelled():
                async with self.runtime.sessions.begin() as session:
                    await let_go(session, stream.held)
            elif stream.task.exception() is not None:  # its end could not be kept: the lease runs out by itself
                log.warning("stream_not_let_go", feed=feed_id, cause=type(stream.task.exception()).__name__)
            del self.open[feed_id]

    def _close_others(self, found: dict[int, Line]) -> None:
        """What is not ours any more: switched off, changed, deleted, taken over; and what stands for long."""
        for feed_id, stream in self.open.items():
            line = found.get(feed_id)
            lost = line is None or line.epoch != stream.held.epoch
            if lost or monotonic() >= stream.opened + LONGEST:
                stream.close()

    async def _renew(self) -> None:
        began = monotonic()
        held = {feed_id: one.held.epoch for feed_id, one in self.open.items() if not one.closing}
        if not held or began < self._renewed + RENEW_EVERY:
            return
        async with self.runtime.sessions.begin() as session:
            ours = await renew_streams(session, held)
        self._renewed = began
        for feed_id in ours:
            self.open[feed_id].good_until = began + LEASED

    async def _open(self, feed_id: int) -> None:
        if feed_id in self.open or len(self.open) >= self.runtime.settings.max_streams:
            return
        began = monotonic()
        async with self.runtime.sessions.begin() as session:
            held = await take_stream(session, feed_id)
        if held is not None:
            task = asyncio.create_task(listen(self.runtime, held))
            self.open[feed_id] = Open(held, task, began, began + LEASED)


def _channels() -> list[str]:
    return [name for name, connector in registry.all().items() if connector.capabilities.streams]


async def listen(runtime: Runtime, held: Held) -> None:
    """Hold a feed's stream until it ends. Whatever goes wrong stays with it and stands in the feed's health."""
    bringing = _Bringing(runtime, held)
    error: CarelineError | None = None
    try:
        line = await bringing.wired()
        if line is None:
            return
        await bringing.bring(line)
    except CarelineError as known:
        log.warning("stream_failed", feed=held.feed.id, cause=known.message)
        error = known
    except Exception as bug:
        # A bug in one connector ends its stream alone; it is logged with its trace and shown in the feed's health.
        log.exception("stream_broke", feed=held.feed.id)
        error = ConnectorError(BROKEN % {"error": type(bug).__name__})
    async with runtime.sessions.begin() as session:
        if isinstance(error, RateLimited):
            await keep_rate_limit(session, bringing.key, error)
        if not bringing.over:
            await stream_ended(session, held, error, stood=bringing.stood)


class _Bringing:
    """One stream, from its opening to its end."""

    def __init__(self, runtime: Runtime, held: Held) -> None:
        self.runtime, self.held, self.feed = runtime, held, held.feed
        self.key = f"feed:{held.feed.id}" if held.feed.account_id is None else f"account:{held.feed.account_id}"
        self.stood = False
        self.over = False  # given back already, or not ours any more

    async def wired(self) -> Wire | None:
        """What the call needs, or None when its credential has to rest."""
        run = self.runtime
        async with run.sessions.begin() as session:
            line = await wire(session, self.feed, run.vault, run.http, run.sessions, base=run.settings.base_url)
            wait = await wait_for(session, line.budget, replying=False)
            rest = await poll_rest(session, line.purse)
            if wait is None and not rest.wait:
                return replace(line, link=replace(line.link, room=rest.room))
            await let_go(session, self.held, max(rest.wait, wait or rest.wait), failures=self.held.failures)
            return None

    async def bring(self, line: Wire) -> None:
        """Keep batch after batch."""
        at = self.feed.cursor
        async with aclosing(line.connector.listen(line.link, at)) as stream:
            async for batch in stream:
                await self._keep(line, batch, at)
                if self.over:
                    return
                at = batch.cursor

    async def _keep(self, line: Wire, batch: Batch, at: Json) -> None:
        async with self.runtime.sessions() as session:
            await keep_told(session, line.budget, batch.budget)
            kept = await keep_streamed(session, self.held, batch, at)
            if kept.lost:
                await session.rollback()
                log.warning("stream_lost_its_lease", feed=self.feed.id)
                self.over = True
                return
            rest = await poll_rest(session, line.purse)
            if rest.wait:
                await let_go(session, self.held, rest.wait, rest.reason)
                self.over = True
            await session.commit()
        self.stood = True
        posts_ingested.labels(channel=self.feed.channel).inc(kept.ingested.posts)
        if kept.ingested.posts or kept.quarantined:
            log.info("streamed", feed=self.feed.id, posts=kept.ingested.posts, quarantined=kept.quarantined)
