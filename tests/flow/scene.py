"""A team with a supervisor and one item: what the tests of giving it to somebody begin with."""

from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.flow.ingest import ingest
from app.models.agent import Agent, Presence, Role, Team
from app.models.event import Event
from app.models.item import Item
from tests.company import Company, add_agent, items, make_company, post


@dataclass
class Scene:
    """Ayumi and Finn work, Marta supervises them, and one item waits."""

    session: AsyncSession
    company: Company
    marta: Agent
    item: Item

    @classmethod
    async def begin(cls, session: AsyncSession) -> Self:
        """Make it."""
        company = await make_company(session)
        marta = await add_agent(session, company.team, "Marta", role=Role.SUPERVISOR)
        await ingest(session, company.feed, [post(1)])
        return cls(session, company, marta, (await items(session))[0])

    @property
    def ayumi(self) -> Agent:
        return self.company.ayumi

    @property
    def finn(self) -> Agent:
        return self.company.finn

    async def presence(self, agent: Agent, **values: Any) -> Presence:
        """An agent's presence as it stands, after these changes."""
        found = await self.session.get_one(Presence, agent.id, populate_existing=True)
        for name, value in values.items():
            setattr(found, name, value)
        await self.session.flush()
        return found

    async def stranger(self, **values: Any) -> Agent:
        """Olga, of another team."""
        elsewhere = Team(name="Shop")
        self.session.add(elsewhere)
        await self.session.flush()
        return await add_agent(self.session, elsewhere, "Olga", **values)

    async def last_event(self) -> Event:
        """The newest event of the item."""
        newest = select(Event).where(Event.item_id == self.item.id).order_by(Event.id.desc()).limit(1)
        return (await self.session.scalars(newest)).one()
