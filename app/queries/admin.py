"""What the admin pages list: accounts, queues, skills, teams, agents, rules."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.account import Account, ends
from app.models.agent import Agent, AgentSkill, Presence, PresenceState, ReasonCode, Skill, Team, TeamMember
from app.models.feed import Feed
from app.models.queue import Queue, QueueMember
from app.models.rule import Rule


@dataclass(frozen=True, slots=True)
class AccountLine:
    """One account; credentials never leave the vault."""

    id: int
    channel: str
    name: str
    handle: str | None
    needs_reconnect: bool
    trouble: str
    ends_at: datetime | None
    feeds: int


async def accounts(session: AsyncSession, channel: str | None = None) -> list[AccountLine]:
    """All accounts, or those of a channel."""
    a = Account
    used = select(func.count()).where(Feed.account_id == a.id).scalar_subquery()
    query = select(a.id, a.channel, a.name, a.handle, a.needs_reconnect, a.trouble, ends(), used)
    if channel is not None:
        query = query.where(a.channel == channel)
    return [AccountLine(*row) for row in await session.execute(query.order_by(a.channel, func.lower(a.name)))]


async def ends_at(session: AsyncSession, account_id: int) -> datetime | None:
    """When the account's credentials end, where anybody knows."""
    found: datetime | None = await session.scalar(select(ends()).where(Account.id == account_id))
    return found


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


async def reasons(session: AsyncSession) -> list[Named]:
    """All reasons not to be ready, in the order of the menu: how many people are away because of each now."""
    away = (
        select(func.count())
        .select_from(Presence)
        .where(Presence.reason == ReasonCode.name, Presence.state == PresenceState.NOT_READY)
        .scalar_subquery()
    )
    rows = await session.execute(select(ReasonCode.id, ReasonCode.name, away).order_by(ReasonCode.id))
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
    reasons: int


async def counts(session: AsyncSession) -> Counts:
    """How many of each there are."""
    tables = (Feed, Account, Rule, Queue, Skill, Agent, Team, ReasonCode)
    row = (
        await session.execute(select(*[select(func.count()).select_from(t).scalar_subquery() for t in tables]))
    ).one()
    return Counts(*row)
