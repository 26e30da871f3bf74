"""Rehearsal: the kernel on a simulated clock. Arrivals, queues and a roster in; who got what, when, and what it comes to.

Deterministic and pure: nothing is drawn here, so what is random (handling times, refusals, simulated days) was drawn,
with its seed, by whoever made the input. What the simulation takes for granted:

- an agent refuses an item's first offers as often, and after as long, as its arrival says, and accepts the next one
  after `accept_seconds`; in a queue that accepts by itself each at once;
- items in an agent's hands are handled side by side, each for its own time, and answered at the end of it;
- what is parked is answered and put aside half-way, takes no room meanwhile, and comes back to the same agent;
- an agent whose shift ends takes nothing more, and finishes what is in their hands;
- nobody gives up waiting, nothing is transferred, and who misses offers stays ready.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple, TypeAlias

from app.routing.decisions import Match
from app.routing.inputs import Agent, Item, Queue
from app.routing.kernel import Kernel
from app.routing.rules import meets, needs_at

Span: TypeAlias = tuple[datetime, datetime]
TELL_EVERY = 500  # steps between two calls of the progress callback


@dataclass(frozen=True, slots=True)
class Station:
    """A queue in a rehearsal. Times in seconds."""

    queue: Queue
    wrap_up: float = 0  # after closing one of its items an agent takes nothing for so long
    reoffer_after: float = 0  # who refused an item is not asked about it again for so long
    auto_accept: bool = False


@dataclass(frozen=True, slots=True)
class Arrival:
    """An item that becomes ready at `item.ready_at`, takes `handling` seconds, and should be answered by `due_at`."""

    item: Item
    handling: float
    due_at: datetime
    enters: datetime | None = None  # when it is let in, if it became ready before the rehearsal began
    refusals: tuple[float, ...] = ()  # its first offers are refused, each after so many seconds
    parked: float = 0  # seconds that it is put aside for, half-way
    raises: tuple[tuple[datetime, float], ...] = ()  # when its rank moves, if it waits then, and how far (seconds)

    @property
    def at(self) -> datetime:
        """When it is let in."""
        return self.enters or self.item.ready_at


@dataclass(frozen=True, slots=True)
class Worker:
    """Somebody on the roster: what the kernel knows of them, and when they are in."""

    agent: Agent
    shifts: tuple[Span, ...]


class Unserved(StrEnum):
    """Why an item was served by nobody."""

    NO_MEMBER = "no_member"  # nobody on the roster is a member of its queue
    NO_SKILL = "no_skill"  # no member has the skills, also when they have relaxed
    NO_ROOM = "no_room"  # nobody who has them may carry its weight or its channel
    NOBODY_IN = "nobody_in"  # nobody of those was in after it came
    NO_TIME = "no_time"  # those who were had others to serve first


class Fate(NamedTuple):
    """What became of one item. All of the times are set, or none and `why` is."""

    item: Item  # as it arrived
    due_at: datetime
    overflowed: bool = False
    agent_id: int | None = None
    offered_at: datetime | None = None
    taken_at: datetime | None = None
    done_at: datetime | None = None
    why: Unserved | None = None
    parked: Span | None = None
    refused: int = 0  # offers of it

    @property
    def answered_at(self) -> datetime | None:
        """What is parked was answered before."""
        return self.parked[0] if self.parked else self.done_at


@dataclass(frozen=True, slots=True)
class Outcome:
    """Each item's fate, in the order of arrival; `ended_at` is the last moment at which anything happened."""

    fates: tuple[Fate, ...]
    ended_at: datetime | None


class _Kind(IntEnum):
    """What happens; at the same moment, in this order."""

    DONE = 0
    OFF = 1
    ON = 2
    TAKEN = 3
    AWAKE = 4  # wrap-up ends
    REFUSED = 5
    PARKED = 6
    BACK = 7  # from parking
    RAISED = 8  # no agent's doing


@dataclass(slots=True)
class _Hand:
    """An agent as the simulation moves them; the kernel is told after each change."""

    agent: Agent
    here: bool = False
    wrapped_until: datetime | None = None


@dataclass(slots=True)
class _Run:
    stations: Mapping[int, Station]
    hands: dict[int, _Hand]
    accept_seconds: float
    kernel: Kernel = field(default_factory=Kernel)
    heap: list[tuple[datetime, _Kind, int, int, int]] = field(default_factory=list)  # ..., turn, agent, item
    arrivals: dict[int, Arrival] = field(default_factory=dict)
    waiting: dict[int, int] = field(default_factory=dict)  # item -> the queue it waits in now
    fates: dict[int, Fate] = field(default_factory=dict)
    offered: dict[int, Item] = field(default_factory=dict)  # to somebody who will refuse it
    refused: Counter[int] = field(default_factory=Counter)
    turn: int = 0

    def plan(self, at: datetime, kind: _Kind, agent_id: int, item_id: int = 0) -> None:
        self.turn += 1
        heappush(self.heap, (at, kind, self.turn, agent_id, item_id))

    def arrive(self, arrival: Arrival) -> None:
        self.arrivals[arrival.item.id] = arrival
        self.waiting[arrival.item.id] = arrival.item.queue_id
        self.kernel.put_item(arrival.item)
        for at, _seconds in arrival.raises:
            self.plan(max(at, arrival.at), _Kind.RAISED, 0, arrival.item.id)

    def raise_(self, at: datetime, item_id: int) -> None:
        """A signal moves an item forward, if it still waits."""
        item, arrival = self.kernel.item(item_id), self.arrivals[item_id]
        if item is not None:
            seconds = sum(seconds for when, seconds in arrival.raises if max(when, arrival.at) == at)
            rank = item.rank - timedelta(seconds=seconds)
            self.kernel.put_item(replace(item, version=item.version + 1, rank=rank))

    def happen(self, at: datetime, kind: _Kind, agent_id: int, item_id: int) -> None:
        hand = self.hands[agent_id]
        agent = hand.agent
        changes: dict[str, Any] = {}
        match kind:
            case _Kind.ON | _Kind.OFF:
                hand.here = kind == _Kind.ON
                changes = {"present": hand.here, "available_since": at}
            case _Kind.TAKEN:
                changes = {"asked": agent.asked - 1}
            case _Kind.DONE:
                changes = self._put_down(hand, item_id, at)
            case _Kind.REFUSED:
                changes = {"asked": agent.asked - 1, **self._refuse(hand, item_id, at)}
            case _Kind.PARKED:
                changes = self._carry(agent, item_id, -1)
            case _Kind.BACK:
                changes = self._carry(agent, item_id, 1)
        free = hand.wrapped_until is None or hand.wrapped_until <= at
        hand.agent = replace(agent, ready=hand.here and free, **changes)
        self.kernel.put_agent(hand.agent)

    def _put_down(self, hand: _Hand, item_id: int, at: datetime) -> dict[str, Any]:
        item, agent = self.arrivals[item_id].item, hand.agent
        wrap_up = self.stations[self.waiting.pop(item_id)].wrap_up
        if wrap_up:
            until = at + timedelta(seconds=wrap_up)
            hand.wrapped_until = until if hand.wrapped_until is None else max(until, hand.wrapped_until)
            self.plan(until, _Kind.AWAKE, agent.id)
        return {**self._carry(agent, item.id, -1), "available_since": at}

    def _carry(self, agent: Agent, item_id: int, sign: int) -> dict[str, Any]:
        """One item more or less in an agent's hands."""
        item = self.arrivals[item_id].item
        loads = {**agent.loads, item.channel: agent.loads.get(item.channel, 0) + sign}
        return {"load": agent.load + sign * item.weight, "loads": loads}

    def _refuse(self, hand: _Hand, item_id: int, at: datetime) -> dict[str, Any]:
        """Back to its queue with its rank, and not to the same agent for a while."""
        item = self.offered.pop(item_id)
        until = at + timedelta(seconds=self.stations[item.queue_id].reoffer_after)
        refused = {**item.refused, hand.agent.id: until}
        self.kernel.put_item(replace(item, version=item.version + 1, refused=refused))
        return self._carry(hand.agent, item_id, -1)

    def decide(self, now: datetime) -> None:
        for decision in self.kernel.run(now):
            if isinstance(decision, Match):
                self._give(decision.item, decision.agent_id, now)
            else:
                self.waiting[decision.item.id] = decision.to

    def _give(self, item: Item, agent_id: int, now: datetime) -> None:
        """Count what the kernel has counted for itself, and plan when the item is taken and done."""
        hand, arrival, agent = self.hands[agent_id], self.arrivals[item.id], self.hands[agent_id].agent
        since = max(now, agent.available_since)
        hand.agent = replace(agent, **self._carry(agent, item.id, 1), asked=agent.asked + 1, available_since=since)
        by_itself, before = self.stations[item.queue_id].auto_accept, self.refused[item.id]
        if before < len(arrival.refusals) and not by_itself:
            self.refused[item.id] += 1
            self.offered[item.id] = item
            self.plan(now + timedelta(seconds=arrival.refusals[before]), _Kind.REFUSED, agent_id, item.id)
            return
        taken = now + timedelta(seconds=0 if by_itself else self.accept_seconds)
        done = taken + timedelta(seconds=arrival.handling + arrival.parked)
        self.plan(taken, _Kind.TAKEN, agent_id, item.id)
        parked = self._park(arrival, taken, agent_id)
        self.plan(done, _Kind.DONE, agent_id, item.id)
        over = item.queue_id != arrival.item.queue_id
        self.fates[item.id] = Fate(
            arrival.item, arrival.due_at, over, agent_id, now, taken, done, parked=parked, refused=before
        )

    def _park(self, arrival: Arrival, taken: datetime, agent_id: int) -> Span | None:
        if not arrival.parked:
            return None
        aside = taken + timedelta(seconds=arrival.handling / 2)
        back = aside + timedelta(seconds=arrival.parked)
        self.plan(aside, _Kind.PARKED, agent_id, arrival.item.id)
        self.plan(back, _Kind.BACK, agent_id, arrival.item.id)
        return aside, back


def rehearse(
    stations: Iterable[Station],
    workers: Sequence[Worker],
    arrivals: Iterable[Arrival],
    *,
    accept_seconds: float = 5.0,
    progress: Callable[[int], None] | None = None,
) -> Outcome:
    """Let it happen. `progress` is told, now and then, how many arrivals were let in; what it raises ends the rehearsal.

    Raises:
        ValueError: two arrivals have the same id, or one's queue has no station.
    """
    run = _begin({station.queue.id: station for station in stations}, workers, accept_seconds)
    coming = sorted(arrivals, key=lambda one: (one.at, one.item.id))
    if len({one.item.id for one in coming}) < len(coming) or any(
        one.item.queue_id not in run.stations for one in coming
    ):
        raise ValueError("Each arrival needs an id of its own, and a queue that takes part.")
    let_in = steps = 0
    now = None
    while let_in < len(coming) or run.heap:
        now = _next(run, coming[let_in].at if let_in < len(coming) else None)
        while run.heap and run.heap[0][0] <= now:
            at, kind, _, agent_id, item_id = heappop(run.heap)
            if kind == _Kind.RAISED:
                run.raise_(at, item_id)
            else:
                run.happen(at, kind, agent_id, item_id)
        while let_in < len(coming) and coming[let_in].at <= now:
            run.arrive(coming[let_in])
            let_in += 1
        run.decide(now)
        steps += 1
        if progress is not None and steps % TELL_EVERY == 0:
            progress(let_in)
    return Outcome(tuple(run.fates.get(one.item.id) or _unserved(run, workers, one, now) for one in coming), now)


def _begin(stations: Mapping[int, Station], workers: Sequence[Worker], accept_seconds: float) -> _Run:
    out = {worker.agent.id: replace(worker.agent, ready=False, present=False, load=0, loads={}) for worker in workers}
    run = _Run(stations, {agent_id: _Hand(agent) for agent_id, agent in out.items()}, accept_seconds)
    for station in stations.values():
        run.kernel.put_queue(station.queue)
    for worker in workers:
        run.kernel.put_agent(out[worker.agent.id])
        for start, end in merged(worker.shifts):
            run.plan(start, _Kind.ON, worker.agent.id)
            run.plan(end, _Kind.OFF, worker.agent.id)
    heapify(run.heap)
    return run


def _next(run: _Run, arrival: datetime | None) -> datetime:
    """The next moment at which anything happens: there is one, as something comes or is planned."""
    planned = run.heap[0][0] if run.heap else None
    return min(at for at in (arrival, planned, run.kernel.next_at()) if at is not None)


def merged(spans: Iterable[Span]) -> list[Span]:
    """The spans in order, with those that touch or overlap made one, and those without length left out."""
    found: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _unserved(run: _Run, workers: Sequence[Worker], arrival: Arrival, now: datetime | None) -> Fate:
    queue_id = run.waiting[arrival.item.id]
    item = replace(arrival.item, queue_id=queue_id)
    over = queue_id != arrival.item.queue_id
    why = _why(run.stations[queue_id].queue, workers, item, now)
    return Fate(arrival.item, arrival.due_at, over, why=why, refused=run.refused[item.id])


def _why(queue: Queue, workers: Sequence[Worker], item: Item, now: datetime | None) -> Unserved:
    """The first reason, in their order, that holds for everybody."""
    members = [worker for worker in workers if queue.id in worker.agent.queues]
    if not members:
        return Unserved.NO_MEMBER
    needs = needs_at(item, now)
    skilled = [worker for worker in members if meets(worker.agent.skills, needs)]
    if not skilled:
        return Unserved.NO_SKILL
    least = 1 if item.emergency and queue.emergency_over else item.weight
    roomy = [w for w in skilled if w.agent.capacity >= least and w.agent.caps.get(item.channel, 1) > 0]
    if not roomy:
        return Unserved.NO_ROOM
    later = any(end > item.ready_at for worker in roomy for _, end in merged(worker.shifts))
    return Unserved.NO_TIME if later else Unserved.NOBODY_IN
