"""On small random worlds, with events as they come, the kernel decides exactly what the brute-force rules say."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.routing.decisions import Decision, Match
from app.routing.inputs import Agent, Item, Policy, Queue
from app.routing.kernel import Kernel
from tests.properties import oracle
from tests.properties.worlds import QUEUES, START, busier_or_freer, some_agent, some_item, some_queue, sometimes

ITEMS, AGENTS = 12, 5


def told(decisions: Sequence[Decision]) -> list[tuple[str, int, int]]:
    return [
        ("match", one.item.id, one.agent_id) if isinstance(one, Match) else ("overflow", one.item.id, one.to)
        for one in decisions
    ]


class Both:
    """A kernel and the oracle's world, told the same."""

    def __init__(self) -> None:
        self.kernel, self.world, self.now = Kernel(), oracle.World(), START

    def put_queue(self, queue: Queue) -> None:
        self.kernel.put_queue(queue)
        self.world.queues[queue.id] = queue

    def happen(self, what: Item | Agent | tuple[str, int]) -> None:
        match what:
            case Item():
                self.kernel.put_item(what)
                self.world.items[what.id] = what
            case Agent():
                self.kernel.put_agent(what)
                if self.world.agents.get(what.id) != what:
                    self.world.turns.pop(what.id, None)
                self.world.agents[what.id] = what
            case ("drop item", which):
                self.kernel.drop_item(which)
                self.world.items.pop(which, None)
            case ("drop agent", which):
                self.kernel.drop_agent(which)
                self.world.agents.pop(which, None)
                self.world.turns.pop(which, None)
            case ("wait", length):
                self.now += timedelta(seconds=length)
            case ("change queue", which):
                old = self.world.queues[which]
                self.put_queue(Queue(which, old.policy, not old.emergency_over, old.overflow_to, old.overflow_after))

    def run(self) -> None:
        decisions = self.kernel.run(self.now)
        before = dict(self.world.items)
        assert told(decisions) == oracle.run(self.world, self.now)
        versions = [one.item.version - len(one.item.left) for one in decisions]
        assert all(version == 1 for version in versions)
        self.explained(before)

    def explained(self, before: dict[int, Item]) -> None:
        """Item by item and pair by pair, the reasons are the same, and nobody could take what still waits."""
        for item in self.world.items.values():
            explained = self.kernel.explain_item(item.id, self.now)
            assert explained.item == item
            assert not explained.candidates
            for agent in self.world.agents.values():
                assert self.kernel.explain_pair(item, agent, self.now) == explained.rejected[agent.id]
            assert all(one.at > self.now for one in explained.upcoming)

    def sleep(self) -> None:
        """Nothing happens before the kernel's own next time, and its list of times comes to an end."""
        for _ in range(200):
            at = self.kernel.next_at()
            if at is None:
                break
            assert at > self.now
            assert oracle.run(self.world, at - timedelta(microseconds=1)) == []
            self.now = at
            self.run()
        else:
            pytest.fail("The kernel names new times for ever.")
        assert oracle.run(self.world, self.now + timedelta(days=1)) == []


def happening(random: Random, agents: Mapping[int, Agent], change: bool) -> Item | Agent | tuple[str, int]:
    kind = random.choices(("item", "agent", "drop item", "drop agent", "wait", "change queue"), (8, 6, 1, 0.5, 4, 0.3))[
        0
    ]
    match kind:
        case "item":
            return some_item(random, random.randint(1, ITEMS), AGENTS)
        case "agent":
            agent_id = random.randint(1, AGENTS)
            known = agents.get(agent_id)
            return some_agent(random, agent_id) if known is None or change else busier_or_freer(random, known)
        case "wait":
            return (kind, random.randint(0, 20))
        case _:
            return (kind, random.randint(1, 3))


@pytest.mark.parametrize("policy", Policy)
def test_the_kernel_decides_what_the_rules_say_whatever_happens(policy: Policy) -> None:
    @settings(max_examples=300, deadline=None)
    @given(st.integers(0, 2**32))
    def check(seed: int) -> None:
        random, both = Random(seed), Both()
        changeful = sometimes(random, 0.3)  # else agents keep their queues and skills
        for overflows in (False, True):  # a queue overflows only to one that is known
            for queue_id in QUEUES:
                both.put_queue(some_queue(random, queue_id, policy) if overflows else Queue(queue_id))
        for agent_id in range(1, random.randint(1, AGENTS) + 1):
            both.happen(some_agent(random, agent_id))
        for item_id in range(1, random.randint(1, ITEMS) + 1):
            both.happen(some_item(random, item_id, AGENTS))
        both.run()
        for _ in range(random.randint(0, 20)):
            for _ in range(random.randint(1, 4)):
                both.happen(happening(random, both.world.agents, changeful))
            both.run()
        both.sleep()

    check()
