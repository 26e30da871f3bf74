"""Hooks: the unguessable addresses at which channels deliver, and the feeds that a delivery concerns."""

import secrets
from collections.abc import Awaitable, Callable

from sqlalchemy import and_, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.connectors import registry
from app.connectors.base import Capabilities, Json
from app.models.account import Account
from app.models.connect import Hook
from app.models.feed import Feed

KEY_BYTES = 24  # of randomness in an address


def takes_deliveries(capabilities: Capabilities) -> bool:
    """Whether feeds of such a channel have an address for deliveries."""
    return (capabilities.push and not capabilities.typed) or capabilities.hooks


async def hook_of(session: AsyncSession, feed: Feed, app: str = "") -> str:
    """The key of the feed's address, made when there is none: that of its account's `app`, or one of its own."""
    return await _key(session, feed.channel, feed.id, app)


async def hook_of_app(session: AsyncSession, channel: str, app: str) -> str:
    """The key of the address that all accounts of an app share, made when there is none."""
    return await _key(session, channel, None, app)


async def _key(session: AsyncSession, channel: str, feed_id: int | None, app: str) -> str:
    find = select(Hook.key).where(Hook.channel == channel, Hook.app == app if app else Hook.feed_id == feed_id)
    found = await session.scalar(find)
    if found is None:
        key = secrets.token_urlsafe(KEY_BYTES)
        made = insert(Hook).values(key=key, channel=channel, app=app or None, feed_id=None if app else feed_id)
        await session.execute(made.on_conflict_do_nothing())
        found = await session.scalar(find)  # ours, or that of who was first
    return found or ""


async def told_of(session: AsyncSession, key: str) -> Json:
    """What a connector keeps beside an address."""
    return await session.scalar(select(Hook.told).where(Hook.key == key)) or {}


def telling(sessions: async_sessionmaker[AsyncSession], key: str) -> Callable[[Json], Awaitable[None]]:
    """Keeps more beside an address, in a transaction of its own: the channel may ask before the poll is over."""

    async def tell(told: Json) -> None:
        async with sessions.begin() as session:
            await session.execute(update(Hook).where(Hook.key == key).values(told=Hook.told.concat(told)))

    return tell


async def feeds_at(session: AsyncSession, key: str) -> list[Feed]:
    """The feeds that deliveries to an address may concern, in a fixed order. Empty: there is no such address."""
    concerned = or_(
        Hook.feed_id == Feed.id,
        and_(Hook.app.is_not(None), Hook.app == Account.app, Hook.channel == Feed.channel),
    )
    query = select(Feed).outerjoin(Account, Account.id == Feed.account_id).join(Hook, concerned)
    feeds = await session.scalars(query.where(Hook.key == key).order_by(Feed.id))
    return [feed for feed in feeds if takes_deliveries(registry.get(feed.channel).capabilities)]


async def accounts_at(session: AsyncSession, key: str) -> list[Account]:
    """The accounts of the app that an address belongs to: they prove it before there is any feed."""
    of_app = and_(Hook.app == Account.app, Hook.channel == Account.channel)
    return list(await session.scalars(select(Account).join(Hook, of_app).where(Hook.key == key).order_by(Account.id)))
