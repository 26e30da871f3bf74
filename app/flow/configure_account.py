"""Configure accounts: our identities on channels. Credentials are checked, sealed for their row, and never shown again."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from pydantic import Field
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import forms, registry
from app.connectors.base import Check, Connector, SettingsModel
from app.errors import Conflict, Invalid, NotFound, SealError, Unauthorized
from app.flow.configure_feed import wake_feed
from app.flow.configured import UPDATE_LOCK
from app.flow.sealed import sealed_for, stored
from app.i18n import N_, _
from app.models.account import Account
from app.models.feed import Feed, Health
from app.models.reply import Reply
from app.vault import Vault


class AccountSettings(SettingsModel):
    """What an admin sets of an account, besides its credentials."""

    name: str = Field(
        title=N_("Name"), description=N_("For people here."), min_length=1, max_length=120, examples=["@northwindhelp"]
    )
    ends_on: date | None = Field(
        default=None,
        title=N_("Credentials end on"),
        description=N_("The last day of an app password or token, if it has one. Admins are told two weeks before."),
    )


async def create_account(
    session: AsyncSession, vault: Vault, channel: str, settings: AccountSettings, credentials: SettingsModel
) -> Account:
    """Make an account with sealed credentials. Raises NotFound (no such connector), Invalid (the name, the credentials)."""
    connector = registry.get(channel)
    _must_fit(connector, credentials)
    await _check_name(session, channel, settings.name)
    account = Account(channel=channel, name=settings.name, ends_on=settings.ends_on)
    session.add(account)
    await session.flush()
    hold(vault, account, credentials)
    await session.flush()
    return account


def hold(vault: Vault, account: Account, credentials: SettingsModel) -> None:
    """Seal credentials into the account's row, with what follows from them."""
    for name, value in stored(vault, registry.get(account.channel), account.id, credentials).items():
        setattr(account, name, value)


async def change_account(
    session: AsyncSession,
    vault: Vault,
    account_id: int,
    settings: AccountSettings,
    credentials: SettingsModel | None = None,
) -> Account:
    """Rename an account, and give it new credentials (None: keep those it has); its stopped feeds try again at once.

    Raises:
        NotFound: there is no such account.
        Invalid: the name is taken, or the credentials are not the channel's.
    """
    account = await locked_account(session, account_id)
    if settings.name != account.name:
        await _check_name(session, account.channel, settings.name)
        account.name = settings.name
    account.ends_on = settings.ends_on
    if credentials is not None:
        _must_fit(registry.get(account.channel), credentials)
        kept = _kept(vault, account)
        if kept is None or forms.shown_differs(kept, credentials):
            account.external_id = account.handle = None  # it may be somebody else now; the next check says who
        else:
            credentials = kept  # with the session or tokens that the connector keeps for itself
        hold(vault, account, credentials)
        await reconnected(session, account)
    await session.flush()
    return account


async def reconnected(session: AsyncSession, account: Account) -> None:
    """The account has good credentials again, as far as we know: its stopped feeds go on where they were."""
    account.needs_reconnect, account.trouble = False, ""
    await _wake_feeds(session, account.id)


def _kept(vault: Vault, account: Account) -> SettingsModel | None:
    try:
        return open_credentials(vault, account)
    except (SealError, Unauthorized, Invalid):
        return None


async def keep_identity(session: AsyncSession, account_id: int, check: Check) -> None:
    """Keep who we are there, as a check of the connection has told."""
    if check.account is not None:
        who = check.account
        values = {"external_id": who.external_id, "handle": who.handle, "needs_reconnect": False, "trouble": ""}
        profile = {"url": who.url, "avatar_url": who.avatar_url, "name": who.name}
        await session.execute(update(Account).where(Account.id == account_id).values(**values, profile=profile))


async def remove_account(session: AsyncSession, account_id: int) -> None:
    """Remove an account that nothing uses. Raises NotFound, Conflict (a feed reads with it, a reply was sent by it)."""
    account = await locked_account(session, account_id)
    feed = await session.scalar(select(Feed.name).where(Feed.account_id == account_id).limit(1))
    if feed is not None:
        raise Conflict(
            _("The feed %(feed)s reads with %(account)s. Give it another account first.")
            % {"feed": feed, "account": account.name}
        )
    if await session.scalar(select(Reply.id).where(Reply.account_id == account_id).limit(1)):
        raise Conflict(
            _("Replies were sent by %(account)s, so it stays for the record. Empty its credentials instead.")
            % {"account": account.name}
        )
    await session.delete(account)
    await session.flush()


async def locked_account(session: AsyncSession, account_id: int) -> Account:
    """The account, locked until the transaction ends. Raises NotFound."""
    account = await session.get(Account, account_id, populate_existing=True, with_for_update=UPDATE_LOCK)
    if account is None:
        raise NotFound(_("There is no such account."))
    return account


async def _check_name(session: AsyncSession, channel: str, name: str) -> None:
    same = select(func.count()).where(Account.channel == channel, Account.name == name)
    if await session.scalar(same):
        raise Invalid(
            _("There is an account named %(name)s on this channel already. Choose another name.") % {"name": name},
            "name",
        )


def _must_fit(connector: Connector, credentials: SettingsModel) -> None:
    if connector.Credentials is None:
        raise Invalid(_("%(connector)s needs no account.") % {"connector": connector.title}, "channel")
    if not isinstance(credentials, connector.Credentials):
        raise Invalid(_("These are not credentials of %(connector)s.") % {"connector": connector.title}, "channel")


async def _wake_feeds(session: AsyncSession, account_id: int) -> None:
    feeds = await session.scalars(select(Feed).where(Feed.account_id == account_id).order_by(Feed.id).with_for_update())
    for feed in feeds.all():
        if feed.health in {Health.STOPPED, Health.FAILING}:
            feed.health, feed.trouble = Health.NEW, ""
        await wake_feed(session, feed)


def credentials_of(connector: Connector, values: Mapping[str, Any]) -> SettingsModel:
    """Credentials of a channel from plain values. Raises Invalid, naming the first field that is not acceptable."""
    if connector.Credentials is None:
        raise Invalid(_("%(connector)s needs no account.") % {"connector": connector.title}, "channel")
    return forms.check(connector.Credentials, values)


def open_credentials(vault: Vault, account: Account) -> SettingsModel:
    """The credentials of an account, to be used at once. Raises SealError, Unauthorized when there are none."""
    model = registry.get(account.channel).Credentials
    if model is None or account.sealed is None:
        raise Unauthorized(N_("%(account)s has no credentials. Enter them on its page.") % {"account": account.name})
    return forms.check(model, json.loads(vault.open(account.sealed, sealed_for(account.id))))
