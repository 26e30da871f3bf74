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
    """An agent as the kernel sees them. `room` is what they may still carry."""

    id: int
    queues: frozenset[int]
    skills: Mapping[int, int]  # skill id -> level
    available_since: datetime
    room: int


@dataclass(frozen=True, slots=True)
class Match:
    """One decision: the item goes to the agent. `rejected` says why the others do not get it."""

    item: WaitingItem
    agent_id: int
    candidates: tuple[int, ...]  # who could take it, longest available first
    rejected: Mapping[int, Rejection] = field(default_factory=dict)


def match(items: Iterable[WaitingItem], agents: Sequence[ReadyAgent]) -> list[Match]:
    """Decide who is offered what. Agents' rooms shrink as they are given items; nobody is filled over."""
    room = {agent.id: agent.room for agent in agents}
    order = {agent.id: (agent.available_since, agent.id) for agent in agents}
    turns = 0  # who was just given an item comes after everybody who was not
    turn: dict[int, int] = dict.fromkeys(room, 0)
    matches = []
    for item in sorted(items, key=lambda item: (item.rank, item.id)):
        if not any(left > 0 for left in room.values()):
            break
        rejected = {agent.id: no for agent in agents if (no := rejection(item, agent, room[agent.id])) is not None}
        able = sorted((a.id for a in agents if a.id not in rejected), key=lambda i: (turn[i], order[i]))
        if not able:
            continue
        chosen = able[0]
        turns += 1
        turn[chosen] = turns
        room[chosen] -= item.weight
        matches.append(Match(item, chosen, tuple(able), rejected))
    return matches


def rejection(item: WaitingItem, agent: ReadyAgent, room: int) -> Rejection | None:
    """Why the agent cannot take the item now; None if they can."""
    if item.queue_id not in agent.queues:
        return Rejection.NOT_MEMBER
    if any(agent.skills.get(skill, 0) < level for skill, level in item.requirements.items()):
        return Rejection.SKILL
    if room < item.weight:
        return Rejection.NO_ROOM
    if agent.id in item.refused_by:
        return Rejection.REFUSED
    return None
