"""The page of an account: what to create on its channel, the form, signing in, and how its feeds are."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import forms
from app.connectors.base import Connector, SettingsModel
from app.connectors.guide import Places, Scope, Step
from app.connectors.oauth import OAuthCredentials
from app.errors import NotFound, SealError, Unauthorized
from app.flow.configure_account import AccountSettings, open_credentials
from app.flow.connect import redirect_of
from app.flow.hook import hook_of_app, takes_deliveries
from app.flow.link import HOOKS
from app.i18n import _
from app.models.account import Account
from app.queries.admin import ends_at
from app.queries.budgets import budgets
from app.queries.feeds import FeedLine, feeds_of
from app.vault import Vault
from app.web.admin.ending import ending
from app.web.admin.health import Told, told
from app.web.admin.pages import page
from app.web.forms import Form

LABEL = "account"  # the field of the account's own name; credentials may have a field `name` of theirs


@dataclass(frozen=True, slots=True)
class Guide:
    """What stands around the form."""

    steps: tuple[Step, ...]
    scopes: tuple[Scope, ...]
    oauth: bool = False  # this channel signs in on its own page
    ready: bool = False  # the app is known, so signing in can begin
    signed_in: bool = False
    feeds: tuple[tuple[FeedLine, Told], ...] = ()


def model_of(connector: Connector) -> type[SettingsModel]:
    """The credentials of a channel. Raises NotFound for one that has none."""
    if connector.Credentials is None:
        raise NotFound(_("%s needs no account.") % connector.title)
    return connector.Credentials


async def account_of(db: AsyncSession, account_id: int) -> Account:
    """The account. Raises NotFound."""
    account = await db.get(Account, account_id, populate_existing=True)
    if account is None:
        raise NotFound(_("There is no such account."))
    return account


def vault_of(request: Request) -> Vault:
    """The keys at hand."""
    return Vault.load(request.app.state.settings)


def opened(request: Request, account: Account) -> SettingsModel | None:
    """The credentials of an account; None where there are none, or no key opens them."""
    try:
        return open_credentials(vault_of(request), account)
    except (SealError, Unauthorized):
        return None


def stored_form(connector: Connector, account: Account, kept: SettingsModel | None) -> Form:
    """The form with what is stored; secrets are empty in it."""
    own = AccountSettings(name=account.name, ends_on=account.ends_on)
    form = Form(values={one.name: one.default for one in forms.fields(model_of(connector))})
    form.values = {**(forms.shown(kept) if kept else form.values), **_own(forms.shown(own))}
    if kept is None:
        form.errors[""] = _("The stored credentials cannot be opened with the keys at hand. Enter them again.")
    return form


def _own(values: Mapping[str, str | bool]) -> dict[str, str | bool]:
    return {LABEL if name == "name" else name: value for name, value in values.items()}


async def account_page(
    request: Request,
    db: AsyncSession,
    connector: Connector,
    form: Form,
    *,
    account: Account | None = None,
    once: Mapping[str, str] | None = None,
) -> Response:
    """Draw the page. `once` are secrets that we made and show this once."""
    name, ends_on = forms.fields(AccountSettings)
    return await page(
        request,
        db,
        "account.html",
        status=form.status,
        connector=connector,
        form=form,
        name_field=replace(name, name=LABEL),
        ends_field=ends_on,
        fields=forms.fields(model_of(connector)),
        account=account,
        once=once or {},
        budgets=await budgets(db, f"account:{account.id}") if account else [],
        ending=ending(await ends_at(db, account.id), datetime.now(UTC)) if account else None,
        guide=await _guide(request, db, connector, account),
    )


async def _guide(request: Request, db: AsyncSession, connector: Connector, account: Account | None) -> Guide:
    kept = opened(request, account) if account else None
    steps = connector.guide(await _places(request, db, connector, account))
    if account is None:
        return Guide(steps, connector.oauth.scopes if connector.oauth else (), oauth=connector.oauth is not None)
    way = connector.sign_in(kept) if isinstance(kept, OAuthCredentials) else None
    return Guide(
        steps,
        way.scopes if way else (),
        oauth=way is not None,
        ready=isinstance(kept, OAuthCredentials) and (bool(kept.client_id) or connector.registers),
        signed_in=isinstance(kept, OAuthCredentials) and kept.signed_in,
        feeds=tuple((line, told(line)) for line in await feeds_of(db, account.id)),
    )


async def _places(request: Request, db: AsyncSession, connector: Connector, account: Account | None) -> Places:
    base = request.app.state.settings.base_url
    app = account.app if account and takes_deliveries(connector.capabilities) else ""
    hook = f"{base}{HOOKS}/{await hook_of_app(db, connector.name, app)}" if app else ""
    return Places(redirect_of(base, connector, account.id if account else None), hook)
