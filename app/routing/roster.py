"""Who is there: every agent is a bit, so "who could take this?" is a few ANDs of whole numbers, however many there are."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from datetime import datetime
from typing import Generic, TypeVar

from app.routing.decisions import Candidate, Sight
from app.routing.inputs import Agent, Item, Policy
from app.routing.lane import Kind, Lane, Levels
from app.routing.line import Line, Place
from app.routing.rules import margin

FEW = 4  # candidates that are sorted, not looked for in the line
Key = TypeVar("Key", bound=Hashable)


class Marks(Generic[Key]):
    """A set of agents, as bits, for each key."""

    def __init__(self) -> None:
        """Start with no keys."""
        self._masks: dict[Key, int] = {}

    def get(self, key: Key) -> int:
        """The agents marked with a key."""
        return self._masks.get(key, 0)

    def mark(self, keys: Iterable[Key], bit: int) -> None:
        """Mark an agent with keys."""
        for key in keys:
            self._masks[key] = self._masks.get(key, 0) | bit

    def unmark(self, keys: Iterable[Key], bit: int) -> None:
        """Take an agent's marks away."""
        for key in keys:
            left = self._masks[key] & ~bit
            if left:
                self._masks[key] = left
            else:
                del self._masks[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._masks)


def _lasting(agent: Agent) -> tuple[object, ...]:
    """What decides whether somebody could ever take an item: all but what they carry."""
    here = agent.present or agent.ready
    return agent.queues, agent.skills, agent.capacity, agent.caps, here, agent.most_asked > 0


def _full(agent: Agent) -> list[str]:
    """Channels of which they may take no more now."""
    return [channel for channel, most in agent.caps.items() if agent.loads.get(channel, 0) >= most]


def _barred(agent: Agent) -> list[str]:
    """Channels of which they may never take any."""
    return [channel for channel, most in agent.caps.items() if most <= 0]


def _with(mask: int, bit: int, on: bool) -> int:
    return mask | bit if on else mask & ~bit


class Roster:
    """The agents and their bits. What `rules` says of one pair, this says of all agents at once."""

    def __init__(self) -> None:
        """Start with nobody."""
        self.agents: dict[int, Agent] = {}
        self.generation = 0  # changes with queues and skills, when what was derived from them must be derived anew
        self.everyone = self.roomy = 0
        self._present = self._ready = self._unasked = self._askable = self._within = 0
        self.free = 0  # ready, and may be asked
        self._bits: dict[int, int] = {}
        self._ids: tuple[int, ...] = ()
        self._line = Line()
        self._places: dict[int, Place] = {}  # of those who are free
        self._members: Marks[int] = Marks()
        self._levels: Marks[tuple[int, int]] = Marks()
        self._spare: Marks[int] = Marks()
        self._capacity: Marks[int] = Marks()
        self._full: Marks[str] = Marks()
        self._barred: Marks[str] = Marks()
        self._by_needs: dict[Levels, int] = {}
        self._by_skill: dict[int, dict[int, int]] = {}  # level -> who has it, 0 for those who lack the skill
        self._by_wanted: dict[Levels, list[int]] = {}

    def put(self, agent: Agent, turn: int = 0) -> bool:
        """Add or change an agent; whether that changes who could ever take an item.

        Among those available since the same time, a higher `turn` comes later.
        """
        old = self.agents.get(agent.id)
        bit = self._bit(agent.id)
        spare = agent.capacity - agent.load
        if old is None or old.capacity - old.load != spare:
            self._spare.unmark(() if old is None else (old.capacity - old.load,), bit)
            self._spare.mark((spare,), bit)
        if agent.caps or (old is not None and old.caps):
            self._full.unmark(() if old is None else _full(old), bit)
            self._full.mark(_full(agent), bit)
        self.agents[agent.id] = agent
        self._set_now(agent, bit, turn)
        lasting = old is None or _lasting(old) != _lasting(agent)
        if lasting:
            self._set_lasting(old, agent, bit)
        return lasting

    def load(self, agent_id: int, item: Item, now: datetime, turn: int) -> None:
        """Count an item as given to an agent, who goes to the end of the line: `put`, but nothing else can have changed."""
        old = self.agents[agent_id]
        agent = self.agents[agent_id] = Agent(
            old.id, old.queues, max(now, old.available_since), old.skills, old.capacity, old.load + item.weight,
            old.caps, {**old.loads, item.channel: old.loads.get(item.channel, 0) + 1}, old.ready, old.present,
            old.asked + 1, old.most_asked,
        )  # fmt: skip
        bit = self._bits[agent_id]
        spare = old.capacity - old.load
        self._spare.unmark((spare,), bit)
        self._spare.mark((spare - item.weight,), bit)
        if agent.caps:
            self._full.unmark(_full(old), bit)
            self._full.mark(_full(agent), bit)
        self._set_now(agent, bit, turn)

    def drop(self, agent_id: int) -> None:
        """Take an agent off the roster."""
        self.put(Agent(agent_id, frozenset(), self.agents[agent_id].available_since, ready=False, present=False))
        bit = self._bits.pop(agent_id)
        self._spare.unmark((1,), bit)
        self._capacity.unmark((1,), bit)
        self.everyone &= ~bit
        self._ids = tuple(0 if i == agent_id else i for i in self._ids)
        del self.agents[agent_id]

    def bit(self, agent_id: int | None) -> int:
        """An agent's bit; 0 for those who are not on the roster."""
        return 0 if agent_id is None else self._bits.get(agent_id, 0)

    def able(self, lane: Lane) -> int:
        """Who could take the lane's items by queue, skills and refusals, were they free."""
        if lane.generation != self.generation:
            kind = lane.kind
            lane.members, lane.skilled = self._members.get(kind.queue_id), self._skilled(kind.needs)
            lane.able = lane.members & lane.skilled
            for agent_id in kind.refused:
                lane.able &= ~self.bit(agent_id)
            if kind.only is not None:
                lane.able &= self.bit(kind.only)
            lane.generation = self.generation
        return lane.able

    def eligible(self, lane: Lane) -> int:
        """Who can take the lane's items now."""
        kind = lane.kind
        here = self.able(lane) & self.free
        return here & self._room(kind.weight, kind.over) & ~self._full.get(kind.channel) if here else 0

    def anyone_one_day(self, kind: Kind) -> bool:
        """Whether somebody signed in could take an item of the kind once they are free, refusals aside."""
        able = self._members.get(kind.queue_id) & self._skilled(kind.needs)
        able &= self._present & self._askable & ~self._barred.get(kind.channel)
        least = min(1, kind.weight) if kind.over else kind.weight
        return any(able & self._capacity.get(capacity) for capacity in self._capacity if capacity >= least)

    def in_order(self, eligible: int, policy: Policy, wanted: Levels, most: int | None = None) -> tuple[Candidate, ...]:
        """The eligible in the policy's order; the first so many of them."""
        if eligible.bit_count() <= FEW:
            return self._few_in_order(eligible, policy, wanted)[:most]
        found: list[Candidate] = []
        for group in self._groups(policy, wanted):
            for agent_id in self._line.walk(eligible & group) if eligible & group else ():
                found.append(self._candidate(agent_id, wanted))
                if len(found) == most:
                    return tuple(found)
        return tuple(found)

    def _few_in_order(self, eligible: int, policy: Policy, wanted: Levels) -> tuple[Candidate, ...]:
        """The same for a handful: whoever became ready is mostly alone, and need not be looked for in the line."""
        found: list[tuple[int, Place, Candidate]] = []
        while eligible:
            bit = eligible & -eligible
            eligible ^= bit
            one = self._candidate(self._ids[bit.bit_length() - 1], wanted)
            better = {Policy.MOST_SPARE: one.spare, Policy.BEST_SKILLED: one.margin}.get(policy, 0)
            found.append((-better, self._places[one.agent_id], one))
        return tuple(one for _, _, one in sorted(found))

    def _candidate(self, agent_id: int, wanted: Levels) -> Candidate:
        agent = self.agents[agent_id]
        above = margin(wanted, agent.skills) if wanted else 0
        return Candidate(agent_id, agent.available_since, agent.capacity - agent.load, above)

    def sight(self, lane: Lane) -> Sight:
        """Where everybody stands towards the lane's items now."""
        kind = lane.kind
        self.able(lane)
        allows = (  # in order of Rejection
            lane.members,
            lane.skilled,
            ~sum(map(self.bit, kind.refused)),
            self._present,
            self._ready,
            self._room(kind.weight, kind.over),
            ~self._full.get(kind.channel),
            self._unasked,
            -1 if kind.only is None else self.bit(kind.only),
        )
        return Sight(self._ids, self.everyone, allows)

    def _bit(self, agent_id: int) -> int:
        bit = self._bits.get(agent_id)
        if bit is None:
            lowest = ~self.everyone & (self.everyone + 1)  # the first bit that nobody has
            bit = self._bits[agent_id] = lowest
            at = lowest.bit_length() - 1
            self._ids = (*self._ids[:at], agent_id, *self._ids[at + 1 :])
            self.everyone |= bit
        return bit

    def _set_now(self, agent: Agent, bit: int, turn: int) -> None:
        place = self._places.pop(agent.id, None)
        if place is not None:
            self._line.remove(place)
        unasked = agent.asked < agent.most_asked
        if agent.ready and unasked:
            place = self._places[agent.id] = (agent.available_since, turn, agent.id, bit)
            self._line.add(place)
        self.free = _with(self.free, bit, agent.ready and unasked)
        self._ready = _with(self._ready, bit, agent.ready)
        self._unasked = _with(self._unasked, bit, unasked)
        self.roomy = _with(self.roomy, bit, agent.load < agent.capacity)
        self._within = _with(self._within, bit, agent.load <= agent.capacity and agent.capacity > 0)

    def _set_lasting(self, old: Agent | None, agent: Agent, bit: int) -> None:
        if old is not None:
            self._members.unmark(old.queues, bit)
            self._levels.unmark(old.skills.items(), bit)
            self._capacity.unmark((old.capacity,), bit)
            self._barred.unmark(_barred(old), bit)
        self._members.mark(agent.queues, bit)
        self._levels.mark(agent.skills.items(), bit)
        self._capacity.mark((agent.capacity,), bit)
        self._barred.mark(_barred(agent), bit)
        self._present = _with(self._present, bit, agent.present or agent.ready)
        self._askable = _with(self._askable, bit, agent.most_asked > 0)
        if old is None or (old.queues, old.skills) != (agent.queues, agent.skills):
            self.generation += 1
            self._by_needs.clear()
            self._by_skill.clear()
            self._by_wanted.clear()

    def _room(self, weight: int, over: bool) -> int:
        if weight == 1 and not over:
            return self.roomy
        room = self._within if over else 0
        for spare in self._spare:
            if spare >= weight:
                room |= self._spare.get(spare)
        return room

    def _skilled(self, needs: Levels) -> int:
        found = self._by_needs.get(needs)
        if found is None:
            found = self.everyone
            for skill, least in needs:
                if least > 0:
                    levels = [key for key in self._levels if key[0] == skill and key[1] >= least]
                    found &= sum(self._levels.get(key) for key in levels)
            self._by_needs[needs] = found
        return found

    def _groups(self, policy: Policy, wanted: Levels) -> Iterable[int]:
        """Groups of agents between whom the policy sees no difference, best first."""
        if policy == Policy.MOST_SPARE:
            return [self._spare.get(spare) for spare in sorted(self._spare, reverse=True)]
        if policy == Policy.BEST_SKILLED and wanted:
            if wanted not in self._by_wanted:
                self._by_wanted[wanted] = self._by_margin(wanted)
            return self._by_wanted[wanted]
        return [-1]

    def _by_margin(self, wanted: Levels) -> list[int]:
        sums = {0: self.everyone}  # sum of levels -> who has it
        for skill, _ in wanted:
            if skill not in self._by_skill:
                levels = {level: self._levels.get((one, level)) for one, level in self._levels if one == skill}
                levels[0] = self.everyone & ~sum(levels.values()) | levels.get(0, 0)
                self._by_skill[skill] = levels
            grown: defaultdict[int, int] = defaultdict(int)
            for total, some in sums.items():
                for level, those in self._by_skill[skill].items():
                    grown[total + level] |= some & those
            sums = grown
        return [sums[total] for total in sorted(sums, reverse=True) if sums[total]]
