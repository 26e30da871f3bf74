"""/first-run: makes the first admin on a fresh Careline, for whoever reads the terminal. Then it is gone for ever."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.connectors import forms
from app.errors import NotFound
from app.flow.first_run import FirstAdmin, first_run, is_first_run, must_match
from app.flow.passwords import SHORTEST
from app.i18n import _
from app.vault import Vault
from app.web.admin.pages import to
from app.web.edge import Db
from app.web.forms import Form, Refused, attempt, fresh, typed
from app.web.templating import render

router = APIRouter()
ASKED = ("name", "email", "timezone", "queue")


def _page(request: Request, form: Form) -> Response:
    fields = {one.name: one for one in forms.fields(FirstAdmin)}
    return render(
        request, "first_run.html", status=form.status, form=form, fields=[fields[n] for n in ASKED], shortest=SHORTEST
    )


@router.get("/first-run")
async def shown(request: Request, db: Db, code: str = "") -> Response:
    """The form. Raises NotFound once there is, or was, an admin."""
    await _must_be_first(db)
    form = fresh(FirstAdmin)
    form.values = {**form.values, "code": code}
    return _page(request, form)


@router.post("/first-run")
async def made(request: Request, db: Db) -> Response:
    """Make the first admin and go to the sign-in page."""
    await _must_be_first(db)
    form = await typed(request)
    try:
        async with attempt(db, form):
            must_match(Vault.load(request.app.state.settings), form.text("code"))
        settings = form.read(FirstAdmin)
        async with attempt(db, form):
            await first_run(db, settings, form.text("password"))
    except Refused:
        return _page(request, form)
    return to("/login")


async def _must_be_first(db: Db) -> None:
    if not await is_first_run(db):
        raise NotFound(_("There is nothing at this address."))
