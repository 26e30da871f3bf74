"""Agents in order of availability, with a quick answer to "who of these comes first?"."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from datetime import datetime
from typing import TypeAlias

Place: TypeAlias = tuple[datetime, int, int, int]  # available since, turn, agent id, the agent's bit
SIZE = 48  # places in a chunk: as many steps inside one as chunks for some two thousand agents


class Line:
    """A sorted list in chunks. Each chunk knows whose bits are in it, so chunks without any wanted agent are skipped."""

    def __init__(self) -> None:
        """Start with nobody."""
        self._chunks: list[list[Place]] = []
        self._masks: list[int] = []
        self._lasts: list[Place] = []

    def add(self, place: Place) -> None:
        """Add a place that is not in the line."""
        if not self._chunks:
            self._chunks, self._masks, self._lasts = [[place]], [place[3]], [place]
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
        if chunk:
            self._masks[at] ^= place[3]
            self._lasts[at] = chunk[-1]
        else:
            del self._chunks[at], self._masks[at], self._lasts[at]

    def walk(self, wanted: int) -> Iterator[int]:
        """The ids of the agents whose bits are in `wanted`, longest available first."""
        for mask, chunk in zip(self._masks, self._chunks, strict=True):
            here = wanted & mask
            if here:
                yield from [place[2] for place in chunk if here & place[3]]

    def _split(self, at: int) -> None:
        chunk = self._chunks[at]
        halves = [chunk[:SIZE], chunk[SIZE:]]
        self._chunks[at : at + 1] = halves
        self._masks[at : at + 1] = [sum(place[3] for place in half) for half in halves]
        self._lasts[at : at + 1] = [half[-1] for half in halves]
