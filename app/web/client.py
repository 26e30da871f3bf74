"""/oauth/callback/{account}/client.json: what servers read of our app, where its id is that address. For everybody."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from app.connectors import registry
from app.errors import NotFound
from app.flow.connect import BACK, DOCUMENT, redirect_of
from app.i18n import _
from app.web.admin.account_page import account_of, opened
from app.web.edge import Db

router = APIRouter()


@router.get(BACK + "/{account_id}" + DOCUMENT)
async def document(request: Request, db: Db, account_id: int) -> JSONResponse:
    """The document. Raises NotFound: no such account, or none whose app has one."""
    account = await account_of(db, account_id)
    connector, held = registry.get(account.channel), opened(request, account)
    redirect = redirect_of(request.app.state.settings.base_url, connector, account.id)
    told = connector.document(held, redirect) if held is not None else None
    if told is None:
        raise NotFound(_("There is no such account."))
    return JSONResponse(told)
