"""Matching: waiting items and ready agents in, decisions out. Pure and deterministic.

Items are served in ascending rank (ties: the lower id). Each goes to an agent who is a member of its queue, has room for
its weight, has every required skill at the level or above, and has not refused it lately; among those, to the one who
has been available longest (ties: the lower id).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Rejection(StrEnum):
    """Why an agent does not get an item."""

    NOT_MEMBER = "not_member"
    SKILL = "skill"  # lacks one, or its level is too low
    NO_ROOM = "no_room"
    ASKED = "asked"  # is deciding about another offer
    REFUSED = "refused"  # declined or missed it a short while ago


@dataclass(frozen=True, slots=True)
class WaitingItem:
    """An item as the kernel sees it. `rank` orders, `refused_by` are agents to whom it is not offered again yet."""

    id: int
    version: int
    queue_id: int
    requirements: Mapping[int, int]  # skill id -> lowest level
    rank: datetime
    weight: int = 1
    refused_by: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class ReadyAgent:
    """An agent as the kernel sees them. `room` is the weight they may still carry."""

    id: int
    queues: frozenset[int]
    skills: Mapping[int, int]  # skill id -> level
    available_since: datetime
    room: int
    asks: int | None = None  # how many offers they may be made now; None: as many as they have room for


@dataclass(frozen=True, slots=True)
class Match:
    """One decision: the item goes to the agent. `rejected` says why the others do not get it."""

    item: WaitingItem
    agent_id: int
    candidates: tuple[int, ...]  # who could take it, longest available first
    rejected: Mapping[int, Rejection] = field(default_factory=dict)


def match(items: Iterable[WaitingItem], agents: Sequence[ReadyAgent]) -> list[Match]:
    """Decide who is offered what. Agents' rooms shrink as they are given items; nobody is filled over."""
    hands = {agent.id: _Hand(agent) for agent in agents}
    turns = 0  # who was just given an item comes after everybody who was not
    matches = []
    for item in sorted(items, key=lambda item: (item.rank, item.id)):
        if not any(hand.open for hand in hands.values()):
            break
        rejected = {i: no for i, hand in hands.items() if (no := _rejection(item, hand)) is not None}
        able = sorted((i for i in hands if i not in rejected), key=lambda i: hands[i].order)
        if not able:
            continue
        turns += 1
        hands[able[0]].give(item, turns)
        matches.append(Match(item, able[0], tuple(able), rejected))
    return matches


class _Hand:
    """An agent during a match: what they can still take, and when it is their turn."""

    def __init__(self, agent: ReadyAgent) -> None:
        self.agent = agent
        self.room = agent.room
        self.asks = agent.asks
        self.turn = 0

    @property
    def open(self) -> bool:
        return self.room > 0 and self.asks != 0

    @property
    def order(self) -> tuple[int, datetime, int]:
        return self.turn, self.agent.available_since, self.agent.id

    def give(self, item: WaitingItem, turn: int) -> None:
        self.room -= item.weight
        self.asks = None if self.asks is None else self.asks - 1
        self.turn = turn


def _rejection(item: WaitingItem, hand: _Hand) -> Rejection | None:
    """Why the agent cannot take the item now; None if they can."""
    agent = hand.agent
    if item.queue_id not in agent.queues:
        return Rejection.NOT_MEMBER
    if any(agent.skills.get(skill, 0) < level for skill, level in item.requirements.items()):
        return Rejection.SKILL
    if hand.room < item.weight:
        return Rejection.NO_ROOM
    if agent.id in item.refused_by:
        return Rejection.REFUSED
    return Rejection.ASKED if hand.asks == 0 else None
