"""What the kernel decides and how it explains itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import reduce
from operator import and_
from typing import NamedTuple, TypeAlias

from app.routing.inputs import Item, Policy


class Rejection(StrEnum):
    """Why an agent does not get an item; when several hold, the first in this order is told."""

    NOT_MEMBER = "not_member"
    SKILL = "skill"  # lacks one, or its level is too low now
    REFUSED = "refused"  # declined or missed it a short while ago
    ABSENT = "absent"  # not signed in
    NOT_READY = "not_ready"
    NO_ROOM = "no_room"
    CHANNEL_FULL = "channel_full"
    ASKED = "asked"  # has as many open offers as they may have
    KEPT = "kept"  # the item waits for its preferred agent


class Candidate(NamedTuple):
    """An agent who could take the item, with what the policies compare."""

    agent_id: int
    available_since: datetime
    spare: int  # capacity minus load
    margin: int  # see `app.routing.rules.margin`


@dataclass(frozen=True, slots=True)
class Sight:
    """Who stood where when a decision was made: a bit for each agent, so that keeping it costs nothing.

    `allows` has, for each `Rejection` in order, the agents whom it does not hold back.
    """

    ids: tuple[int, ...]  # by bit; the places of agents who left are 0 in `everyone`
    everyone: int
    allows: tuple[int, ...]

    def rejected(self) -> dict[int, Rejection]:
        """Each agent who could not take the item, with the first reason, by id."""
        found: dict[int, Rejection] = {}
        left = self.everyone
        for reason, allowed in zip(Rejection, self.allows, strict=True):
            for bit in _bits(left & ~allowed):
                found[self.ids[bit]] = reason
            left &= allowed
        return dict(sorted(found.items()))

    def some_rejected(self, most: int) -> tuple[dict[int, Rejection], int]:
        """At most so many of the rejected, by id, and how many there are: what can be kept with every decision."""
        everybody = rest = self.everyone & ~reduce(and_, self.allows)
        left = 0
        for _ in range(min(most, everybody.bit_count())):
            lowest = rest & -rest
            left |= lowest
            rest ^= lowest
        found: dict[int, Rejection] = {}
        for reason, allowed in zip(Rejection, self.allows, strict=True):
            held_back = left & ~allowed
            left ^= held_back
            while held_back:
                lowest = held_back & -held_back
                found[self.ids[lowest.bit_length() - 1]] = reason
                held_back ^= lowest
        return dict(sorted(found.items())), everybody.bit_count()


def _bits(mask: int) -> list[int]:
    return [bit for bit, on in enumerate(reversed(f"{mask:b}")) if on == "1"]


@dataclass(frozen=True, slots=True)
class Match:
    """The item goes to the agent. It has left the kernel; put it again if the offer does not hold."""

    item: Item
    agent_id: int
    policy: Policy
    preferred: bool  # they get it because they know the customer
    candidates: tuple[Candidate, ...]  # the first few in the policy's order, the chosen one first
    total: int  # how many could have taken it
    sight: Sight = field(compare=False, repr=False)


class Cause(StrEnum):
    """Why an item overflows."""

    TIME = "time"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Overflow:
    """The item moves to another queue and keeps its rank. `item` is as it was; later decisions count one version more."""

    item: Item
    to: int
    cause: Cause


Decision: TypeAlias = Match | Overflow


class What(StrEnum):
    """What time alone will change for a waiting item."""

    RELAX = "relax"
    PREFERENCE_ENDS = "preference_ends"
    REFUSAL_ENDS = "refusal_ends"
    OVERFLOW = "overflow"


class Upcoming(NamedTuple):
    """A change to come. Which fields are set follows from `what`; a RELAX without a level drops the skill."""

    at: datetime
    what: What
    skill: int | None = None
    level: int | None = None
    agent_id: int | None = None
    queue_id: int | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A waiting item: what it needs now, who could take it, why each other cannot, and what happens next."""

    item: Item
    needs: Mapping[int, int]
    candidates: tuple[Candidate, ...]  # in the policy's order
    rejected: Mapping[int, Rejection]
    kept_for: int | None  # the preferred agent whom it waits for
    upcoming: tuple[Upcoming, ...]  # soonest first
