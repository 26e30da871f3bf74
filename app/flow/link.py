"""Building what a connector call needs: settings, opened credentials, who we are, the database's time."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import httpx
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.connectors import registry
from app.connectors.base import Connector, IncomingAuthor, Link, SettingsModel
from app.errors import Unauthorized
from app.flow.allowance import Purse, noting, purse_of
from app.flow.hook import hook_of, takes_deliveries, telling, told_of
from app.flow.renew import turns
from app.flow.sealed import sealed_for, stored
from app.i18n import N_
from app.models.account import Account
from app.models.feed import Feed
from app.transport import GuardedClient
from app.vault import Vault

HOOKS = "/hooks"  # where deliveries arrive


@dataclass(frozen=True, slots=True)
class Wire:
    """A connector with all that its calls need, and the budgets that they use."""

    connector: Connector
    link: Link
    budget: str  # key of the credential's own
    purse: Purse  # its named ones


async def wire(
    session: AsyncSession,
    feed: Feed,
    vault: Vault,
    http: httpx.AsyncClient,
    sessions: async_sessionmaker[AsyncSession],
    *,
    account_id: int | None = None,
    base: str = "",
) -> Wire:
    """Load what the feed's connector needs. `sessions` keeps refreshed credentials in transactions of their own.

    `account_id` signs in as another account of ours than the feed's; `base` is our public address.

    Raises:
        Unauthorized: the account is missing.
        SealError: its credentials cannot be opened.
    """
    connector = registry.get(feed.channel)
    account_id = account_id or feed.account_id
    account = await session.get(Account, account_id) if account_id is not None else None
    needs = connector.Credentials is not None and (account is not None or connector.account_needed)
    if needs and (account is None or account.sealed is None):
        raise Unauthorized(
            N_("Feed '%(feed)s' has no account to sign in with. Connect one on its page.") % {"feed": feed.name}
        )
    link = await _link(session, connector, account, vault, http, sessions=sessions)
    link = replace(link, settings=connector.Settings.model_validate(feed.settings), cursor=feed.cursor)
    if base and takes_deliveries(connector.capabilities):
        place = await hook_of(session, feed, account.app if account else "")
        told, tell = await told_of(session, place), telling(sessions, place)
        link = replace(link, hook=f"{base}{HOOKS}/{place}", told=told, tell=tell)
    key = f"account:{account.id}" if account else f"feed:{feed.id}"
    purse = await purse_of(session, feed, connector, link, key)
    return Wire(connector, replace(link, note=noting(sessions, purse)), key, purse)


def dialing(http: httpx.AsyncClient) -> dict[str, Any]:
    """What a `Link` gets for connections that are no HTTP: the same guard as the client's, where it has one."""
    return {"dial": http.dial} if isinstance(http, GuardedClient) else {}


def _who(account: Account | None) -> IncomingAuthor | None:
    if account is None or account.external_id is None:
        return None
    return IncomingAuthor(external_id=account.external_id, handle=account.handle or account.name)


async def account_link(
    session: AsyncSession,
    account: Account,
    vault: Vault,
    http: httpx.AsyncClient,
    sessions: async_sessionmaker[AsyncSession],
) -> Link:
    """What calls on behalf of an account alone need, whatever its feeds. Raises Unauthorized, SealError."""
    if account.sealed is None:
        raise Unauthorized(N_("%(account)s has no credentials. Enter them on its page.") % {"account": account.name})
    return await _link(session, registry.get(account.channel), account, vault, http, sessions=sessions)


async def _link(
    session: AsyncSession,
    connector: Connector,
    account: Account | None,
    vault: Vault,
    http: httpx.AsyncClient,
    *,
    sessions: async_sessionmaker[AsyncSession],
) -> Link:
    credentials = turn = None
    if connector.Credentials is not None and account is not None and account.sealed is not None:
        opened = json.loads(vault.open(account.sealed, sealed_for(account.id)))
        credentials = connector.Credentials.model_validate(opened)
        turn = turns(account.id, connector.Credentials, vault, sessions)
    now = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    keep = _keeper(connector, account.id if account else None, vault, sessions)
    return Link(None, credentials, http, now, keep, _who(account), take_turn=turn, **dialing(http))


def _keeper(
    connector: Connector, account_id: int | None, vault: Vault, sessions: async_sessionmaker[AsyncSession]
) -> Callable[[SettingsModel], Awaitable[None]]:
    async def keep(fresh: SettingsModel) -> None:
        if account_id is None:
            return
        values = stored(vault, connector, account_id, fresh)
        async with sessions.begin() as session:
            await session.execute(update(Account).where(Account.id == account_id).values(values))

    return keep
