from pydantic import SecretStr
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import sessionmaker
from app.demo.server import Running
from app.models.agent import Agent, AgentSkill
from app.models.feed import Feed
from app.models.rule import Rule
from app.northwind.company import COLLEAGUES, SIGN_INS, settle
from app.settings import Settings
from app.vault import Vault, new_key

VAULT = Vault.load(Settings(key=SecretStr(new_key())))


async def test_the_company_is_made_once_and_follows_its_network(engine: AsyncEngine) -> None:
    sessions = sessionmaker(engine)
    await settle(sessions, VAULT, Running("http://127.0.0.1:4001", "token"))
    await settle(sessions, VAULT, Running("http://127.0.0.1:4002", "token"))
    async with sessions() as session:
        [feed] = (await session.scalars(select(Feed))).all()
        emails = set(await session.scalars(select(Agent.email)))
    assert feed.settings["url"] == "http://127.0.0.1:4002"
    assert emails == {*SIGN_INS.values(), *COLLEAGUES}


async def test_every_skill_that_a_rule_asks_for_is_had_at_that_level_by_somebody(engine: AsyncEngine) -> None:
    sessions = sessionmaker(engine)
    await settle(sessions, VAULT, Running("http://127.0.0.1:4001", "token"))
    async with sessions() as session:
        levels = select(AgentSkill.skill_id, func.max(AgentSkill.level)).group_by(AgentSkill.skill_id)
        best = dict((await session.execute(levels)).all())
        needs = [rule.requirements for rule in await session.scalars(select(Rule))]
    assert all(best.get(int(skill), 0) >= level for need in needs for skill, level in need.items())
