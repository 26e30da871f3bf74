"""The configuration as a rehearsal sees it: plain values that outlive the transaction they were read in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.flow.rehearse_past import Came
from app.flow.triage import Decision, Rules
from app.models import queue as stored
from app.models.agent import Agent, AgentSkill
from app.models.queue import QueueMember
from app.models.rule import Rule
from app.routing import inputs
from app.routing.hours import OpenHours
from app.routing.inputs import Policy, Step
from app.routing.raises import due_soon, on_arrival, second_post
from app.routing.rehearsal import Arrival, Station

POLICIES = {
    stored.Policy.LONGEST: Policy.LONGEST_AVAILABLE,
    stored.Policy.SPARE: Policy.MOST_SPARE,
    stored.Policy.SKILLED: Policy.BEST_SKILLED,
}


@dataclass(frozen=True, slots=True)
class Line:
    """A queue: its station for the kernel, its row's values (kept in a row of no session), and its calendar."""

    station: Station
    row: stored.Queue
    hours: OpenHours


@dataclass(frozen=True, slots=True)
class Person:
    """An agent without their shifts."""

    agent: inputs.Agent
    name: str
    zone: str


@dataclass(frozen=True, slots=True)
class Scene:
    """One configuration: rules, queues and people, by id."""

    rules: Rules
    lines: Mapping[int, Line]
    people: Mapping[int, Person]
    steps: Mapping[int, tuple[Step, ...]]  # of each rule
    emergencies: frozenset[int]  # rules whose items are emergencies

    @classmethod
    async def load(cls, session: AsyncSession) -> "Scene":
        """Read it as it stands in this transaction."""
        rules = (await session.scalars(select(Rule).where(Rule.enabled))).all()
        return cls(
            rules=await Rules.load(session),
            lines={row.id: _line(row) for row in await session.scalars(select(stored.Queue).order_by(stored.Queue.id))},
            people=await _people(session),
            steps={rule.id: tuple(_step(one) for one in rule.steps) for rule in rules},
            emergencies=frozenset(rule.id for rule in rules if rule.emergency),
        )

    def arrival(self, number: int, came: Came, decision: Decision, handling: float) -> Arrival:
        """The item that triage makes of a post, ready when the post came."""
        line = self.lines[decision.queue_id or 0]
        row = line.row
        item = inputs.Item(
            id=number,
            version=1,
            queue_id=row.id,
            rank=came.at,
            ready_at=came.at,
            channel=came.channel,
            requirements={int(skill): level for skill, level in decision.requirements.items()},
            steps=self.steps.get(decision.rule_id, ()),
            weight=row.channel_weights.get(came.channel, row.weight),
            preferred=came.preferred,
            prefer_seconds=row.prefer_seconds,
            emergency=decision.rule_id in self.emergencies,
        )
        due_at = line.hours.add(came.at, row.target)
        by_due = row.served_by == stored.Order.DUE
        rank: datetime = due_at if by_due else came.at - timedelta(minutes=row.boosts[decision.priority - 1])
        minutes, _names = on_arrival(row.raises, came.post.author.followers, came.tier, came.post.text)
        rank -= timedelta(minutes=minutes)
        return Arrival(
            replace(item, rank=rank), handling, due_at, enters=came.enters, raises=tuple(_later(row, came, due_at))
        )


def _line(row: stored.Queue) -> Line:
    copy = stored.Queue(**{column.key: getattr(row, column.key) for column in stored.Queue.__table__.columns})
    queue = inputs.Queue(
        id=row.id,
        policy=POLICIES[stored.Policy(row.policy)],
        emergency_over=row.emergency_over,
        overflow_to=row.overflow_queue_id,
        overflow_after=row.overflow_after,
        overflow_when_nobody=row.overflow_when_nobody,
    )
    hours = OpenHours(row.timezone, row.hours, row.holidays)
    return Line(
        Station(queue, wrap_up=row.wrap_up, reoffer_after=row.reoffer_after, auto_accept=row.auto_accept), copy, hours
    )


def _later(row: stored.Queue, came: Came, due_at: datetime) -> Iterator[tuple[datetime, float]]:
    """When a signal moves an item forward that still waits then, and how far in seconds."""
    minutes, _names = second_post(row.raises)
    if minutes and came.again is not None:
        yield came.again, 60.0 * minutes
    for signal in due_soon(row.raises):
        yield due_at - timedelta(seconds=signal.within), 60.0 * signal.minutes


def _step(row: Mapping[str, object]) -> Step:
    level = row.get("level")
    return Step(float(str(row["after"])), int(str(row["skill"])), None if level is None else int(str(level)))


async def _people(session: AsyncSession) -> dict[int, Person]:
    agents = (await session.scalars(select(Agent).where(Agent.active).order_by(Agent.id))).all()
    queues: dict[int, set[int]] = {agent.id: set() for agent in agents}
    skills: dict[int, dict[int, int]] = {agent.id: {} for agent in agents}
    for agent_id, queue_id in await session.execute(select(QueueMember.agent_id, QueueMember.queue_id)):
        queues.get(agent_id, set()).add(queue_id)
    for agent_id, skill, level in await session.execute(
        select(AgentSkill.agent_id, AgentSkill.skill_id, AgentSkill.level)
    ):
        skills.get(agent_id, {})[skill] = level
    return {one.id: Person(_agent(one, queues[one.id], skills[one.id]), one.name, one.timezone) for one in agents}


def _agent(row: Agent, queues: set[int], skills: dict[int, int]) -> inputs.Agent:
    caps = dict(row.channel_caps)
    return inputs.Agent(row.id, frozenset(queues), row.created_at, skills, capacity=row.capacity, caps=caps)
