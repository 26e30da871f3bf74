"""Matching, as it goes on: tell the kernel what changed, run it, and it decides.

The rules (tests/properties/oracle.py has them by brute force): items that are due to overflow move first. Then items
are served in ascending rank, ties by id; each goes to the agent whom its queue's policy puts first among those who can
take it now; an item that may wait for its preferred agent waits while that agent could serve it once free. Whoever is
given an item goes to the end of the line.

It costs microseconds however much waits, because after a run no waiting item has an agent who could take it: the next
run looks only at items that came or changed, and at the heads of the lanes that agents who changed may serve.
"""

from datetime import datetime
from heapq import heapify, heappop, heappush, heapreplace

from app.routing.decisions import Decision, Explanation, Match, Rejection
from app.routing.inputs import Agent, Item, Queue
from app.routing.lane import Lane
from app.routing.roster import Roster
from app.routing.rules import rejection, upcoming
from app.routing.waiting import Waiting

MOST_TOLD = 3  # candidates told with a match: the chosen one and who comes next


class Kernel:
    """What waits and who is there, as far as the kernel was told. Deterministic; no clock of its own.

    Everything put replaces what was known under its id; putting the same again changes nothing. After a match the
    kernel counts the item as gone and the agent as asked and loaded, until it is told otherwise.
    """

    def __init__(self) -> None:
        """Start knowing nothing."""
        self._roster = Roster()
        self._waiting = Waiting(self._roster)
        self._fresh: set[int] = set()  # agents who changed since the last run
        self._now: datetime | None = None
        self._turn = 0

    def put_queue(self, queue: Queue) -> None:
        """Add or change a queue. A change costs a look at everything that waits."""
        if self._waiting.queues.get(queue.id) != queue:
            self._waiting.put_queue(queue)

    def put_item(self, item: Item) -> None:
        """Add or change a waiting item.

        Raises:
            KeyError: its queue was not put.
        """
        known = self._waiting.get(item.id)
        if known is not None and known == item:
            return
        if item.queue_id not in self._waiting.queues:
            raise KeyError(f"Item {item.id} waits in queue {item.queue_id}, which the kernel was not told of.")
        if known is not None:
            self._waiting.drop(item.id)
        self._waiting.put(item)

    def drop_item(self, item_id: int) -> None:
        """The item waits no more. Nothing happens when it did not."""
        if self._waiting.get(item_id) is not None:
            self._waiting.drop(item_id)

    def item(self, item_id: int) -> Item | None:
        """A waiting item as it was put, or as an overflow moved it; None when it does not wait."""
        return self._waiting.get(item_id)

    def put_agent(self, agent: Agent) -> None:
        """Add or change an agent."""
        if self._roster.agents.get(agent.id) == agent:
            return
        self._fresh.add(agent.id)
        if self._roster.put(agent):
            self._waiting.agent_changed(agent.id)

    def drop_agent(self, agent_id: int) -> None:
        """The agent is not on the roster any more. Nothing happens when they were not."""
        if agent_id in self._roster.agents:
            self._roster.drop(agent_id)
            self._fresh.discard(agent_id)
            self._waiting.agent_changed(agent_id)

    def run(self, now: datetime) -> list[Decision]:
        """Decide all that can be decided at `now`: overflows, then matches, each in order of rank.

        Time never goes back: an earlier `now` than before counts as the latest.
        """
        now = self._now = now if self._now is None else max(now, self._now)
        return [*self._waiting.settle(now), *self._match(now)]

    def next_at(self) -> datetime | None:
        """When, after the last run, time alone will change something; None when it never will."""
        return self._waiting.next_at()

    def explain_item(self, item_id: int, now: datetime) -> Explanation:
        """Why an item waits, and what happens next. Costs about a microsecond for each agent.

        Raises:
            KeyError: the item does not wait.
        """
        item = self._waiting.get(item_id)
        if item is None:
            raise KeyError(f"Item {item_id} does not wait.")
        queue = self._waiting.queues[item.queue_id]
        kind = self._waiting.kind(item, tuple(sorted(item.requirements.items())), now)
        lane = Lane(kind)
        candidates = self._roster.in_order(self._roster.eligible(lane), queue.policy, kind.wanted)
        rejected = self._roster.sight(lane).rejected()
        future = tuple(sorted(upcoming(item, queue, self._waiting.queues, now), key=lambda one: one[:2]))
        return Explanation(item, dict(kind.needs), candidates, rejected, kind.only, future)

    def explain_pair(self, item: Item, agent: Agent, now: datetime) -> Rejection | None:
        """Why the agent cannot take the item now; None if they can. Neither need be known, but the queue must be."""
        known = None if item.preferred is None else self._roster.agents.get(item.preferred)
        preferred = agent if agent.id == item.preferred else known
        return rejection(item, agent, self._waiting.queues[item.queue_id], now, preferred)

    def _match(self, now: datetime) -> list[Match]:
        """Serve lanes by their heads until no lane that an item came to and no agent who changed is left."""
        roster, lanes = self._roster, self._waiting.lanes
        if not self._fresh and not self._waiting.stirred:
            return []
        fresh = sum(roster.bit(agent_id) for agent_id in self._fresh)
        must = {lane for lane in self._waiting.stirred if lane.ranks}
        must |= {lane for lane in lanes.over if roster.able(lane) & fresh & roster.free}
        self._waiting.stirred.clear()
        self._fresh.clear()
        heads = [(*lane.head(), lane) for lane in must]
        heapify(heads)
        first = frozenset(must)
        opened = (
            (*lane.head(), lane) for lane in lanes.open_to(fresh & roster.free & roster.roomy) if lane not in first
        )
        following = next(opened, None)
        matches = []
        while (heads or following) and (must or fresh & roster.free & roster.roomy):
            if following is not None and (not heads or following < heads[0]):
                heappush(heads, following)
                following = None  # the one after it is looked for only when it matters
            lane = heads[0][2]
            eligible = roster.eligible(lane)
            if eligible:
                matches.append(self._give(lane, eligible, now))
            if eligible and lane.ranks:
                heapreplace(heads, (*lane.head(), lane))
            else:
                heappop(heads)
                must.discard(lane)
            if following is None and (must or fresh & roster.free & roster.roomy):
                following = next(opened, None)
        return matches

    def _give(self, lane: Lane, eligible: int, now: datetime) -> Match:
        item = self._waiting.get(lane.head()[1])
        if item is None:
            raise RuntimeError(f"Lane {lane.kind} holds an item that does not wait.")
        policy, only = self._waiting.queues[item.queue_id].policy, lane.kind.only
        told = self._roster.in_order(eligible, policy, lane.kind.wanted, MOST_TOLD)
        sight = self._roster.sight(lane)
        self._waiting.drop(item.id)
        self._turn += 1
        self._roster.load(told[0].agent_id, item, now, self._turn)
        return Match(item, told[0].agent_id, policy, only is not None, told, eligible.bit_count(), sight)
