"""/admin/accounts: our identities on channels. Credentials go in and never come out; a secret we made is shown once."""

from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import forms, registry
from app.connectors.base import Connector, SettingsModel
from app.flow.configure_account import AccountSettings, change_account, create_account, remove_account
from app.i18n import _
from app.queries import admin
from app.web.admin.account_page import LABEL, account_of, account_page, model_of, opened, stored_form, vault_of
from app.web.admin.connect import begin
from app.web.admin.ending import ending
from app.web.admin.pages import page, to
from app.web.edge import Db
from app.web.forms import Form, Refused, attempt, fresh, typed

router = APIRouter(prefix="/admin/accounts")


def _signing_in() -> dict[str, Connector]:
    return {name: connector for name, connector in registry.all().items() if _has_own(connector)}


def _has_own(connector: Connector) -> bool:
    return connector.Credentials is not None and not connector.accounts_of


async def _list_page(request: Request, db: AsyncSession, form: Form | None = None) -> Response:
    form = form or Form()
    lines = await admin.accounts(db)
    return await page(
        request,
        db,
        "accounts.html",
        status=form.status,
        lines=lines,
        connectors=_signing_in(),
        form=form,
        ending=ending,
    )


@router.get("")
async def listed(request: Request, db: Db) -> Response:
    """All accounts."""
    return await _list_page(request, db)


@router.get("/new")
async def new(request: Request, db: Db, channel: str) -> Response:
    """The form of a new account."""
    connector = registry.get(channel)
    return await account_page(request, db, connector, fresh(model_of(connector)))


@router.post("")
async def made(request: Request, db: Db) -> Response:
    """Make an account."""
    form = await typed(request)
    connector = registry.get(form.text("channel"))
    try:
        name, credentials = _read(form, connector)
        async with attempt(db, form):
            account = await create_account(db, vault_of(request), connector.name, name, credentials)
    except Refused:
        return await account_page(request, db, connector, _labelled(form))
    if form.text("do") == "connect":
        return await begin(request, db, account)
    once = _made_here(form, credentials)
    if not once:
        return to("/admin/accounts")
    form.status = HTTPStatus.CREATED
    return await account_page(request, db, connector, form, account=account, once=once)


@router.get("/{account_id}")
async def shown(request: Request, db: Db, account_id: int) -> Response:
    """The form of an account; its secrets are empty in it."""
    account = await account_of(db, account_id)
    connector = registry.get(account.channel)
    form = stored_form(connector, account, opened(request, account))
    return await account_page(request, db, connector, form, account=account)


@router.put("/{account_id}")
async def changed(request: Request, db: Db, account_id: int) -> Response:
    """Change an account; a secret left empty stays as it is."""
    form = await typed(request)
    account = await account_of(db, account_id)
    connector = registry.get(account.channel)
    try:
        name, credentials = _read(form, connector, opened(request, account))
        async with attempt(db, form):
            account = await change_account(db, vault_of(request), account_id, name, credentials)
    except Refused:
        account = await account_of(db, account_id)
        return await account_page(request, db, connector, _labelled(form), account=account)
    return await begin(request, db, account) if form.text("do") == "connect" else to("/admin/accounts")


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


def _read(form: Form, connector: Connector, kept: SettingsModel | None = None) -> tuple[AccountSettings, SettingsModel]:
    """The account that the form stands for. Raises Refused, with an error for every field."""
    own = Form(values={"name": form.text(LABEL), "ends_on": form.text("ends_on")})
    try:
        credentials = form.read(model_of(connector), kept=kept)
        name = own.read(AccountSettings)
    except Refused:
        form.errors.update({name: words for name, words in own.errors.items() if name != "name"})
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
