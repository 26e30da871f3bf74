"""What the kernel is told: queues, waiting items and agents, as plain values. Times are aware datetimes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Policy(StrEnum):
    """How a queue chooses among the agents who could take an item. Ties go to the longest available, then the lower id."""

    LONGEST_AVAILABLE = "longest_available"
    MOST_SPARE = "most_spare"  # the greatest capacity minus load
    BEST_SKILLED = "best_skilled"  # the greatest margin: see `app.routing.rules.margin`


@dataclass(frozen=True, slots=True)
class Queue:
    """A waiting line. It overflows only to a queue that the kernel knows and that the item has not left before."""

    id: int
    policy: Policy = Policy.LONGEST_AVAILABLE
    emergency_over: bool = False  # an emergency item may bring an agent above capacity, by that one item
    overflow_to: int | None = None
    overflow_after: float | None = None  # seconds from ready_at
    overflow_when_nobody: bool = False  # nobody signed in could ever serve the item here, and somebody could there


@dataclass(frozen=True, slots=True)
class Step:
    """From `after_seconds` past ready_at on, a requirement is lowered to `level`, or dropped (None). Never raised."""

    after_seconds: float
    skill: int
    level: int | None


@dataclass(frozen=True, slots=True)
class Item:
    """A waiting item. `rank` orders: the earliest is served first; ties by id."""

    id: int
    version: int
    queue_id: int
    rank: datetime
    ready_at: datetime
    channel: str = ""
    requirements: Mapping[int, int] = field(default_factory=dict)  # skill -> lowest level
    steps: tuple[Step, ...] = ()
    weight: int = 1
    preferred: int | None = None  # the agent who knows this customer
    prefer_seconds: float = 0  # from ready_at: how long the item may wait for them
    refused: Mapping[int, datetime] = field(default_factory=dict)  # agent -> not offered to them before
    emergency: bool = False
    left: frozenset[int] = frozenset()  # queues that it overflowed from


@dataclass(frozen=True, slots=True)
class Agent:
    """Somebody on the roster. `load` is the weight of what they hold or are offered, `loads` its items by channel."""

    id: int
    queues: frozenset[int]
    available_since: datetime  # without a new offer
    skills: Mapping[int, int] = field(default_factory=dict)  # skill -> level
    capacity: int = 1
    load: int = 0
    caps: Mapping[str, int] = field(default_factory=dict)  # channel -> most items of it at once
    loads: Mapping[str, int] = field(default_factory=dict)
    ready: bool = True
    present: bool = True  # signed in, so could become ready; who is ready is present
    asked: int = 0  # open offers
    most_asked: int = 1
