"""The rules for one item and one agent, as pure functions. The kernel gives the same answers from its index."""

from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from app.routing.decisions import Rejection, Upcoming, What
from app.routing.inputs import Agent, Item, Queue


def needs_at(item: Item, now: datetime | None) -> dict[int, int]:
    """The requirements that still hold at `now`; with None, those that hold after every step."""
    needs = dict(item.requirements)
    for step in item.steps:
        if step.skill not in needs or (now is not None and after(item, step.after_seconds) > now):
            continue
        if step.level is None:
            del needs[step.skill]
        else:
            needs[step.skill] = min(needs[step.skill], step.level)
    return needs


def after(item: Item, seconds: float) -> datetime:
    """The time so many seconds past the item's ready_at."""
    return item.ready_at + timedelta(seconds=seconds)


def meets(skills: Mapping[int, int], needs: Mapping[int, int]) -> bool:
    """Whether every needed skill is there at the level or above."""
    return all(skills.get(skill, 0) >= level for skill, level in needs.items())


def margin(wanted: Iterable[tuple[int, int]], skills: Mapping[int, int]) -> int:
    """How far an agent is above what the item asked for on arrival: the sum of (their level - the level asked).

    A skill they lack counts as level 0, so when requirements have relaxed, who comes nearest to them still comes first.
    """
    above = 0
    for skill, level in wanted:  # a loop, since it runs for every candidate that is told
        above += skills.get(skill, 0) - level
    return above


def goes_over(item: Item, queue: Queue) -> bool:
    """Whether the item may bring an agent above capacity."""
    return item.emergency and queue.emergency_over


def has_room(item: Item, agent: Agent, queue: Queue) -> bool:
    """Whether the agent's capacity allows the item: nobody already above it, or who has none, is given more."""
    if goes_over(item, queue) and agent.capacity > 0 and agent.load <= agent.capacity:
        return True
    return agent.load + item.weight <= agent.capacity


def serves_one_day(item: Item, agent: Agent, queue: Queue, needs: Mapping[int, int]) -> bool:
    """Whether the agent is signed in and, once free, could take the item in this queue."""
    fits = agent.capacity >= item.weight or (goes_over(item, queue) and agent.capacity > 0)
    return (
        (agent.present or agent.ready)
        and queue.id in agent.queues
        and meets(agent.skills, needs)
        and fits
        and agent.caps.get(item.channel, 1) > 0
        and agent.most_asked > 0
    )


def refuses(item: Item, agent_id: int, now: datetime) -> bool:
    """Whether the item is not to be offered to the agent yet."""
    return item.refused.get(agent_id, now) > now


def prefers(item: Item, now: datetime) -> bool:
    """Whether the item may still wait for its preferred agent."""
    return item.preferred is not None and now < after(item, item.prefer_seconds)


def kept_for(item: Item, preferred: Agent | None, queue: Queue, now: datetime) -> bool:
    """Whether only the preferred agent may get the item now: they have it as soon as they are free."""
    return (
        preferred is not None
        and prefers(item, now)
        and not refuses(item, preferred.id, now)
        and serves_one_day(item, preferred, queue, needs_at(item, now))
    )


def rejection(item: Item, agent: Agent, queue: Queue, now: datetime, preferred: Agent | None) -> Rejection | None:
    """Why the agent cannot take the item now; None if they can. `preferred` is the item's preferred agent, if known."""
    reasons = (
        (Rejection.NOT_MEMBER, queue.id not in agent.queues),
        (Rejection.SKILL, not meets(agent.skills, needs_at(item, now))),
        (Rejection.REFUSED, refuses(item, agent.id, now)),
        (Rejection.ABSENT, not (agent.present or agent.ready)),
        (Rejection.NOT_READY, not agent.ready),
        (Rejection.NO_ROOM, not has_room(item, agent, queue)),
        (Rejection.CHANNEL_FULL, _channel_full(item, agent)),
        (Rejection.ASKED, agent.asked >= agent.most_asked),
        (Rejection.KEPT, agent.id != item.preferred and kept_for(item, preferred, queue, now)),
    )
    return next((reason for reason, holds in reasons if holds), None)


def _channel_full(item: Item, agent: Agent) -> bool:
    most = agent.caps.get(item.channel)
    return most is not None and agent.loads.get(item.channel, 0) >= most


def overflow_target(item: Item, queue: Queue, known: Container[int]) -> int | None:
    """The queue to which the item could overflow from `queue`."""
    to = queue.overflow_to
    return None if to is None or to == queue.id or to in item.left or to not in known else to


def upcoming(item: Item, queue: Queue, known: Container[int], now: datetime) -> Iterator[Upcoming]:
    """What time alone will change for the item after `now`, in no order."""
    for step in item.steps:
        if step.skill in item.requirements and (at := after(item, step.after_seconds)) > now:
            yield Upcoming(at, What.RELAX, skill=step.skill, level=step.level)
    if prefers(item, now):
        yield Upcoming(after(item, item.prefer_seconds), What.PREFERENCE_ENDS, agent_id=item.preferred)
    for agent_id, until in item.refused.items():
        if until > now:
            yield Upcoming(until, What.REFUSAL_ENDS, agent_id=agent_id)
    to = overflow_target(item, queue, known)
    if to is not None and queue.overflow_after is not None and (at := after(item, queue.overflow_after)) > now:
        yield Upcoming(at, What.OVERFLOW, queue_id=to)
