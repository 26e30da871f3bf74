"""/admin/accounts: our identities on channels. Credentials go in and never come out; a secret we made is shown once."""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import forms, registry
from app.connectors.base import Connector, SettingsModel
from app.errors import NotFound, SealError, Unauthorized
from app.flow.configure_account import (
    AccountSettings,
    change_account,
    create_account,
    open_credentials,
    remove_account,
)
from app.i18n import _
from app.models.account import Account
from app.queries import admin
from app.queries.budgets import budgets
from app.vault import Vault
from app.web.admin.pages import page, to
from app.web.edge import Db
from app.web.forms import Form, Refused, attempt, fresh, typed

router = APIRouter(prefix="/admin/accounts")
LABEL = "account"  # the field of the account's own name; credentials may have a field `name` of theirs


def _signing_in() -> dict[str, Connector]:
    return {name: connector for name, connector in registry.all().items() if connector.Credentials}


async def _list_page(request: Request, db: AsyncSession, form: Form | None = None) -> Response:
    form = form or Form()
    lines = await admin.accounts(db)
    return await page(
        request, db, "accounts.html", status=form.status, lines=lines, connectors=_signing_in(), form=form
    )


async def _form_page(
    request: Request,
    db: AsyncSession,
    connector: Connector,
    form: Form,
    *,
    account: Account | None = None,
    once: Mapping[str, str] | None = None,
) -> Response:
    return await page(
        request,
        db,
        "account.html",
        status=form.status,
        connector=connector,
        form=form,
        name_field=replace(forms.fields(AccountSettings)[0], name=LABEL),
        fields=forms.fields(_model(connector)),
        account=account,
        once=once or {},
        budgets=await budgets(db, f"account:{account.id}") if account else [],
    )


@router.get("")
async def listed(request: Request, db: Db) -> Response:
    """All accounts."""
    return await _list_page(request, db)


@router.get("/new")
async def new(request: Request, db: Db, channel: str) -> Response:
    """The form of a new account."""
    connector = registry.get(channel)
    form = fresh(_model(connector))
    return await _form_page(request, db, connector, form)


@router.post("")
async def made(request: Request, db: Db) -> Response:
    """Make an account."""
    form = await typed(request)
    connector = registry.get(form.text("channel"))
    try:
        name, credentials = _read(form, connector)
        async with attempt(db, form):
            account = await create_account(db, _vault(request), connector.name, name, credentials)
    except Refused:
        return await _form_page(request, db, connector, _labelled(form))
    once = _made_here(form, credentials)
    if not once:
        return to("/admin/accounts")
    form.status = HTTPStatus.CREATED
    return await _form_page(request, db, connector, form, account=account, once=once)


@router.get("/{account_id}")
async def shown(request: Request, db: Db, account_id: int) -> Response:
    """The form of an account; its secrets are empty in it."""
    account = await _account(db, account_id)
    connector = registry.get(account.channel)
    kept = _opened(request, account)
    form = fresh(_model(connector))
    form.values = {**(forms.shown(kept) if kept else form.values), LABEL: account.name}
    if kept is None:
        form.errors[""] = _("The stored credentials cannot be opened with the keys at hand. Enter them again.")
    return await _form_page(request, db, connector, form, account=account)


@router.put("/{account_id}")
async def changed(request: Request, db: Db, account_id: int) -> Response:
    """Change an account; a secret left empty stays as it is."""
    form = await typed(request)
    account = await _account(db, account_id)
    connector = registry.get(account.channel)
    try:
        name, credentials = _read(form, connector, _opened(request, account))
        async with attempt(db, form):
            await change_account(db, _vault(request), account_id, name, credentials)
    except Refused:
        account = await _account(db, account_id)
        return await _form_page(request, db, connector, _labelled(form), account=account)
    return to("/admin/accounts")


@router.delete("/{account_id}")
async def removed(request: Request, db: Db, account_id: int) -> Response:
    """Remove an account that nothing uses."""
    form = Form()
    try:
        async with attempt(db, form):
            await remove_account(db, account_id)
    except Refused:
        return await _list_page(request, db, form)
    return to("/admin/accounts")


def _model(connector: Connector) -> type[SettingsModel]:
    if connector.Credentials is None:
        raise NotFound(_("%s needs no account.") % connector.title)
    return connector.Credentials


def _read(form: Form, connector: Connector, kept: SettingsModel | None = None) -> tuple[AccountSettings, SettingsModel]:
    """The account that the form stands for. Raises Refused, with an error for every field."""
    own = Form(values={"name": form.text(LABEL)})
    try:
        credentials = form.read(_model(connector), kept=kept)
        name = own.read(AccountSettings)
    except Refused:
        if not form.text(LABEL).strip():
            form.errors[LABEL] = _("This is needed.")
        form.status = HTTPStatus.UNPROCESSABLE_ENTITY
        raise
    return name, credentials


def _labelled(form: Form) -> Form:
    """What the verb said about the account's name stands beside its field."""
    if "name" in form.errors and LABEL not in form.errors:
        form.errors[LABEL] = form.errors.pop("name")
    return form


def _made_here(form: Form, credentials: SettingsModel) -> dict[str, str]:
    """Secrets that were left empty and have a value now: the other side must be told, this once."""
    made_: dict[str, str] = {}
    for one in forms.fields(type(credentials)):
        value = getattr(credentials, one.name)
        secret = value.get_secret_value() if isinstance(value, SecretStr) else ""
        if one.kind == "password" and secret and not form.text(one.name):
            made_[one.label] = secret
    return made_


def _opened(request: Request, account: Account) -> SettingsModel | None:
    try:
        return open_credentials(_vault(request), account)
    except (SealError, Unauthorized):
        return None


def _vault(request: Request) -> Vault:
    return Vault.load(request.app.state.settings)


async def _account(db: AsyncSession, account_id: int) -> Account:
    account = await db.get(Account, account_id, populate_existing=True)
    if account is None:
        raise NotFound(_("There is no such account."))
    return account
