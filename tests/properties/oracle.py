"""The rules of matching by brute force: what app/routing/kernel.py must decide, with no regard for speed."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from app.routing.inputs import Agent, Item, Policy, Queue


@dataclass
class World:
    queues: dict[int, Queue] = field(default_factory=dict)
    items: dict[int, Item] = field(default_factory=dict)
    agents: dict[int, Agent] = field(default_factory=dict)
    turns: dict[int, int] = field(default_factory=dict)  # of those who were given an item and not put since


def needs(item: Item, now: datetime) -> dict[int, int]:
    found = dict(item.requirements)
    for step in item.steps:
        if step.skill in found and (now - item.ready_at).total_seconds() >= step.after_seconds:
            found[step.skill] = min(found[step.skill], step.level or 0)
    return found


def one_day(item: Item, agent: Agent, queue: Queue, now: datetime) -> bool:
    over = item.emergency and queue.emergency_over and agent.capacity > 0
    skilled = all(agent.skills.get(skill, 0) >= level for skill, level in needs(item, now).items())
    room = (item.weight <= agent.capacity or over) and agent.caps.get(item.channel, 1) > 0 and agent.most_asked > 0
    return (agent.present or agent.ready) and queue.id in agent.queues and skilled and room


def free(item: Item, agent: Agent, queue: Queue, now: datetime) -> bool:
    over = item.emergency and queue.emergency_over and agent.load <= agent.capacity
    room = agent.load + item.weight <= agent.capacity or over
    below = agent.loads.get(item.channel, 0) < agent.caps.get(item.channel, 10**9)
    asks = agent.asked < agent.most_asked and not item.refused.get(agent.id, now) > now
    return one_day(item, agent, queue, now) and agent.ready and room and below and asks


def overflow(world: World, item: Item, now: datetime) -> list[tuple[str, int, int]]:
    here = world.queues[item.queue_id]
    there = world.queues.get(here.overflow_to or 0)
    if there is None or there.id in item.left or there is here:
        return []
    late = here.overflow_after is not None and (now - item.ready_at).total_seconds() >= here.overflow_after
    able = [
        any(one_day(item, a, q, datetime.max.replace(tzinfo=now.tzinfo)) for a in world.agents.values())
        for q in (here, there)
    ]
    if not late and not (here.overflow_when_nobody and able == [False, True]):
        return []
    moved = replace(item, queue_id=there.id, left=item.left | {here.id}, version=item.version + 1)
    world.items[item.id] = moved
    return [("overflow", item.id, there.id), *overflow(world, moved, now)]


def choose(world: World, item: Item, now: datetime) -> Agent | None:
    queue, first = world.queues[item.queue_id], world.agents.get(item.preferred or 0)
    able = [agent for agent in world.agents.values() if free(item, agent, queue, now)]
    waits = first and now < item.ready_at + timedelta(seconds=item.prefer_seconds)
    if first and waits and item.refused.get(first.id, now) <= now and one_day(item, first, queue, now):
        return first if first in able else None
    score: dict[Policy, Callable[[Agent], int]] = {
        Policy.LONGEST_AVAILABLE: lambda agent: 0,
        Policy.MOST_SPARE: lambda agent: agent.load - agent.capacity,
        Policy.BEST_SKILLED: lambda agent: -sum(agent.skills.get(s, 0) - need for s, need in item.requirements.items()),
    }
    return min(
        able, key=lambda a: (score[queue.policy](a), a.available_since, world.turns.get(a.id, 0), a.id), default=None
    )


def run(world: World, now: datetime) -> list[tuple[str, int, int]]:
    """Overflows (item, queue) and matches (item, agent) in order; the world is changed accordingly."""
    items = sorted(world.items.values(), key=lambda item: (item.rank, item.id))
    decided = [move for item in items for move in overflow(world, item, now)]
    for item in [world.items[item.id] for item in items]:
        agent = choose(world, item, now)
        if agent is not None:
            loads = {**agent.loads, item.channel: agent.loads.get(item.channel, 0) + 1}
            since, load = max(now, agent.available_since), agent.load + item.weight
            world.agents[agent.id] = replace(
                agent, load=load, loads=loads, asked=agent.asked + 1, available_since=since
            )
            world.turns[agent.id] = max(world.turns.values(), default=0) + 1
            del world.items[item.id]
            decided.append(("match", item.id, agent.id))
    return decided
