"""What a configuration implies before anything waits: how far an item can be overtaken, and who could be left waiting.

An item's rank is the time it became ready minus its boost, so one of greater boost overtakes it only when it becomes
ready within the difference of the two: that is the bound. An agent who serves several queues compares ranks across
them, so the greatest boost counts among all queues that share an agent. The figure speaks of agents who can take both:
a heavy item is also passed by lighter ones that fit into what room an agent has left.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.i18n import _, listed
from app.routing.inputs import Agent, Item, Queue
from app.routing.rules import meets, needs_at

SHORT = 2  # minutes: less is told in seconds


@dataclass(frozen=True, slots=True)
class QueueOrder:
    """How a queue ranks its items. `boosts` are minutes, P1 to P5; a queue served by due time has its target, negative."""

    queue_id: int
    name: str
    boosts: tuple[float, ...]
    raised: float = 0  # minutes that signals can raise one of its items by, all of them at once

    @property
    def greatest(self) -> float:
        """The most that one of its items can be ahead of its time."""
        return max(self.boosts) + self.raised


@dataclass(frozen=True, slots=True)
class Demand:
    """What a rule asks of the agents for the items that it sends to a queue. `example` carries all but the times."""

    rule: str
    priority: int
    example: Item


@dataclass(frozen=True, slots=True)
class Overtaking:
    """Items of the priority can be overtaken by those that come up to so many minutes later, and by none after."""

    queue_id: int
    priority: int
    minutes: float  # by items of any queue that shares an agent
    own_minutes: float  # by items of the same queue

    @property
    def sentence(self) -> str:
        """The bound in words."""
        if self.minutes == 0:
            return _("Nothing that comes later is served before a priority %(priority)s item.") % {
                "priority": self.priority
            }
        told = {"priority": self.priority, "span": _span(self.minutes)}
        return (
            _(
                "A priority %(priority)s item can be overtaken by items that come up to %(span)s after it, and by none that come later."
            )
            % told
        )


class Danger(StrEnum):
    """What a configuration can do to an item."""

    DEADLOCK = "deadlock"  # nobody on the roster could ever take it
    STARVATION = "starvation"  # it depends on one agent, or on agents for whom other work always goes first
    DELAY = "delay"  # nobody can take it until its requirements relax or it overflows


@dataclass(frozen=True, slots=True)
class Concern:
    """A danger for the items of a rule, and a sentence about it."""

    danger: Danger
    rule: str
    queue_id: int
    sentence: str


def overtaking(orders: Iterable[QueueOrder], roster: Iterable[Agent]) -> list[Overtaking]:
    """The bound for each queue and priority."""
    orders = list(orders)
    members = [agent.queues for agent in roster]
    found = []
    for order in orders:
        rivals = [other for other in orders if any({order.queue_id, other.queue_id} <= queues for queues in members)]
        greatest = max(rival.greatest for rival in (order, *rivals))
        for priority, boost in enumerate(order.boosts, 1):
            found.append(Overtaking(order.queue_id, priority, greatest - boost, order.greatest - boost))
    return found


def warnings(
    orders: Sequence[QueueOrder],
    queues: Mapping[int, Queue],
    demands: Iterable[Demand],
    roster: Sequence[Agent],
    *,
    names: Mapping[int, str],
    skills: Mapping[int, str],
) -> Iterator[Concern]:
    """What the rules, skills and rosters can do to items. `names` are the agents', `skills` the skills' by id."""
    by_id = {order.queue_id: order for order in orders}
    for demand in demands:
        where = by_id[demand.example.queue_id]
        at_once = _able(demand.example, demand.example.queue_id, roster, demand.example.requirements)
        in_time = _able_in_time(demand.example, queues, roster)
        asked = _asked(demand.example, skills)
        if not in_time:
            sentence = _(
                "Nobody on the roster could ever take what rule '%(rule)s' sends to %(queue)s: it needs %(asked)s. Give an agent of the queue what is missing, or change the rule."
            ) % {"rule": demand.rule, "queue": where.name, "asked": asked}
            yield Concern(Danger.DEADLOCK, demand.rule, where.queue_id, sentence)
            continue
        if not at_once:
            yield Concern(Danger.DELAY, demand.rule, where.queue_id, _delay(demand, where, queues, asked))
        if len(in_time) == 1:
            told = {"agent": names[in_time[0].id], "rule": demand.rule, "queue": where.name, "asked": asked}
            sentence = (
                _(
                    "Only %(agent)s could take what rule '%(rule)s' sends to %(queue)s (%(asked)s): it waits whenever they are away."
                )
                % told
            )
            yield Concern(Danger.STARVATION, demand.rule, where.queue_id, sentence)
        yield from _always_second(demand, where, by_id, in_time)


def _able(item: Item, queue_id: int, roster: Iterable[Agent], needs: Mapping[int, int]) -> list[Agent]:
    return [
        agent
        for agent in roster
        if queue_id in agent.queues
        and meets(agent.skills, needs)
        and agent.capacity >= item.weight
        and agent.caps.get(item.channel, 1) > 0
    ]


def _able_in_time(item: Item, queues: Mapping[int, Queue], roster: Sequence[Agent]) -> list[Agent]:
    """Who could take it in the end: relaxed, in its queue or in those it overflows to after a time."""
    needs, queue_id, seen = needs_at(item, None), item.queue_id, set[int]()
    found: dict[int, Agent] = {}
    while queue_id in queues and queue_id not in seen:
        seen.add(queue_id)
        found |= {agent.id: agent for agent in _able(item, queue_id, roster, needs)}
        queue = queues[queue_id]
        leaves = queue.overflow_after is not None or queue.overflow_when_nobody
        queue_id = queue.overflow_to if leaves and queue.overflow_to is not None else -1
    return [found[agent_id] for agent_id in sorted(found)]


def _delay(demand: Demand, where: QueueOrder, queues: Mapping[int, Queue], asked: str) -> str:
    item = demand.example
    waits = [step.after_seconds for step in item.steps if step.skill in item.requirements]
    overflow = queues[item.queue_id].overflow_after
    if overflow is not None:
        waits.append(overflow)
    told = {"rule": demand.rule, "queue": where.name, "asked": asked, "span": _span(min(waits) / 60) if waits else ""}
    if waits:
        return (
            _(
                "Nobody on the roster can take what rule '%(rule)s' sends to %(queue)s as it comes (%(asked)s): it waits for at least %(span)s, until its requirements relax or it overflows."
            )
            % told
        )
    return (
        _(
            "Nobody on the roster can take what rule '%(rule)s' sends to %(queue)s as it comes (%(asked)s): it waits until its requirements relax or it overflows."
        )
        % told
    )


def _always_second(
    demand: Demand, where: QueueOrder, orders: Mapping[int, QueueOrder], able: Sequence[Agent]
) -> Iterator[Concern]:
    """Another queue, served by everybody who could take it, whose least urgent item overtakes it."""
    boost = where.boosts[demand.priority - 1]
    shared = frozenset.intersection(*(agent.queues for agent in able)) - {where.queue_id}
    for queue_id in sorted(shared & orders.keys()):
        lead = min(orders[queue_id].boosts) - boost
        if lead > 0:
            told = {"rule": demand.rule, "queue": where.name, "priority": demand.priority}
            sentence = _(
                "Everybody who could take what rule '%(rule)s' sends to %(queue)s at priority %(priority)s also serves %(other)s, where even the least urgent item goes first unless it comes more than %(span)s later."
            ) % {**told, "other": orders[queue_id].name, "span": _span(lead)}
            yield Concern(Danger.STARVATION, demand.rule, where.queue_id, sentence)


def _asked(item: Item, skills: Mapping[int, str]) -> str:
    parts = [f"{skills[skill]} {level}" for skill, level in sorted(item.requirements.items())]
    if item.weight > 1:
        parts.append(_("room for weight %(weight)s") % {"weight": item.weight})
    return listed(parts) or _("a member of the queue")


def _span(minutes: float) -> str:
    """`90 s`, `45 min`, `4 h`, `4 h 30 min`."""
    if minutes < SHORT:
        return _("%(n)s s") % {"n": f"{minutes * 60:g}"}
    hours, rest = divmod(round(minutes), 60)
    if not hours:
        return _("%(n)s min") % {"n": rest}
    if rest:
        return _("%(hours)s h %(minutes)s min") % {"hours": hours, "minutes": rest}
    return _("%(n)s h") % {"n": hours}
