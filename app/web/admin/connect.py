"""/admin/accounts/{id}/connect and /oauth/callback: to the channel, where an admin agrees, and back."""

from dataclasses import replace
from http import HTTPStatus
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import registry
from app.connectors.base import Connector, IncomingAuthor, Link, SettingsModel
from app.connectors.oauth import OAuthCredentials, redeem
from app.errors import CarelineError, Conflict, ConnectorError, Invalid, Misuse, SealError
from app.flow.configure_account import hold, locked_account
from app.flow.connect import (
    BACK,
    Asked,
    ask_consent,
    keep_consent,
    must_be_answer,
    redirect_of,
    take_consent,
    way_in,
)
from app.flow.link import account_link
from app.i18n import retold
from app.models.account import Account
from app.transport import guarded_client
from app.web.admin.account_page import account_of, account_page, opened, stored_form, vault_of
from app.web.admin.pages import page, to
from app.web.edge import Db

router = APIRouter()
PATIENCE = 20.0  # seconds for what is asked of the channel


@router.get("/admin/accounts/{account_id}/connect")
async def shown(db: Db, account_id: int) -> Response:
    """The guided page."""
    await account_of(db, account_id)
    return to(f"/admin/accounts/{account_id}")


@router.post("/admin/accounts/{account_id}/connect")
async def started(request: Request, db: Db, account_id: int) -> Response:
    """Go to the channel, where an admin agrees."""
    return await begin(request, db, await account_of(db, account_id))


async def begin(request: Request, db: AsyncSession, account: Account) -> Response:
    """Ask for consent and send the browser there; ends the transaction. What goes wrong stands on the account's page."""
    await db.commit()
    try:
        return await _leave(request, account)
    except (ConnectorError, Invalid, SealError) as error:
        return await _told(request, account.id, error)


async def _leave(request: Request, account: Account) -> Response:
    """To the channel. The browser goes on by a `Refresh`: a form's redirect to another site is what our content security policy forbids."""
    state = request.app.state
    if registry.get(account.channel).registers:
        await _register(request, account)
    async with state.sessions.begin() as session:
        account = await account_of(session, account.id)
        sign_in = request.state.visitor.sign_in_id
        url = await ask_consent(session, vault_of(request), account, sign_in, state.settings.base_url)
    if registry.get(account.channel).registers:
        url = await _announced(request, account, url)
    async with state.sessions.begin() as session:
        account = await account_of(session, account.id)
        headers = {"Refresh": f"0; url={url}", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        host = urlsplit(url).hostname
        return await page(request, session, "leaving.html", headers=headers, url=url, host=host, account=account)


@router.get(BACK)
@router.get(BACK + "/{account_id}")
async def back(request: Request, db: Db) -> Response:
    """The browser comes back from the channel. Raises NotAsked for a return that was not asked for here."""
    query, settings = request.query_params, request.app.state.settings
    redirect = settings.base_url + request.url.path
    sign_in = request.state.visitor.sign_in_id
    asked = await take_consent(db, vault_of(request), query.get("state", ""), sign_in, redirect)
    await db.commit()  # used up, whatever comes now
    try:
        await _finish(request, asked)
    except (ConnectorError, Conflict, Invalid, SealError) as error:
        return await _told(request, asked.account_id, error)
    return to(f"/admin/accounts/{asked.account_id}?connected=1")


async def _finish(request: Request, asked: Asked) -> None:
    state, vault = request.app.state, vault_of(request)
    async with guarded_client(state.settings, timeout=PATIENCE) as http:
        async with state.sessions.begin() as session:
            account = await account_of(session, asked.account_id)
            connector = registry.get(account.channel)
            link = await account_link(session, account, vault, http, state.sessions)
        way = way_in(connector, link.credentials)
        code = must_be_answer(way, asked, request.query_params)
        brought = await redeem(link, way, code=code, redirect=asked.redirect, verifier=asked.verifier)
        new = replace(link, credentials=brought, keep=_nowhere, take_turn=None)
        brought, who = await _completed(connector, new)
    async with link.turn(), state.sessions.begin() as session:  # nobody refreshes what is replaced
        await keep_consent(session, vault, asked.account_id, brought, who)


async def _completed(connector: Connector, link: Link) -> tuple[OAuthCredentials, IncomingAuthor | None]:
    """What is kept, and who signed in. Nothing is stored before both are known."""
    brought = await connector.signed_in(link)
    if not isinstance(brought, OAuthCredentials):
        raise TypeError(f"{connector.name} gave back credentials of another kind.")
    return brought, await connector.who(replace(link, credentials=brought))


async def _register(request: Request, account: Account) -> None:
    """Make our app on a server that lets programs do so. What is made already stays as it is."""
    state, vault, connector = request.app.state, vault_of(request), registry.get(account.channel)
    async with guarded_client(state.settings, timeout=PATIENCE) as http:
        async with state.sessions.begin() as session:
            link = await account_link(session, account, vault, http, state.sessions)
        made = await connector.register(link, redirect_of(state.settings.base_url, connector, account.id))
    if made != link.credentials:
        async with link.turn(), state.sessions.begin() as session:
            hold(vault, await locked_account(session, account.id), made)


async def _announced(request: Request, account: Account, url: str) -> str:
    """Where the browser goes, once the server knows that it comes, if it wants to."""
    state, vault = request.app.state, vault_of(request)
    async with guarded_client(state.settings, timeout=PATIENCE) as http:
        async with state.sessions.begin() as session:
            link = await account_link(session, account, vault, http, state.sessions)
        return await registry.get(account.channel).leave(link, url)


async def _nowhere(_fresh: SettingsModel) -> None:
    """What a sign-in brought is kept as a whole, once it is complete."""


async def _told(request: Request, account_id: int, error: CarelineError) -> Response:
    """The account's page with what went wrong."""
    async with request.app.state.sessions.begin() as session:
        account = await account_of(session, account_id)
        connector = registry.get(account.channel)
        form = stored_form(connector, account, opened(request, account))
        form.errors[""] = retold(error.message)
        form.status = HTTPStatus(error.status) if isinstance(error, Misuse) else HTTPStatus.BAD_GATEWAY
        return await account_page(request, session, connector, form, account=account)
