"""/admin/listening: what the company tells of itself so that posts are heard rightly, and how far that is done."""

from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import forms
from app.flow.configure_listening import ListeningSettings, configure_listening, listening, settings_of
from app.flow.configured import fingerprint
from app.flow.rehear import progress
from app.web.admin.pages import page, to
from app.web.edge import Db
from app.web.forms import Form, Refused, attempt, showing, typed

router = APIRouter(prefix="/admin/listening")


async def _page(request: Request, db: AsyncSession, form: Form, seen: str) -> Response:
    fields = forms.fields(ListeningSettings)
    how_far = await progress(db)
    return await page(
        request, db, "listening.html", status=form.status, form=form, fields=fields, seen=seen, progress=how_far
    )


@router.get("")
async def shown(request: Request, db: Db) -> Response:
    """The settings, and how far posts of before have been gone over."""
    settings = settings_of(await listening(db))
    return await _page(request, db, showing(settings), fingerprint(settings))


@router.put("")
async def changed(request: Request, db: Db) -> Response:
    """Change them; posts of before are gone over again."""
    form = await typed(request)
    try:
        settings = form.read(ListeningSettings)
        async with attempt(db, form):
            await configure_listening(db, settings, form.text("seen"))
    except Refused:
        form.status = form.status if form.errors else HTTPStatus.UNPROCESSABLE_ENTITY
        return await _page(request, db, form, form.text("seen"))
    return to("/admin/listening")
