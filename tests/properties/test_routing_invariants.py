"""On large random worlds, whatever the order of events: nobody is overfilled, nobody unskilled is asked, none is left."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.routing.bounds import QueueOrder, overtaking
from app.routing.decisions import Match, Overflow
from app.routing.inputs import Agent, Item, Policy, Queue
from app.routing.kernel import Kernel
from app.routing.rules import goes_over, meets, needs_at, refuses
from tests.properties.worlds import QUEUES, START, some_agent, some_item, some_queue

AGENTS, ITEMS = 60, 600
BOOSTS = {1: (30, 10, 0, -10, -30), 2: (60, 60, 0, 0, 0), 3: (0, 0, 0, 0, 0)}  # minutes, P1 to P5


@dataclass
class Floor:
    """The outside world: it obeys every decision and checks it against what it knows."""

    kernel: Kernel
    queues: dict[int, Queue]
    agents: dict[int, Agent]
    items: dict[int, Item]

    def obey(self, now: datetime) -> None:
        for decision in self.kernel.run(now):
            if isinstance(decision, Overflow):
                left = decision.item.left | {decision.item.queue_id}
                moved = replace(decision.item, queue_id=decision.to, left=left, version=decision.item.version + 1)
                assert moved.rank == self.items[decision.item.id].rank
                self.items[decision.item.id] = moved
            else:
                self.give(decision, now)

    def give(self, match: Match, now: datetime) -> None:
        item, agent = self.items.pop(match.item.id), self.agents[match.agent_id]
        assert match.item == item
        queue = self.queues[item.queue_id]
        assert agent.ready
        assert item.queue_id in agent.queues
        assert meets(agent.skills, needs_at(item, now))
        assert not refuses(item, agent.id, now)
        assert agent.asked < agent.most_asked
        most = agent.capacity if not goes_over(item, queue) else max(agent.capacity, agent.load) + item.weight
        assert agent.load <= agent.capacity
        assert agent.load + item.weight <= most
        assert agent.loads.get(item.channel, 0) < agent.caps.get(item.channel, 10**9)
        self.agents[agent.id] = replace(loaded(agent, item), available_since=now)

    def nobody_is_left(self, now: datetime) -> None:
        for item in self.items.values():
            for agent in self.agents.values():
                assert self.kernel.explain_pair(item, agent, now) is not None


def loaded(agent: Agent, item: Item) -> Agent:
    loads = {**agent.loads, item.channel: agent.loads.get(item.channel, 0) + 1}
    return replace(agent, load=agent.load + item.weight, loads=loads, asked=agent.asked + 1)


def a_floor(random: Random, policy: Policy) -> Floor:
    floor = Floor(Kernel(), {q: some_queue(random, q, policy) for q in QUEUES}, {}, {})
    for queue_id in QUEUES:
        floor.kernel.put_queue(Queue(queue_id))
    for queue in floor.queues.values():
        floor.kernel.put_queue(queue)
    return floor


@pytest.mark.parametrize("policy", Policy)
def test_nobody_is_overfilled_or_unskilled_and_no_pair_is_left(policy: Policy) -> None:
    @settings(max_examples=8, deadline=None)
    @given(st.integers(0, 2**32))
    def check(seed: int) -> None:
        random = Random(seed)
        floor, now = a_floor(random, policy), START
        for number in range(1, ITEMS + 1):
            now += timedelta(seconds=random.choice((0, 0, 1)))
            item = some_item(random, number, AGENTS)
            floor.items[number] = item
            floor.kernel.put_item(item)
            agent = some_agent(random, random.randint(1, AGENTS))
            floor.agents[agent.id] = agent
            floor.kernel.put_agent(agent)
            if random.random() < 0.5:
                floor.obey(now)
        floor.obey(now)
        floor.nobody_is_left(now)

    check()


def test_no_item_is_overtaken_by_one_that_came_later_than_the_bound_allows() -> None:
    orders = [QueueOrder(queue_id, f"Queue {queue_id}", boosts) for queue_id, boosts in BOOSTS.items()]

    @settings(max_examples=10, deadline=None)
    @given(st.integers(0, 2**32))
    def check(seed: int) -> None:
        random, kernel, waiting = Random(seed), Kernel(), {}
        for queue_id in QUEUES:
            kernel.put_queue(Queue(queue_id))
        team = [replace(some_agent(random, n), ready=False) for n in range(1, 13)]
        bound = {(one.queue_id, one.priority): one.minutes for one in overtaking(orders, team)}
        priorities = {}
        for number in range(1, 401):
            now = START + timedelta(minutes=number / 4)
            item = some_item(random, number, 12)
            priorities[number] = random.randint(1, 5)
            boost = timedelta(minutes=BOOSTS[item.queue_id][priorities[number] - 1])
            waiting[number] = replace(item, ready_at=now, rank=now - boost, steps=(), refused={}, preferred=None)
            kernel.put_item(waiting[number])
            free = replace(random.choice(team), ready=True, load=0, loads={}, asked=0, available_since=now)
            kernel.put_agent(free)
            for match in kernel.run(now):
                assert isinstance(match, Match)
                taken = waiting.pop(match.item.id)
                for other in waiting.values():
                    ahead = taken.ready_at - other.ready_at
                    if ahead > timedelta() and kernel.explain_pair(other, free, now) is None:  # as it was before
                        assert ahead <= timedelta(minutes=bound[other.queue_id, priorities[other.id]])
                free = loaded(free, taken)
            kernel.put_agent(replace(free, ready=False))

    check()
