"""What changed, told to the browsers: one LISTEN connection a process, a bounded queue a browser, SSE.

A message says only *that* something changed, as ids, and only about what this agent may see; the browser then asks for
the parts of its page. Hints are gathered for a moment, so that a burst is one message; only what is about an agent
themselves (an offer, above all) is told to them at once. A stream holds no session and
no connection of the pool; who may see what is read again every few seconds.
"""

import asyncio
import contextlib
import json
import signal
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import Row, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.hints import Hint, hints
from app.models.agent import Agent, Role, SignIn
from app.models.item import Item
from app.models.sight import consulted_of, queues_of
from app.web.edge import signed_in

router = APIRouter()
log = structlog.get_logger(__name__)
GATHER = 0.15  # seconds in which hints become one message
HEARTBEAT = 10.0  # seconds; the browser calls the stream stale after 20
SEEN_FOR = 3.0  # seconds for which "who may see what" is believed
PAUSE = 1.0  # seconds, after what was not foreseen
PACE = 2.0  # seconds between two looks of a desk at its lists and counts, while few look
LOOK = 0.03  # seconds of this process that one such look may cost; beyond, all look more seldom
MOST_WAITING = 64  # messages for a slow browser; beyond them it is told to look at everything
KINDS = ("items", "queues", "agents", "feeds", "notices", "viewers")


@dataclass(frozen=True, slots=True)
class Sight:
    """What an agent may be told about; None when they are signed out."""

    agent_id: int
    role: Role
    queues: frozenset[int]
    read_at: float
    asked: frozenset[int] = frozenset()  # items about which they are asked as an expert


@dataclass(slots=True, eq=False)
class Stream:
    """One browser that listens."""

    sign_in_id: int
    agent_id: int
    waiting: asyncio.Queue[str | None] = field(default_factory=lambda: asyncio.Queue(MOST_WAITING))

    def tell(self, message: str) -> None:
        """Queue a message; one who reads too slowly gets a single "everything" instead."""
        if self.waiting.full():
            while not self.waiting.empty():
                self.waiting.get_nowait()
            message = '{"all":true}'
        self.waiting.put_nowait(message)

    def end(self) -> None:
        """Let the stream finish now."""
        while self.waiting.full():
            self.waiting.get_nowait()
        self.waiting.put_nowait(None)


class Hub:
    """Listens once and tells many."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        """`sessions` are used for moments only, between messages."""
        self.sessions = sessions
        self.streams: set[Stream] = set()
        self.stopping = False
        self.boot = f"{time.time_ns():x}"
        self.number = 0
        self._sights: dict[int, Sight | None] = {}
        self._gathered: dict[str, set[int] | None] = {}
        self._everything = False
        self._hurried: dict[Stream, bool] = {}  # told at once since the last message; whether there was more then
        self._due = asyncio.Event()

    async def run(self, url: str) -> None:
        """Listen until cancelled. What breaks it is told in the log; the browsers then look at everything once."""
        while True:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._listen(url))
                    group.create_task(self._deliver())
            except* Exception:
                log.exception("live_updates_broke")
            await asyncio.sleep(PAUSE)

    async def _listen(self, url: str) -> None:
        async for hint in hints(url):
            self.hear(hint)

    def hear(self, hint: Hint | None) -> None:
        """Tell agents at once of what is about themselves, and all of it with the next message; None: everything."""
        for stream in self.streams:
            if stream.agent_id in ((hint or {}).get("agents") or ()):
                self._hurry(stream)
        self._gather(hint)

    def _hurry(self, stream: Stream) -> None:
        """Of a burst the first at once; the rest comes with the next message."""
        if stream not in self._hurried:
            stream.tell(json.dumps({"agents": [stream.agent_id]}, separators=(",", ":")))
        self._hurried[stream] = stream in self._hurried

    def _gather(self, hint: Hint | None) -> None:
        if hint is None:
            self._everything = True
        for kind, ids in (hint or {}).items():
            known = self._gathered.get(kind, set())
            self._gathered[kind] = None if ids is None or known is None else known | set(ids)
        self._due.set()

    async def _deliver(self) -> None:
        while True:
            await self._due.wait()
            await asyncio.sleep(GATHER)
            self._due.clear()
            try:
                await self.tell()
            except (DBAPIError, PoolTimeout, OSError) as error:
                log.warning("live_updates_delayed", cause=type(error).__name__)
                self._everything = True  # told with the next hint; the browsers look by themselves meanwhile

    async def tell(self) -> None:
        """The next message: what was gathered since the last one, but for what its reader was told at once."""
        changes, everything = self._gathered, self._everything
        done = {stream for stream, more in self._hurried.items() if not more}
        self._gathered, self._everything, self._hurried = {}, False, {}
        if self.streams:
            await self._tell_all(changes, everything, done)

    async def _tell_all(self, changes: dict[str, set[int] | None], everything: bool, done: set[Stream]) -> None:
        async with self.sessions() as session:
            places = await _places(session, (changes.get("items") or set()) | (changes.get("viewers") or set()))
            streams = tuple(self.streams)  # they come and go
            await self._look_up(session, streams)
        sights = {stream: self._sights.get(stream.sign_in_id) for stream in streams}
        self.number += 1
        for stream, sight in sights.items():
            if sight is None:
                stream.end()
            elif everything:
                stream.tell('{"all":true}')
            elif told := permitted(_without(changes, stream) if stream in done else changes, sight, places):
                stream.tell(json.dumps(told, separators=(",", ":")))

    @property
    def pace(self) -> float:
        """Seconds between two looks of a desk at its lists and counts, so that all of them together leave room."""
        return max(PACE, round(len(self.streams) * LOOK, 1))

    async def _look_up(self, session: AsyncSession, streams: Sequence[Stream]) -> None:
        """Read who may see what for all of whom it was read too long ago, or never, together."""
        old = time.monotonic() - SEEN_FOR
        wanted = {one.sign_in_id for one in streams}
        known = {number for number, sight in self._sights.items() if sight is not None and sight.read_at > old}
        if wanted - known:
            self._sights.update(await _read_sights(session, wanted - known))

    @contextlib.contextmanager
    def listening(self, stream: Stream) -> Iterator[Stream]:
        """Keep a stream among those that are told."""
        self.streams.add(stream)
        try:
            yield stream
        finally:
            self.streams.discard(stream)
            self._sights.pop(stream.sign_in_id, None)

    def stop(self) -> None:
        """End all streams, so that the server can stop at once."""
        self.stopping = True
        for stream in self.streams:
            stream.end()


def _without(changes: dict[str, set[int] | None], stream: Stream) -> dict[str, set[int] | None]:
    """What changed, but for the agent themselves."""
    agents = changes.get("agents")
    return changes if agents is None else {**changes, "agents": agents - {stream.agent_id}}


async def _places(session: AsyncSession, items: set[int]) -> dict[int, tuple[int, int | None]]:
    if not items:
        return {}
    found = await session.execute(select(Item.id, Item.queue_id, Item.agent_id).where(Item.id.in_(items)))
    return {row[0]: (row[1], row[2]) for row in found}


async def _read_sights(session: AsyncSession, sign_ins: set[int]) -> dict[int, Sight | None]:
    """By sign-in what its agent may be told about; None where it has ended."""
    statement = (
        select(SignIn.id, Agent.id, Agent.role)
        .join(Agent, Agent.id == SignIn.agent_id)
        .where(SignIn.id.in_(sign_ins), SignIn.expires_at > func.now(), Agent.active)
    )
    found = {row[0]: (row[1], Role(row[2])) for row in await session.execute(statement)}
    agents = {agent_id for agent_id, _role in found.values()}
    queues = gathered(await session.execute(queues_of(agents)))
    asked = gathered(await session.execute(consulted_of(agents)))
    now = time.monotonic()
    live = {one: Sight(who, role, queues[who], now, asked[who]) for one, (who, role) in found.items()}
    return dict.fromkeys(sign_ins) | live


def gathered(pairs: Iterable[Row[int, int]]) -> defaultdict[int, frozenset[int]]:
    """By the first of each pair all of the second; nothing for who is not there."""
    sets: defaultdict[int, set[int]] = defaultdict(set)
    for key, value in pairs:
        sets[key].add(value)
    return defaultdict(frozenset, {key: frozenset(values) for key, values in sets.items()})


def permitted(
    changes: dict[str, set[int] | None], sight: Sight, places: dict[int, tuple[int, int | None]]
) -> dict[str, Any]:
    """What of the changes this agent may hear of. None (too many to name) stays None: it names nothing."""

    def may(kind: str, one: int) -> bool:
        if kind in {"items", "viewers"}:
            queue, holder = places.get(one, (None, None))
            return queue in sight.queues or holder == sight.agent_id or one in sight.asked
        if kind == "notices":
            return one == sight.agent_id
        if kind == "queues":
            return one in sight.queues
        if kind == "agents":
            return one == sight.agent_id or sight.role != Role.AGENT
        return sight.role == Role.ADMIN

    told: dict[str, Any] = {}
    for kind in KINDS:
        if kind not in changes:
            continue
        ids = changes[kind]
        seen = None if ids is None else sorted(one for one in ids if may(kind, one))
        if seen is None or seen:
            told[kind] = seen
    return told


@router.get("/live")
async def live(request: Request) -> StreamingResponse:
    """The stream of one browser. A reconnection (`Last-Event-ID`) is told to look at everything once."""
    hub: Hub = request.app.state.hub
    async with request.app.state.sessions.begin() as session:
        agent = await signed_in(request, session)
    stream = Stream(request.state.visitor.sign_in_id, agent.id)
    again = request.headers.get("last-event-id") is not None
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_messages(hub, stream, again), media_type="text/event-stream", headers=headers)


async def _messages(hub: Hub, stream: Stream, again: bool) -> AsyncIterator[str]:
    if hub.stopping:
        return
    with hub.listening(stream):
        hello = json.dumps({"all": again, "pace": hub.pace})
        yield f"retry: 2000\nid: {hub.boot}-{hub.number}\nevent: hello\ndata: {hello}\n\n"
        while not hub.stopping:
            try:
                message = await asyncio.wait_for(stream.waiting.get(), HEARTBEAT)
            except TimeoutError:
                yield f'event: beat\ndata: {{"pace":{hub.pace}}}\n\n'
                continue
            if message is None:
                return
            yield f"id: {hub.boot}-{hub.number}\nevent: change\ndata: {message}\n\n"


@contextlib.contextmanager
def ends_with_the_server(hub: Hub) -> Iterator[None]:
    """End the streams when the process is asked to stop: a server waits for its open answers, and these never end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before: dict[int, Any] = {}

    def chained(number: int, then: Any) -> Callable[[int, FrameType | None], None]:
        def handle(given: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(hub.stop)
            if callable(then):
                then(given, frame)

        before[number] = then
        return handle

    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, chained(stop, signal.getsignal(stop)))
    try:
        yield
    finally:
        for number, then in before.items():
            signal.signal(number, then)
