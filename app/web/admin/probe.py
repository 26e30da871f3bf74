"""'Test connection': the connector's own check, in this process, over the guarded transport. Never inside a transaction."""

from fastapi import Request
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import Check, Connector, Link, SettingsModel
from app.errors import CarelineError, SealError, Unauthorized
from app.flow.configure_account import keep_identity, open_credentials
from app.flow.configure_feed import FeedSettings
from app.flow.link import dialing, wire
from app.i18n import _, retold
from app.models.account import Account
from app.models.feed import Feed
from app.settings import Settings
from app.transport import guarded_client
from app.vault import Vault
from app.web.forms import Form

PATIENCE = 20.0  # seconds for the whole check


async def probe_stored(request: Request, db: AsyncSession, form: Form, feed: Feed) -> Check | None:
    """Check a stored feed and keep who we are there; None, with the form's error, when it fails."""
    settings: Settings = request.app.state.settings
    sessions = request.app.state.sessions
    async with guarded_client(settings, timeout=PATIENCE) as http:
        try:
            wired = await wire(db, feed, Vault.load(settings), http, sessions, base=settings.base_url)
            await db.commit()
            check = await wired.connector.check(wired.link)
        except CarelineError as error:
            form.errors["check"] = retold(error.message)
            return None
    if feed.account_id is not None:
        async with sessions.begin() as session:
            await keep_identity(session, feed.account_id, check)
    return check


async def probe_typed(
    request: Request, db: AsyncSession, form: Form, connector: Connector, feed: FeedSettings
) -> Check | None:
    """Check what was typed and is not stored yet; None, with the form's error, when it fails."""
    settings: Settings = request.app.state.settings
    try:
        credentials = await _credentials(db, connector, feed, settings)
    except (SealError, Unauthorized) as error:
        form.errors["check"] = retold(error.message)
        return None
    now = (await db.execute(select(func.clock_timestamp()))).scalar_one()
    await db.commit()
    async with guarded_client(settings, timeout=PATIENCE) as http:
        link = Link(
            settings=connector.Settings.model_validate(feed.settings),
            credentials=credentials,
            http=http,
            now=now,
            keep=_kept_nowhere,
            **dialing(http),
        )
        try:
            return await connector.check(link)
        except CarelineError as error:
            form.errors["check"] = retold(error.message)
            return None


async def _credentials(
    db: AsyncSession, connector: Connector, feed: FeedSettings, settings: Settings
) -> SettingsModel | None:
    if connector.Credentials is None:
        return None
    account = await db.get(Account, feed.account_id) if feed.account_id is not None else None
    if account is None and not connector.account_needed:
        return None
    if account is None or account.channel != (connector.accounts_of or connector.name):
        raise Unauthorized(_("Choose an account first, or add one under Accounts."))
    return open_credentials(Vault.load(settings), account)


async def _kept_nowhere(_fresh: SettingsModel) -> None:
    """A check of what is not stored has no place for refreshed credentials; the next sign-in makes new ones."""
