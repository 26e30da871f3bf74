"""Workers at work: a company on a database of its own, its feed on a fake channel, and the steps of a reply."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from app.connectors.base import SettingsModel
from app.connectors.testing.fake import FakeChannel, Wire
from app.db import sessionmaker
from app.flow.claim import claim
from app.flow.ingest import ingest
from app.flow.reply import reply
from app.flow.sealed import revealed, sealed_for
from app.models.account import Account
from app.models.feed import Feed
from app.models.item import Item
from app.models.post import Post
from app.models.reply import Reply
from app.settings import Settings
from app.vault import Vault
from app.workers.poll import poll_feed
from app.workers.runtime import Runtime
from app.workers.send import send_reply
from tests.company import Company, make_company

KEY = bytes(range(32))


@dataclass
class Office:
    """What `post_office` opens."""

    runtime: Runtime
    company: Company
    fake: Any  # the FakeChannel, with what its own kind has besides
    sessions: async_sessionmaker[AsyncSession]

    async def ask(self, text: str = "My tent arrived torn.", **more: Any) -> Item:
        """A stranger writes, and the feed brings it; the item it belongs to."""
        fake: FakeChannel = self.fake
        external_id = fake.arrive(text, **more)
        await self.poll()
        return await self.item_of(external_id)

    async def push(self, *texts: str) -> list[Item]:
        """A program delivers posts."""
        delivery = self.fake.delivery(*texts)
        batch = self.fake.connector.receive(self.fake.link(), delivery.headers, delivery.body)
        async with self.sessions.begin() as session:
            await ingest(session, self.company.feed, batch.posts)
            return list(await session.scalars(select(Item).order_by(Item.id)))

    async def poll(self) -> Feed:
        """The feed's next poll is due, and happens."""
        async with self.sessions.begin() as session:
            await session.execute(update(Feed).values(next_poll_at=func.now()))
        await poll_feed(self.runtime, self.company.feed.id)
        return await self.feed()

    async def hold(self, item: Item, text: str = "A new one is on its way.", **more: Any) -> Reply:
        """Ayumi answers an item that she holds, or takes for it."""
        async with self.sessions.begin() as session:
            if item.agent_id != self.company.ayumi.id:
                await claim(session, self.company.ayumi, item.id)
            return await reply(session, self.company.ayumi, item.id, text, "public", **more)

    async def due(self, reply_id: int) -> None:
        """Whatever a reply waits for has passed."""
        async with self.sessions.begin() as session:
            waits = update(Reply).where(Reply.id == reply_id, Reply.due_at.is_not(None))
            await session.execute(waits.values(due_at=func.now()))

    async def go(self, reply_id: int) -> Reply:
        """The next step is due, and a worker takes the reply as far as it goes."""
        await self.due(reply_id)
        await send_reply(self.runtime, reply_id)
        return await self.reply(reply_id)

    async def reply(self, reply_id: int) -> Reply:
        async with self.sessions() as session:
            return await session.get_one(Reply, reply_id)

    async def item(self, item_id: int) -> Item:
        async with self.sessions() as session:
            return await session.get_one(Item, item_id)

    async def item_of(self, external_id: str) -> Item:
        """The item that the newest post with this id went to."""

        async with self.sessions() as session:
            found = select(Item).join(Post, Post.conversation_id == Item.conversation_id)
            return (
                await session.scalars(found.where(Post.external_id == external_id).order_by(Item.id.desc()))
            ).first()  # type: ignore[return-value]

    async def feed(self) -> Feed:
        async with self.sessions() as session:
            return await session.get_one(Feed, self.company.feed.id)

    async def seconds_until(self, moment: datetime | None) -> float:
        """How far away a time is, on the database's clock."""
        assert moment is not None
        async with self.sessions() as session:
            now = (await session.execute(select(func.clock_timestamp()))).scalar_one()
        return float((moment - now).total_seconds())


@asynccontextmanager
async def post_office(engine: AsyncEngine, fake: FakeChannel, channel: str, **queue: Any) -> AsyncIterator[Office]:
    """Open one: the fake's clock is set to the day, its account connected, its feed synced."""
    fake.now = datetime.now(UTC)
    vault, sessions = Vault([KEY]), sessionmaker(engine)
    async with httpx.AsyncClient(transport=Wire(fake)) as http:
        async with sessions.begin() as session:
            company = await make_company(session, **queue)
            company.feed.channel = channel
            company.feed.settings = fake.settings().model_dump(mode="json")
            company.feed.account_id = await _account(session, vault, channel, fake.credentials())
            await session.flush()
        yield Office(Runtime(Settings(), sessions, vault, http), company, fake, sessions)


async def _account(session: AsyncSession, vault: Vault, channel: str, credentials: SettingsModel | None) -> int | None:
    if credentials is None:
        return None
    account = Account(channel=channel, name="@northwindhelp")
    session.add(account)
    await session.flush()
    account.sealed = vault.seal(revealed(credentials), sealed_for(account.id))
    return account.id
