"""The hub: hints of what changed, gathered from one LISTEN connection a process and told to every browser that listens.

A message says only *that* something changed, as ids, and only about what its reader may see. What is about an agent
themselves (an offer, above all) is told to them at once, what changes an item that they hold within a moment, and
everything else when it is their turn: a large crowd takes turns, so that no moment is spent on all of them.
"""

import asyncio
import contextlib
import json
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.hints import Hint, hints
from app.web.sights import Changes, Places, Sight, permitted, read_places, read_sights

log = structlog.get_logger(__name__)
GATHER = 0.15  # seconds in which hints become one message
BURST = 0.05  # seconds between two messages to an agent about themselves
CROWD = 30  # browsers that are told in one moment
SEEN_FOR = 3.0  # seconds for which "who may see what" is believed
PAUSE = 1.0  # seconds, after what was not foreseen
PACE = 2.0  # seconds between two looks of a desk at its lists and counts, while few look
LOOK = 0.1  # seconds of this process for each desk that looks; a look takes a sixth of it
MOST_WAITING = 64  # messages for a slow browser; beyond them it is told to look at everything


@dataclass(slots=True, eq=False)
class Stream:
    """One browser that listens."""

    sign_in_id: int
    agent_id: int
    waiting: asyncio.Queue[str | None] = field(default_factory=lambda: asyncio.Queue(MOST_WAITING))
    place: int = 0  # decides when it is its turn
    heard: int = 0  # the newest moment that it was told of
    early: set[int] = field(default_factory=set)  # items that it was told of before its turn
    about_at: float = 0.0  # when its agent was last told about themselves
    about: asyncio.TimerHandle | None = None  # the next such message, where it has to wait a little

    def tell(self, message: Any) -> None:
        """Queue a message; one who reads too slowly gets a single "everything" instead."""
        if self.waiting.full():
            while not self.waiting.empty():
                self.waiting.get_nowait()
            message = {"all": True}
        self.waiting.put_nowait(json.dumps(message, separators=(",", ":")))

    def end(self) -> None:
        """Let the stream finish now."""
        while self.waiting.full():
            self.waiting.get_nowait()
        self.waiting.put_nowait(None)


@dataclass(frozen=True, slots=True)
class Moment:
    """What changed within one moment, None where anything may have; and where the items are since."""

    number: int
    changes: Changes | None
    places: Places


class Hub:
    """Listens once and tells many."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        """`sessions` are used for moments only, between messages."""
        self.sessions = sessions
        self.streams: set[Stream] = set()
        self.stopping = False
        self.boot = f"{time.time_ns():x}"
        self.number = 0
        self._places = 0  # given out to streams
        self._turn = 0
        self._sights: dict[int, Sight | None] = {}
        self._gathered: Changes | None = {}
        self._moments: list[Moment] = []  # those that somebody has not been told of
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
        """Tell agents at once of what is about themselves, and the rest when it is their turn; None: everything."""
        about = frozenset((hint or {}).get("agents") or ())
        for stream in self.streams:
            if stream.agent_id in about:
                self._tell_about(stream)
        if hint is None:
            self._gathered = None
        elif self._gathered is not None:
            add(self._gathered, hint)
        self._due.set()

    def _tell_about(self, stream: Stream) -> None:
        """Of a burst the first at once, the rest together a little later."""
        if stream.about is not None:
            return
        loop = asyncio.get_running_loop()
        early = stream.about_at + BURST - loop.time()
        if early > 0:
            stream.about = loop.call_later(early, self._tell_about_again, stream)
            return
        stream.about_at = loop.time()
        stream.tell({"agents": [stream.agent_id]})

    def _tell_about_again(self, stream: Stream) -> None:
        stream.about, stream.about_at = None, 0.0
        self._tell_about(stream)

    async def _deliver(self) -> None:
        while True:
            await self._due.wait()
            await asyncio.sleep(GATHER)
            self._due.clear()
            try:
                await self.tell()
            except (DBAPIError, PoolTimeout, OSError) as error:
                log.warning("live_updates_delayed", cause=type(error).__name__)
                self._gathered = None  # told with the next hint; the browsers look by themselves meanwhile

    async def tell(self) -> None:
        """What changed since the last moment to those whom it cannot wait for, all else to those whose turn it is."""
        fresh, self._gathered = self._gathered, {}
        if not self.streams:
            self._moments.clear()
            return
        async with self.sessions() as session:
            moment = await self._remember(session, fresh)
            holders = {holder for _queue, holder in moment.places.values()} if moment else set()
            turn = self._whose_turn()
            early = {one for one in self.streams - turn if one.agent_id in holders}
            await self._look_up(session, turn | early)
        for stream in early:
            self._tell_early(stream, moment.places if moment else {})
        self._tell_all(turn, set(moment.places) if moment else set())
        heard = min((stream.heard for stream in self.streams), default=self.number)
        self._moments = [one for one in self._moments if one.number > heard]
        if self._moments:
            self._due.set()

    async def _remember(self, session: AsyncSession, fresh: Changes | None) -> Moment | None:
        if fresh is not None and not fresh:
            return None
        items = set() if fresh is None else (fresh.get("items") or set()) | (fresh.get("viewers") or set())
        self.number += 1
        moment = Moment(self.number, fresh, await read_places(session, items))
        self._moments.append(moment)
        return moment

    def _whose_turn(self) -> set[Stream]:
        turns = max(1, math.ceil(len(self.streams) / CROWD))
        self._turn = (self._turn + 1) % turns
        return {one for one in self.streams if one.place % turns == self._turn}

    def _tell_early(self, stream: Stream, places: Places) -> None:
        sight = self._sights.get(stream.sign_in_id)
        held: Changes = {"items": {one for one, (_queue, holder) in places.items() if holder == stream.agent_id}}
        if sight is not None and (told := permitted(held, sight, places)):
            stream.tell(told)
            stream.early |= held["items"] or set()

    def _tell_all(self, streams: Iterable[Stream], fresh: set[int]) -> None:
        """What each has not been told of. `fresh` are the items that changed just now."""
        since: dict[int, tuple[Changes | None, Places]] = {}
        for stream in streams:
            if stream.heard not in since:
                since[stream.heard] = together(one for one in self._moments if one.number > stream.heard)
            changes, places = since[stream.heard]
            known, stream.early = stream.early - fresh, set()
            stream.heard = self.number
            sight = self._sights.get(stream.sign_in_id)
            if sight is None:
                stream.end()
            elif changes is None:
                stream.tell({"all": True})
            elif told := permitted(without(changes, known, stream.agent_id), sight, places):
                stream.tell(told)

    @property
    def pace(self) -> float:
        """Seconds between two looks of a desk at its lists and counts, so that all of them together leave room."""
        return max(PACE, round(len(self.streams) * LOOK, 1))

    async def _look_up(self, session: AsyncSession, streams: Iterable[Stream]) -> None:
        """Read who may see what for all of whom it was read too long ago, or never, together."""
        old = time.monotonic() - SEEN_FOR
        wanted = {one.sign_in_id for one in streams}
        known = {number for number, sight in self._sights.items() if sight is not None and sight.read_at > old}
        if wanted - known:
            self._sights.update(await read_sights(session, wanted - known))

    @contextlib.contextmanager
    def listening(self, stream: Stream) -> Iterator[Stream]:
        """Keep a stream among those that are told."""
        self._places += 1
        stream.place, stream.heard = self._places, self.number
        self.streams.add(stream)
        try:
            yield stream
        finally:
            self.streams.discard(stream)
            self._sights.pop(stream.sign_in_id, None)
            if stream.about is not None:
                stream.about.cancel()

    def stop(self) -> None:
        """End all streams, so that the server can stop at once."""
        self.stopping = True
        for stream in self.streams:
            stream.end()


def add(changes: Changes, more: Changes | Hint) -> None:
    """Take more ids into what changed; too many to name stay so."""
    for kind, ids in more.items():
        known = changes.get(kind, set())
        changes[kind] = None if ids is None or known is None else known | set(ids)


def together(moments: Iterable[Moment]) -> tuple[Changes | None, Places]:
    """Several moments as one: the newest place of each item counts."""
    changes: Changes = {}
    places: Places = {}
    for moment in moments:
        if moment.changes is None:
            return None, {}
        add(changes, moment.changes)
        places |= moment.places
    return changes, places


def without(changes: Changes, items: set[int], agent_id: int) -> Changes:
    """What is left to say to an agent who was told of these items, and always at once about themselves."""
    said = {"items": items, "agents": {agent_id}}
    return {kind: ids if ids is None else ids - said.get(kind, set()) for kind, ids in changes.items()}
