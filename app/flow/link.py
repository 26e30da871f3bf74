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
from app.i18n import N_
from app.models.account import Account
from app.models.feed import Feed
from app.transport import GuardedClient
from app.vault import Vault


@dataclass(frozen=True, slots=True)
class Wire:
    """A connector with all that its calls need, and the budgets that they use."""

    connector: Connector
    link: Link
    budget: str  # key of the credential's own
    purse: Purse  # its named ones


def sealed_for(account_id: int) -> str:
    """What a sealed credential is bound to: it opens for no other account."""
    return f"account:{account_id}"


async def wire(
    session: AsyncSession,
    feed: Feed,
    vault: Vault,
    http: httpx.AsyncClient,
    sessions: async_sessionmaker[AsyncSession],
    *,
    account_id: int | None = None,
) -> Wire:
    """Load what the feed's connector needs. `sessions` keeps refreshed credentials in transactions of their own.

    `account_id` signs in as another account of ours than the feed's.

    Raises:
        Unauthorized: the account is missing.
        SealError: its credentials cannot be opened.
    """
    connector = registry.get(feed.channel)
    account_id = account_id or feed.account_id
    account = await session.get(Account, account_id) if account_id is not None else None
    credentials = None
    if connector.Credentials is not None:
        if account is None or account.sealed is None:
            raise Unauthorized(
                N_("Feed '%(feed)s' has no account to sign in with. Connect one on its page.") % {"feed": feed.name}
            )
        opened = json.loads(vault.open(account.sealed, sealed_for(account.id)))
        credentials = connector.Credentials.model_validate(opened)
    now = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    key = f"account:{account.id}" if account else f"feed:{feed.id}"
    link = Link(
        settings=connector.Settings.model_validate(feed.settings),
        credentials=credentials,
        http=http,
        now=now,
        keep=_keeper(account, vault, sessions),
        account=_who(account),
        **dialing(http),
    )
    purse = await purse_of(session, feed, connector, link, key)
    return Wire(connector, replace(link, note=noting(sessions, purse)), key, purse)


def dialing(http: httpx.AsyncClient) -> dict[str, Any]:
    """What a `Link` gets for connections that are no HTTP: the same guard as the client's, where it has one."""
    return {"dial": http.dial} if isinstance(http, GuardedClient) else {}


def _who(account: Account | None) -> IncomingAuthor | None:
    if account is None or account.external_id is None:
        return None
    return IncomingAuthor(external_id=account.external_id, handle=account.handle or account.name)


def revealed(model: SettingsModel) -> bytes:
    """Credentials as JSON with their secrets, to be sealed at once."""
    plain = model.model_dump(mode="python")
    return json.dumps(
        plain, default=lambda v: v.get_secret_value() if hasattr(v, "get_secret_value") else str(v)
    ).encode()


def _keeper(
    account: Account | None, vault: Vault, sessions: async_sessionmaker[AsyncSession]
) -> Callable[[SettingsModel], Awaitable[None]]:
    async def keep(fresh: SettingsModel) -> None:
        if account is None:
            return
        sealed = vault.seal(revealed(fresh), sealed_for(account.id))
        async with sessions.begin() as session:
            await session.execute(update(Account).where(Account.id == account.id).values(sealed=sealed))

    return keep
