"""Northwind Outfitters: the demo's company, its people, and the feed that listens to the simulated network."""

from pathlib import Path

import yaml
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.connectors.demo import DemoCredentials, DemoSettings
from app.demo.server import Running
from app.flow import config_file
from app.flow.configure_account import AccountSettings, create_account
from app.flow.configure_agent import set_password
from app.flow.configure_feed import FeedSettings, create_feed
from app.flow.saved import ALL, SavedSettings, save_reply
from app.models.agent import Agent
from app.models.feed import Feed
from app.vault import Vault

PASSWORD = "northwind-demo"  # noqa: S105 - printed at every start of the demo, which listens on loopback only
SIGN_INS = {
    "agent": "finn@northwind.example",
    "supervisor": "marta@northwind.example",
    "admin": "ada@northwind.example",
}
COLLEAGUES = ("ayumi@northwind.example", "diego@northwind.example", "leila@northwind.example")
FEED = "Townsquare"


async def settle(sessions: async_sessionmaker[AsyncSession], vault: Vault, network: Running) -> None:
    """Make the company at the first start; at every start, tell its feed where the network answers now."""
    async with sessions.begin() as session:
        if await session.scalar(select(Feed.id).where(Feed.channel == "demo")) is None:
            await _found(session, vault, network)
        feed = (await session.scalars(select(Feed).where(Feed.channel == "demo"))).one()
        feed.settings = DemoSettings(url=network.url).model_dump(mode="json")


async def _found(session: AsyncSession, vault: Vault, network: Running) -> None:
    planned = await config_file.plan(session, (Path(__file__).parent / "company.yaml").read_text(encoding="utf-8"))
    await config_file.apply(session, planned)
    for email in (*SIGN_INS.values(), *COLLEAGUES):
        agent = (await session.scalars(select(Agent).where(Agent.email == email))).one()
        await set_password(session, agent.id, PASSWORD)
    await keep_replies(session)
    credentials = DemoCredentials.model_validate({"token": network.token})
    account = await create_account(session, vault, "demo", AccountSettings(name="@northwind"), credentials)
    settings = FeedSettings(
        name=FEED,
        account_id=account.id,
        import_backlog=True,
        min_interval=5,
        max_interval=10,
        settings=DemoSettings(url=network.url).model_dump(mode="json"),
    )
    await create_feed(session, "demo", settings)


async def colleagues(session: AsyncSession) -> list[Agent]:
    """The simulated people of the team."""
    return list(await session.scalars(select(Agent).where(Agent.email.in_(COLLEAGUES)).order_by(Agent.id)))


async def keep_replies(session: AsyncSession) -> None:
    """What the company answers often, for everybody."""
    texts = yaml.safe_load((Path(__file__).parent / "saved.yaml").read_text(encoding="utf-8"))
    ada = (await session.scalars(select(Agent).where(Agent.email == SIGN_INS["admin"]))).one()
    for text in texts:
        await save_reply(session, ada, SavedSettings(**text, whose=ALL))
