"""A sorted line in which each place carries bits, with a quick answer to "which with one of these bits come first?".

Agents stand in one by availability, each with their own bit; lanes in another by head, with the bits of all who may
serve them.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from datetime import datetime
from functools import reduce
from operator import or_
from typing import TypeAlias

Place: TypeAlias = tuple[datetime, int, int, int]  # time, then turn, id, and the bits
SIZE = 48  # places in a chunk: as many steps inside one as chunks for some two thousand places
STALE = 8  # removals before a chunk's mask is made anew; until then it may have bits that nobody in it has


class Line:
    """A sorted list in chunks. Each chunk knows which bits are in it, so chunks without any wanted bit are skipped."""

    def __init__(self) -> None:
        """Start empty."""
        self._chunks: list[list[Place]] = []
        self._masks: list[int] = []
        self._removed: list[int] = []  # since the mask was made
        self._lasts: list[Place] = []

    def add(self, place: Place) -> None:
        """Add a place that is not in the line."""
        if not self._chunks:
            self._chunks, self._masks, self._removed, self._lasts = [[place]], [place[3]], [0], [place]
            return
        at = min(bisect_left(self._lasts, place), len(self._chunks) - 1)
        insort(self._chunks[at], place)
        self._masks[at] |= place[3]
        self._lasts[at] = self._chunks[at][-1]
        if len(self._chunks[at]) > 2 * SIZE:
            self._split(at)

    def remove(self, place: Place) -> None:
        """Remove a place that is in the line."""
        at = bisect_left(self._lasts, place)
        chunk = self._chunks[at]
        del chunk[bisect_left(chunk, place)]
        if not chunk:
            del self._chunks[at], self._masks[at], self._removed[at], self._lasts[at]
            return
        self._lasts[at] = chunk[-1]
        self._removed[at] += 1
        if self._removed[at] >= STALE:
            self._masks[at], self._removed[at] = _union(chunk), 0

    def walk(self, wanted: int) -> Iterator[int]:
        """The ids of the places that have a wanted bit, in order."""
        for mask, chunk in zip(self._masks, self._chunks, strict=True):
            here = wanted & mask
            if here:
                for place in chunk:
                    if here & place[3]:
                        yield place[2]

    def _split(self, at: int) -> None:
        chunk = self._chunks[at]
        halves = [chunk[:SIZE], chunk[SIZE:]]
        self._chunks[at : at + 1] = halves
        self._masks[at : at + 1] = [_union(half) for half in halves]
        self._removed[at : at + 1] = [0, 0]
        self._lasts[at : at + 1] = [half[-1] for half in halves]


def _union(chunk: list[Place]) -> int:
    return reduce(or_, (place[3] for place in chunk))
