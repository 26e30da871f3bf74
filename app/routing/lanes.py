"""All lanes, in order of their heads, so that an agent finds the first they may serve without looking at each."""

from collections.abc import Iterator
from datetime import datetime

from app.routing.lane import Kind, Lane
from app.routing.line import Line
from app.routing.roster import Roster


class Lanes:
    """The lanes that are not empty. Their order is brought up to date when it is asked for."""

    def __init__(self, roster: Roster) -> None:
        """Start without any."""
        self.over: set[Lane] = set()  # those whose items may go above capacity
        self._roster = roster
        self._by_kind: dict[Kind, Lane] = {}
        self._order = Line()  # of heads, with the agents who are able to serve the lane
        self._by_head: dict[int, Lane] = {}  # as the order has it
        self._displaced: set[Lane] = set()  # their place in the order is not right any more
        self._generation = 0

    def add(self, kind: Kind, item_id: int, rank: datetime) -> Lane:
        """Add an item that is in no lane to that of its kind."""
        lane = self._by_kind.get(kind)
        if lane is None:
            lane = self._by_kind[kind] = Lane(kind)
            if kind.over:
                self.over.add(lane)
        lane.add(item_id, rank)
        if lane.place is None or (rank, item_id) < (lane.place[0], lane.place[2]):
            self._displaced.add(lane)
        return lane

    def leave(self, lane: Lane, item_id: int) -> None:
        """Take an item out of its lane; an empty lane goes away."""
        lane.remove(item_id)
        if lane.place is not None and lane.place[2] == item_id:
            self._displaced.add(lane)
        if not lane.ranks:
            del self._by_kind[lane.kind]
            self.over.discard(lane)

    def open_to(self, agents: int) -> Iterator[Lane]:
        """The lanes that some of the agents are able to serve, first head first, as they stand now.

        What leaves its lane meanwhile does not disturb the walk; nothing may be added until it ends.
        """
        if not agents:
            return iter(())
        self._tidy()
        return (self._by_head[item_id] for item_id in self._order.walk(agents))

    def _tidy(self) -> None:
        if self._generation != self._roster.generation:
            self._generation = self._roster.generation
            self._order, self._by_head, self._displaced = Line(), {}, set(self._by_kind.values())
            for lane in self._displaced:
                lane.place = None
        for lane in self._displaced:
            if lane.place is not None:
                self._order.remove(lane.place)
                del self._by_head[lane.place[2]]
                lane.place = None
        for lane in self._displaced:
            if lane.ranks:
                rank, item_id = lane.head()
                lane.place = (rank, 0, item_id, self._roster.able(lane))
                self._order.add(lane.place)
                self._by_head[item_id] = lane
        self._displaced.clear()
