"""The main road on a real database: a feed is polled, an agent claims and answers, the outbox sends."""

import json
from dataclasses import dataclass
from typing import Self

import httpx
from pydantic import SecretStr
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from app.connectors.base import IncomingAuthor, SettingsModel
from app.db import sessionmaker
from app.flow.claim import claim
from app.flow.reply import reply, send_now
from app.flow.sealed import revealed, sealed_for
from app.models.account import Account
from app.models.feed import Feed
from app.models.item import Disposition, Item
from app.models.post import Post
from app.models.reply import Reply, ReplyState
from app.settings import Settings
from app.vault import Vault, new_key
from app.workers.poll import poll_feed
from app.workers.runtime import Runtime
from app.workers.send import send_reply
from tests.company import Company, items, make_company


@dataclass
class Road:
    """One feed, one company, a worker's hands."""

    sessions: async_sessionmaker[AsyncSession]
    runtime: Runtime
    company: Company
    feed_id: int

    @classmethod
    async def lay(
        cls,
        engine: AsyncEngine,
        channel: str,
        http: httpx.AsyncClient,
        settings: SettingsModel,
        *,
        credentials: SettingsModel | None = None,
        account: IncomingAuthor | None = None,
    ) -> Self:
        """A company whose one feed is connected and has done its first sync."""
        vault_settings = Settings(key=SecretStr(new_key()))
        vault, sessions = Vault.load(vault_settings), sessionmaker(engine)
        async with sessions.begin() as session:
            company = await make_company(session)
            row = None
            if credentials is not None:
                row = Account(channel=channel, name="@northwindhelp", handle="northwindhelp")
                row.external_id = account.external_id if account else None
                session.add(row)
                await session.flush()
                row.sealed = vault.seal(revealed(credentials), sealed_for(row.id))
            plain = json.loads(revealed(settings))
            feed = Feed(name=channel, channel=channel, settings=plain, account_id=row.id if row else None)
            session.add(feed)
        road = cls(sessions, Runtime(vault_settings, sessions, vault, http), company, feed.id)
        await road.poll()
        return road

    async def poll(self) -> Feed:
        """Poll the feed now, until it has no more."""
        async with self.sessions.begin() as session:
            await session.execute(update(Feed).values(next_poll_at=func.now()))
        await poll_feed(self.runtime, self.feed_id)
        async with self.sessions() as session:
            return await session.get_one(Feed, self.feed_id)

    async def items(self) -> list[Item]:
        """All items as they stand."""
        async with self.sessions() as session:
            return await items(session)

    async def newest_post(self) -> Post:
        """The post that came last."""
        async with self.sessions() as session:
            return (await session.scalars(select(Post).order_by(Post.id.desc()).limit(1))).one()

    async def answer(self, item_id: int, text: str, *, then_close: Disposition | None = None) -> Reply:
        """Ayumi claims the item, answers in the post's own visibility, and the worker sends it."""
        async with self.sessions.begin() as session:
            item = await claim(session, self.company.ayumi, item_id)
            post = await session.get_one(Post, item.post_id)
            held = await reply(session, self.company.ayumi, item_id, text, post.visibility, then_close=then_close)
            await send_now(session, self.company.ayumi, held.id)
        await send_reply(self.runtime, held.id)
        async with self.sessions() as session:
            sent = await session.get_one(Reply, held.id)
        assert sent.state == ReplyState.SENT, (sent.state, sent.trouble)
        return sent
