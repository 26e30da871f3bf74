"""A lane: waiting items that exactly the same agents may take, as a heap by rank."""

from datetime import datetime
from heapq import heapify, heappop, heappush
from typing import NamedTuple, TypeAlias

from app.routing.line import Place

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

    __slots__ = ("able", "generation", "heap", "kind", "members", "place", "ranks", "skilled")

    def __init__(self, kind: Kind) -> None:
        """Start empty. `able` to `generation` are the roster's to fill in, `place` is the lanes'."""
        self.kind = kind
        self.heap: list[Head] = []
        self.ranks: dict[int, datetime] = {}
        self.able = self.members = self.skilled = 0
        self.generation = -1
        self.place: Place | None = None

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
