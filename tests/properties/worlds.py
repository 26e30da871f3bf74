"""Random worlds for the kernel: mostly ordinary, with every rule at play somewhere."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

from app.routing.inputs import Agent, Item, Policy, Queue, Step

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
QUEUES, SKILLS, CHANNELS = (1, 2, 3), (1, 2), ("a", "b")


def at(random: Random, most: int = 60) -> datetime:
    return START + timedelta(seconds=random.randint(0, most))


def sometimes(random: Random, chance: float) -> bool:
    return random.random() < chance


def levels(random: Random, chance: float, low: int, high: int) -> dict[int, int]:
    return {skill: random.randint(low, high) for skill in SKILLS if sometimes(random, chance)}


def some_queue(random: Random, queue_id: int, policy: Policy) -> Queue:
    return Queue(
        queue_id,
        policy,
        emergency_over=sometimes(random, 0.5),
        overflow_to=random.choice(QUEUES) if sometimes(random, 0.5) else None,
        overflow_after=random.randint(0, 90) if sometimes(random, 0.4) else None,
        overflow_when_nobody=sometimes(random, 0.5),
    )


def some_item(random: Random, item_id: int, agents: int) -> Item:
    steps = [Step(random.randint(0, 90), random.choice(SKILLS), random.choice((None, 1, 2))) for _ in range(2)]
    somebody = range(1, agents + 1)
    return Item(
        item_id,
        1,
        random.choice(QUEUES),
        rank=at(random),
        ready_at=at(random),
        channel=random.choice(CHANNELS),
        requirements=levels(random, 0.4, 1, 3),
        steps=tuple(random.sample(steps, random.choice((0, 0, 1, 2)))),
        weight=random.choice((1, 1, 1, 2)),
        preferred=random.choice(somebody) if sometimes(random, 0.3) else None,
        prefer_seconds=random.randint(0, 90),
        refused={random.choice(somebody): at(random, 120)} if sometimes(random, 0.2) else {},
        emergency=sometimes(random, 0.2),
    )


def some_agent(random: Random, agent_id: int) -> Agent:
    return Agent(
        agent_id,
        frozenset(queue_id for queue_id in QUEUES if sometimes(random, 0.6)),
        available_since=at(random, 5),
        skills=levels(random, 0.7, 1, 4),
        capacity=random.choice((0, 1, 2, 3, 3, 5)),
        load=random.choice((0, 0, 0, 1, 2, 3)),
        caps={channel: random.choice((0, 1, 2)) for channel in CHANNELS if sometimes(random, 0.2)},
        loads={channel: random.choice((0, 1)) for channel in CHANNELS if sometimes(random, 0.3)},
        ready=sometimes(random, 0.7),
        present=sometimes(random, 0.7),
        asked=random.choice((0, 0, 0, 1)),
        most_asked=random.choice((0, 1, 1, 2, 3, 5)),
    )


def busier_or_freer(random: Random, agent: Agent) -> Agent:
    """The same person a while later: queues, skills and capacity are as they were."""
    other = some_agent(random, agent.id)
    return replace(
        other,
        queues=agent.queues,
        skills=agent.skills,
        capacity=agent.capacity,
        caps=agent.caps,
        most_asked=agent.most_asked,
    )
