"""The waiting items: in which lane each stands, when it must be looked at again, when it moves to another queue."""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import heappop, heappush
from typing import TypeVar

from app.routing.decisions import Cause, Overflow
from app.routing.inputs import Item, Queue
from app.routing.lane import Kind, Lane, Levels
from app.routing.lanes import Lanes
from app.routing.roster import Roster
from app.routing.rules import after, goes_over, kept_for, needs_at, overflow_target, upcoming

NOBODY: frozenset[int] = frozenset()

Key = TypeVar("Key", int, Kind)


@dataclass(slots=True, eq=False)
class Place:
    """Where an item stands. `reach` is set when it overflows as soon as nobody could ever serve that kind."""

    item: Item
    wanted: Levels
    lane: Lane | None = None
    alarm: datetime | None = None
    reach: Kind | None = None


class Waiting:
    """All waiting items. What comes or changes is only noted, and finds its lane in `settle`, when the time is known."""

    def __init__(self, roster: Roster) -> None:
        """Start with nothing."""
        self.queues: dict[int, Queue] = {}
        self.lanes = Lanes(roster)
        self.stirred: set[Lane] = set()  # lanes that an item came to; the matching empties it
        self._roster = roster
        self._places: dict[int, Place] = {}
        self._unsettled: set[int] = set()
        self._alarms: list[tuple[datetime, int]] = []
        self._fans: defaultdict[int, set[int]] = defaultdict(set)  # preferred agent -> items
        self._reaches: defaultdict[Kind, set[int]] = defaultdict(set)
        self._reach_changed = False

    def get(self, item_id: int) -> Item | None:
        """The item, if it waits."""
        place = self._places.get(item_id)
        return None if place is None else place.item

    def put_queue(self, queue: Queue) -> None:
        """Add or change a queue; everything is looked at again."""
        items = [place.item for place in self._places.values()]
        for item in items:
            self.drop(item.id)
        self.queues[queue.id] = queue
        for item in items:
            self.put(item)

    def put(self, item: Item) -> None:
        """Add an item that does not wait."""
        place = self._places[item.id] = Place(
            item, tuple(sorted(item.requirements.items())) if item.requirements else ()
        )
        self._unsettled.add(item.id)
        if item.preferred is not None:
            self._fans[item.preferred].add(item.id)
        queue = self.queues[item.queue_id]
        if queue.overflow_when_nobody and overflow_target(item, queue, self.queues) is not None:
            place.reach = self._reach(item, queue)
            self._reaches[place.reach].add(item.id)

    def drop(self, item_id: int) -> None:
        """Take out an item that waits."""
        place = self._places.pop(item_id)
        self._unsettled.discard(item_id)
        if place.lane is not None:
            self.lanes.leave(place.lane, item_id)
        if place.item.preferred is not None:
            _discard(self._fans, place.item.preferred, item_id)
        if place.reach is not None:
            _discard(self._reaches, place.reach, item_id)

    def agent_changed(self, agent_id: int) -> None:
        """Look again at what depends on whether this agent could ever serve it."""
        self._reach_changed = True
        self._unsettled |= self._fans.get(agent_id, set())

    def settle(self, now: datetime) -> list[Overflow]:
        """Move what is due to overflow, and put every item whose place may have changed into its lane."""
        while self._alarms and self._alarms[0][0] <= now:
            at, item_id = heappop(self._alarms)
            if self._rings(at, item_id):
                self._unsettled.add(item_id)
        if self._reach_changed:
            self._reach_changed = False
            lost = [ids for kind, ids in self._reaches.items() if not self._roster.anyone_one_day(kind)]
            self._unsettled.update(*lost)
        moves: list[Overflow] = []
        for item_id in list(self._unsettled):
            place = self._places[item_id]
            if self.queues[place.item.queue_id].overflow_to is not None:
                moves += self._overflow(item_id, now)
                place = self._places[item_id]
            self._settle(place, now)
        self._unsettled.clear()
        return sorted(moves, key=lambda move: (move.item.rank, move.item.id))

    def next_at(self) -> datetime | None:
        """The earliest time at which an item must be looked at again."""
        while self._alarms and not self._rings(*self._alarms[0]):
            heappop(self._alarms)
        return self._alarms[0][0] if self._alarms else None

    def kind(self, item: Item, wanted: Levels, now: datetime) -> Kind:
        """The kind of an item at `now`."""
        queue = self.queues[item.queue_id]
        needs = tuple(sorted(needs_at(item, now).items())) if item.steps else wanted
        refused, only = NOBODY, None
        if item.refused:
            refused = frozenset(agent_id for agent_id, until in item.refused.items() if until > now)
        if item.preferred is not None and kept_for(item, self._roster.agents.get(item.preferred), queue, now):
            only = item.preferred
        return Kind(queue.id, wanted, needs, item.channel, item.weight, goes_over(item, queue), refused, only)

    def _settle(self, place: Place, now: datetime) -> None:
        item = place.item
        kind = self.kind(item, place.wanted, now)
        if place.lane is None or place.lane.kind != kind:
            if place.lane is not None:
                self.lanes.leave(place.lane, item.id)
            place.lane = self.lanes.add(kind, item.id, item.rank)
            self.stirred.add(place.lane)
        queue = self.queues[item.queue_id]
        if item.steps or item.refused or item.preferred is not None or queue.overflow_after is not None:
            place.alarm = min((one.at for one in upcoming(item, queue, self.queues, now)), default=None)
            if place.alarm is not None:
                heappush(self._alarms, (place.alarm, item.id))

    def _overflow(self, item_id: int, now: datetime) -> list[Overflow]:
        moves = []
        item = self._places[item_id].item
        while (move := self._due(item, now)) is not None:
            moves.append(move)
            self.drop(item_id)
            item = replace(item, queue_id=move.to, left=item.left | {item.queue_id}, version=item.version + 1)
            self.put(item)
        return moves

    def _due(self, item: Item, now: datetime) -> Overflow | None:
        queue = self.queues[item.queue_id]
        to = overflow_target(item, queue, self.queues)
        if to is None:
            return None
        if queue.overflow_after is not None and after(item, queue.overflow_after) <= now:
            return Overflow(item, to, Cause.TIME)
        if queue.overflow_when_nobody and self._stranded(item, queue, self.queues[to]):
            return Overflow(item, to, Cause.NOBODY)
        return None

    def _stranded(self, item: Item, here: Queue, there: Queue) -> bool:
        one_day = self._roster.anyone_one_day
        return not one_day(self._reach(item, here)) and one_day(self._reach(item, there))

    def _reach(self, item: Item, queue: Queue) -> Kind:
        needs = tuple(sorted(needs_at(item, None).items()))
        over = goes_over(item, queue)
        return Kind(queue.id, (), needs, item.channel, item.weight, over, frozenset(), None)

    def _rings(self, at: datetime, item_id: int) -> bool:
        place = self._places.get(item_id)
        return place is not None and place.alarm == at


def _discard(index: dict[Key, set[int]], key: Key, item_id: int) -> None:
    index[key].discard(item_id)
    if not index[key]:
        del index[key]
