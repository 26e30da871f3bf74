"""A small company for tests: a team with queues, skills, agents, rules and a feed, and posts for it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import IncomingAuthor, IncomingPost, PostKind, Visibility
from app.models.agent import Agent, AgentSkill, Presence, PresenceState, Skill, Team, TeamMember
from app.models.feed import Feed
from app.models.item import Item
from app.models.queue import Queue, QueueMember
from app.models.rule import Rule

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@dataclass
class Company:
    """What `make_company` made."""

    team: Team
    queue: Queue
    feed: Feed
    agents: list[Agent] = field(default_factory=list)
    skills: dict[str, Skill] = field(default_factory=dict)

    @property
    def ayumi(self) -> Agent:
        return self.agents[0]

    @property
    def finn(self) -> Agent:
        return self.agents[1]


async def add_agent(session: AsyncSession, company_team: Team, name: str, **values: Any) -> Agent:
    """An agent of the team, ready for work."""
    agent = Agent(email=f"{name.lower()}@northwind.example", name=name, password_hash="-", **values)
    session.add(agent)
    await session.flush()
    session.add(Presence(agent_id=agent.id, state=PresenceState.READY))
    session.add(TeamMember(team_id=company_team.id, agent_id=agent.id))
    await session.flush()
    return agent


async def make_company(session: AsyncSession, *, agents: tuple[str, ...] = ("Ayumi", "Finn"), **queue: Any) -> Company:
    """One team with one queue that takes everything, its agents ready and members, and a webhook feed that is synced."""
    team = Team(name="Care")
    skills = {name: Skill(name=name) for name in ("Billing", "German")}
    session.add_all([team, *skills.values()])
    await session.flush()
    first = Queue(name="General", team_id=team.id, **queue)
    feed = Feed(name="Box", channel="webhook", synced_at=NOW)
    session.add_all([first, feed])
    await session.flush()
    session.add(Rule(position=1000, name="Everything else", conditions={}, queue_id=first.id, priority=3))
    company = Company(team, first, feed, skills=skills)
    for name in agents:
        agent = await add_agent(session, team, name)
        session.add(QueueMember(queue_id=first.id, agent_id=agent.id))
        company.agents.append(agent)
    await session.flush()
    await session.refresh(first)
    await session.refresh(feed)
    return company


def post(number: int | str, said: str = "My tent arrived torn.", **values: Any) -> IncomingPost:
    """A customer's post; by default each in a conversation of its own, all by one author a number."""
    author = values.pop("author", f"author-{number}")
    defaults: dict[str, Any] = {
        "external_id": f"post-{number}",
        "thread_id": f"thread-{number}",
        "author": author
        if isinstance(author, IncomingAuthor)
        else IncomingAuthor(external_id=author, handle=author, name=author.title()),
        "text": said,
        "posted_at": NOW,
        "kind": PostKind.MENTION,
        "visibility": Visibility.PUBLIC,
    }
    return IncomingPost(**{**defaults, **values})


async def add_skill(session: AsyncSession, agent: Agent, skill: Skill, level: int) -> None:
    """Teach an agent something."""
    session.add(AgentSkill(agent_id=agent.id, skill_id=skill.id, level=level))
    await session.flush()


async def items(session: AsyncSession) -> list[Item]:
    """All items, oldest first, as they stand in the database."""
    found = await session.scalars(select(Item).order_by(Item.id).execution_options(populate_existing=True))
    return list(found)
