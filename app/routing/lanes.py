"""Lanes: waiting items that exactly the same agents may take, each a heap by rank."""

from collections.abc import Iterable
from datetime import datetime
from heapq import heapify, heappop, heappush
from typing import NamedTuple, TypeAlias

Levels: TypeAlias = tuple[tuple[int, int], ...]  # (skill, level), by skill
Head: TypeAlias = tuple[datetime, int]  # rank, item id


class Kind(NamedTuple):
    """All that decides who may take an item now, and who of them should."""

    queue_id: int
    wanted: Levels  # as the item arrived: what best skilled measures
    needs: Levels  # what still holds
    channel: str
    weight: int
    over: bool  # may go above capacity
    refused: frozenset[int]
    only: int | None  # kept for this agent


class Lane:
    """The waiting items of one kind. Items that left stay in the heap until they surface: `ranks` is the truth."""

    __slots__ = ("able", "generation", "heap", "kind", "ranks")

    def __init__(self, kind: Kind) -> None:
        """Start empty. `able` and `generation` are the roster's to fill in."""
        self.kind = kind
        self.heap: list[Head] = []
        self.ranks: dict[int, datetime] = {}
        self.able = 0
        self.generation = -1

    def add(self, item_id: int, rank: datetime) -> None:
        """Add an item that is not in the lane."""
        self.ranks[item_id] = rank
        heappush(self.heap, (rank, item_id))

    def remove(self, item_id: int) -> None:
        """Remove an item that is in the lane."""
        del self.ranks[item_id]
        if len(self.heap) > 2 * len(self.ranks) + 64:
            self.heap = [(rank, item) for item, rank in self.ranks.items()]
            heapify(self.heap)

    def head(self) -> Head:
        """Who is next. The lane must not be empty."""
        while self.ranks.get(self.heap[0][1]) != self.heap[0][0]:
            heappop(self.heap)
        return self.heap[0]


class Lanes:
    """All lanes that are not empty, found by kind, by queue, or by the agent whom their items are kept for."""

    def __init__(self) -> None:
        """Start without any."""
        self._by_kind: dict[Kind, Lane] = {}
        self._of_queue: dict[int, set[Lane]] = {}
        self._for_agent: dict[int, set[Lane]] = {}

    def of(self, kind: Kind) -> Lane:
        """The lane of a kind, made if there is none."""
        lane = self._by_kind.get(kind)
        if lane is None:
            lane = self._by_kind[kind] = Lane(kind)
            self._shelf(kind).add(lane)
        return lane

    def leave(self, lane: Lane, item_id: int) -> None:
        """Take an item out of its lane; an empty lane goes away."""
        lane.remove(item_id)
        if not lane.ranks:
            del self._by_kind[lane.kind]
            self._shelf(lane.kind).discard(lane)

    def of_queues(self, queue_ids: Iterable[int]) -> Iterable[Lane]:
        """The lanes of some queues, without those whose items are kept for somebody."""
        return (lane for queue_id in queue_ids for lane in self._of_queue.get(queue_id, ()))

    def kept_for(self, agent_id: int) -> Iterable[Lane]:
        """The lanes whose items are kept for the agent."""
        return self._for_agent.get(agent_id, ())

    def _shelf(self, kind: Kind) -> set[Lane]:
        if kind.only is None:
            return self._of_queue.setdefault(kind.queue_id, set())
        return self._for_agent.setdefault(kind.only, set())
