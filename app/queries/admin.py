"""What the admin pages list: feeds with how they are, accounts, queues, skills, teams, agents, rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import case, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.account import Account
from app.models.agent import Agent, AgentSkill, Skill, Team, TeamMember
from app.models.feed import NEVER, Feed, Health, Quarantine
from app.models.queue import Queue, QueueMember
from app.models.rule import Rule

PAGE = 50  # quarantined posts on a page
OVERDUE = 120  # seconds a poll may be late before we think that nobody polls


class Condition(StrEnum):
    """How a feed is, for a person: its health, and what the health does not know."""

    OFF = "off"
    WAITING = "waiting"  # never fetched, and due
    LISTENING = "listening"  # pushed to; nothing came yet
    OK = "ok"
    DEGRADED = "degraded"
    FAILING = "failing"
    STOPPED = "stopped"
    RECONNECT = "reconnect"  # the channel refuses our credentials
    UNATTENDED = "unattended"  # long due, and no worker came


@dataclass(frozen=True, slots=True)
class FeedLine:
    """One feed. `remaining` of `allowance` is the budget of its credential, as the channel told it."""

    id: int
    name: str
    channel: str
    account_id: int | None
    account: str | None
    enabled: bool
    condition: Condition
    trouble: str
    failures: int
    ok_at: datetime | None
    post_at: datetime | None
    next_poll_at: datetime | None  # None: pushed to
    interval: int
    remaining: int | None
    allowance: int | None
    resets_at: datetime | None
    quarantined: int


_FEEDS = text(
    """
    SELECT f.*, a.name AS account, coalesce(a.needs_reconnect, false) AS reconnect,
           b.remaining, b.allowance, b.resets_at, now() AS now,
           (SELECT count(*) FROM quarantine x WHERE x.feed_id = f.id AND x.resolved_at IS NULL) AS quarantined
    FROM feed f
    LEFT JOIN account a ON a.id = f.account_id
    LEFT JOIN budget b ON b.key = coalesce('account:' || f.account_id, 'feed:' || f.id)
    WHERE CAST(:feed AS bigint) IS NULL OR f.id = :feed
    ORDER BY lower(f.name), f.id
    """
)


async def feeds(session: AsyncSession, feed_id: int | None = None) -> list[FeedLine]:
    """All feeds, or one."""
    rows = await session.execute(_FEEDS, {"feed": feed_id})
    return [_feed(row) for row in rows]


def _feed(row: Any) -> FeedLine:
    pushed = row.next_poll_at == NEVER
    return FeedLine(
        id=row.id,
        name=row.name,
        channel=row.channel,
        account_id=row.account_id,
        account=row.account,
        enabled=row.enabled,
        condition=condition(row, pushed=pushed),
        trouble=row.trouble,
        failures=row.failures,
        ok_at=row.ok_at,
        post_at=row.post_at,
        next_poll_at=None if pushed else row.next_poll_at,
        interval=row.interval,
        remaining=row.remaining,
        allowance=row.allowance,
        resets_at=row.resets_at,
        quarantined=row.quarantined,
    )


def condition(row: Any, *, pushed: bool) -> Condition:
    """What a feed's row amounts to."""
    late = not pushed and (row.now - row.next_poll_at).total_seconds()
    if not row.enabled:
        return Condition.OFF
    if row.reconnect:
        return Condition.RECONNECT
    if row.health == Health.STOPPED:
        return Condition.STOPPED
    if late and late > OVERDUE and (row.leased_until is None or row.leased_until < row.now):
        return Condition.UNATTENDED
    if row.health == Health.NEW:
        return Condition.LISTENING if pushed else Condition.WAITING
    return Condition(row.health)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A post that could not be read or stored."""

    id: int
    external_id: str
    reason: str
    payload: Mapping[str, Any]
    tries: int
    first_at: datetime
    last_at: datetime


async def quarantined(session: AsyncSession, feed_id: int) -> list[Quarantined]:
    """The newest posts in quarantine of a feed, at most PAGE."""
    q = Quarantine
    rows = await session.execute(
        select(q.id, q.external_id, q.reason, q.payload, q.tries, q.first_at, q.last_at)
        .where(q.feed_id == feed_id, q.resolved_at.is_(None))
        .order_by(q.last_at.desc(), q.id.desc())
        .limit(PAGE)
    )
    return [Quarantined(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class AccountLine:
    """One account; credentials never leave the vault."""

    id: int
    channel: str
    name: str
    handle: str | None
    needs_reconnect: bool
    trouble: str
    feeds: int


async def accounts(session: AsyncSession, channel: str | None = None) -> list[AccountLine]:
    """All accounts, or those of a channel."""
    a = Account
    used = select(func.count()).where(Feed.account_id == a.id).scalar_subquery()
    query = select(a.id, a.channel, a.name, a.handle, a.needs_reconnect, a.trouble, used)
    if channel is not None:
        query = query.where(a.channel == channel)
    return [AccountLine(*row) for row in await session.execute(query.order_by(a.channel, func.lower(a.name)))]


@dataclass(frozen=True, slots=True)
class QueueLine:
    """One queue of the list."""

    id: int
    name: str
    team: str
    active: bool
    target: int
    target_share: int
    members: int
    rules: int


async def queues(session: AsyncSession) -> list[QueueLine]:
    """All queues."""
    members = select(func.count()).where(QueueMember.queue_id == Queue.id).scalar_subquery()
    rules_ = select(func.count()).where(Rule.queue_id == Queue.id, Rule.enabled).scalar_subquery()
    q = Queue
    rows = await session.execute(
        select(q.id, q.name, Team.name, q.active, q.target, q.target_share, members, rules_)
        .join(Team, Team.id == q.team_id)
        .order_by(func.lower(q.name))
    )
    return [QueueLine(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Named:
    """Something with a name, and how often it is used."""

    id: int
    name: str
    people: int = 0
    other: int = 0


async def skills(session: AsyncSession) -> list[Named]:
    """All skills: how many active agents have it, how many rules ask for it."""
    people = (
        select(func.count())
        .select_from(AgentSkill)
        .join(Agent, Agent.id == AgentSkill.agent_id)
        .where(AgentSkill.skill_id == Skill.id, Agent.active)
        .scalar_subquery()
    )
    asked = text("(SELECT count(*) FROM rule WHERE rule.requirements ? skill.id::text)")
    rows = await session.execute(select(Skill.id, Skill.name, people, asked).order_by(func.lower(Skill.name)))
    return [Named(*row) for row in rows]


async def teams(session: AsyncSession) -> list[Named]:
    """All teams: how many active members, how many queues."""
    people = (
        select(func.count())
        .select_from(TeamMember)
        .join(Agent, Agent.id == TeamMember.agent_id)
        .where(TeamMember.team_id == Team.id, Agent.active)
        .scalar_subquery()
    )
    owned = select(func.count()).where(Queue.team_id == Team.id).scalar_subquery()
    rows = await session.execute(select(Team.id, Team.name, people, owned).order_by(func.lower(Team.name)))
    return [Named(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class AgentLine:
    """One agent of the list."""

    id: int
    name: str
    email: str
    role: str
    active: bool
    capacity: int
    teams: tuple[str, ...]
    queues: tuple[str, ...]
    skills: tuple[str, ...]


_AGENTS = text(
    """
    SELECT a.id, a.name, a.email, a.role, a.active, a.capacity,
           ARRAY(SELECT t.name FROM team_member m JOIN team t ON t.id = m.team_id
                 WHERE m.agent_id = a.id ORDER BY lower(t.name)) AS teams,
           ARRAY(SELECT q.name FROM queue_member m JOIN queue q ON q.id = m.queue_id
                 WHERE m.agent_id = a.id ORDER BY lower(q.name)) AS queues,
           ARRAY(SELECT s.name || ' ' || x.level FROM agent_skill x JOIN skill s ON s.id = x.skill_id
                 WHERE x.agent_id = a.id ORDER BY lower(s.name)) AS skills
    FROM agent a
    ORDER BY a.active DESC, lower(a.name), a.id
    """
)


async def agents(session: AsyncSession) -> list[AgentLine]:
    """All agents, those who left last."""
    return [
        AgentLine(
            row.id, row.name, row.email, row.role, row.active, row.capacity,
            tuple(row.teams), tuple(row.queues), tuple(row.skills),
        )
        for row in await session.execute(_AGENTS)
    ]  # fmt: skip


async def rules(session: AsyncSession) -> list[Rule]:
    """All rules, in order."""
    return list(await session.scalars(select(Rule).order_by(Rule.position)))


async def names(
    session: AsyncSession, table: type[Team | Skill | Queue | Feed], *, active: bool = False
) -> dict[int, str]:
    """Ids and names, by name, for lists to choose from. `active`: only queues that are."""
    query = select(table.id, table.name).order_by(func.lower(table.name), table.id)
    if active and table is Queue:
        query = query.where(Queue.active)
    return dict(list(await session.execute(query)))


async def people(session: AsyncSession) -> dict[int, str]:
    """Active agents by id; two of the same name carry their e-mail."""
    double = func.count().over(partition_by=func.lower(Agent.name))
    name = case((double > 1, Agent.name + " (" + Agent.email + ")"), else_=Agent.name)
    return dict(
        list(await session.execute(select(Agent.id, name).where(Agent.active).order_by(func.lower(Agent.name))))
    )


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers beside the admin pages' names."""

    feeds: int
    accounts: int
    rules: int
    queues: int
    skills: int
    agents: int
    teams: int


async def counts(session: AsyncSession) -> Counts:
    """How many of each there are."""
    tables = (Feed, Account, Rule, Queue, Skill, Agent, Team)
    row = (
        await session.execute(select(*[select(func.count()).select_from(t).scalar_subquery() for t in tables]))
    ).one()
    return Counts(*row)
