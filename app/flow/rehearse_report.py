"""A rehearsal's result as rows to read: each figure before and after, and whether that is better."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

SAME_SHARE = 0.05  # per cent points; and seconds: what differs by less is drawn as the same
SAME_SECONDS = 0.5


class Trend(StrEnum):
    """What a change is for the customers."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same"
    OTHER = "other"  # neither good nor bad by itself


@dataclass(frozen=True, slots=True)
class Change:
    """One figure before and after; None where there is none (no items, no such queue)."""

    before: float | None
    after: float | None
    trend: Trend


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One queue: shares in per cent, times in seconds. `unserved` counts by `app.routing.rehearsal.Unserved`."""

    name: str
    goal: int
    level: Change
    median: Change
    p90: Change
    longest: Change
    arrived: Change
    overflowed: Change
    refused: Change
    unserved: Change
    unserved_before: Mapping[str, int]
    unserved_after: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class AgentRow:
    """One agent: occupancy in per cent, and how many items they got, in all and by queue."""

    name: str
    occupancy: Change
    got: Change
    got_before: Mapping[str, int]
    got_after: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Report:
    """The whole result."""

    lines: tuple[str, ...]
    came: int
    modelled: Mapping[str, float]  # what of the past was repeated; empty in results of earlier versions
    discarded: Change
    queues: tuple[QueueRow, ...]
    agents: tuple[AgentRow, ...]


def report(result: Mapping[str, Any]) -> Report:
    """Read what `app.flow.rehearse.compare` gave."""
    before, after = result["before"], result["after"]
    return Report(
        tuple(result["lines"]),
        result["came"],
        result.get("modelled", {}),
        _change(before, after, "discarded", _neither),
        tuple(_queue_rows(before["queues"], after["queues"])),
        tuple(_agent_rows(before["agents"], after["agents"])),
    )


def _queue_rows(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[QueueRow]:
    for name in sorted({*before, *after}, key=str.casefold):
        old, new = before.get(name, {}), after.get(name, {})
        yield QueueRow(
            name=name,
            goal=(new or old)["goal"],
            level=_change(old, new, "service_level", _more_is_better),
            median=_change(old, new, "median", _less_is_better),
            p90=_change(old, new, "p90", _less_is_better),
            longest=_change(old, new, "longest", _less_is_better),
            arrived=_change(old, new, "arrived", _neither),
            overflowed=_change(old, new, "overflowed", _neither),
            refused=_change(old, new, "refused", _neither),
            unserved=_pair(_total(old.get("unserved")), _total(new.get("unserved")), _less_is_better),
            unserved_before=old.get("unserved", {}),
            unserved_after=new.get("unserved", {}),
        )


def _agent_rows(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[AgentRow]:
    both = {key: (before.get(key, {}), after.get(key, {})) for key in {*before, *after}}
    for old, new in sorted(both.values(), key=lambda pair: (pair[1] or pair[0])["name"].casefold()):
        occupancy = _change(old, new, "occupancy", _neither)
        if occupancy.before is None and occupancy.after is None:
            continue  # was never in
        got = _pair(_total(old.get("got")), _total(new.get("got")), _neither)
        yield AgentRow((new or old)["name"], occupancy, got, old.get("got", {}), new.get("got", {}))


def _total(counts: Mapping[str, int] | None) -> int | None:
    return None if counts is None else sum(counts.values())


def _change(
    old: Mapping[str, Any], new: Mapping[str, Any], name: str, judged: Callable[[float, float], Trend]
) -> Change:
    return _pair(old.get(name), new.get(name), judged)


def _pair(before: float | None, after: float | None, judged: Callable[[float, float], Trend]) -> Change:
    return Change(before, after, Trend.OTHER if before is None or after is None else judged(before, after))


def _more_is_better(before: float, after: float) -> Trend:
    if abs(after - before) < SAME_SHARE:
        return Trend.SAME
    return Trend.BETTER if after > before else Trend.WORSE


def _less_is_better(before: float, after: float) -> Trend:
    if abs(after - before) < SAME_SECONDS:
        return Trend.SAME
    return Trend.BETTER if after < before else Trend.WORSE


def _neither(before: float, after: float) -> Trend:
    return Trend.SAME if abs(after - before) < SAME_SHARE else Trend.OTHER
