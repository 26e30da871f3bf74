"""/saved: texts to answer with; and the picker in the composer that chooses among them."""

from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import forms
from app.connectors.forms import FormField
from app.flow.placeholders import KNOWN, blanks, fill, values_for
from app.flow.saved import (
    SavedSettings,
    change_saved,
    changeable,
    count_use,
    remove,
    save_reply,
    whose,
)
from app.i18n import _
from app.models.agent import Agent
from app.models.saved import SavedReply
from app.queries.desk import offers
from app.queries.saved import fitting, saved_lines
from app.web.admin.pages import to
from app.web.edge import Db, Me
from app.web.forms import Form, Refused, attempt, fresh, showing, typed
from app.web.templating import render
from app.web.views import seen_item
from app.web.whose import whose_field

router = APIRouter()


async def _fields(db: AsyncSession, me: Agent) -> dict[str, FormField]:
    known = {one.name: one for one in forms.fields(SavedSettings)}
    known["tags"] = FormField("tags", _("Topics"), "text", help=_("Separated by commas."))
    known["whose"] = await whose_field(db, me)
    return known


async def _page(
    request: Request, db: AsyncSession, me: Agent, form: Form, *, editing: SavedReply | None = None
) -> Response:
    return render(
        request,
        "saved/page.html",
        status=form.status,
        form=form,
        fields=await _fields(db, me),
        lines=await saved_lines(db, me),
        editing=editing,
        known=KNOWN,
        offers=await offers(db, me.id),
    )


@router.get("/saved")
async def shown(request: Request, db: Db, me: Me, title: str = "") -> Response:
    """All that one may use, and a form for a new one; `title` stands in it."""
    form = fresh(SavedSettings)
    form.values = {**form.values, "title": title[:120], "tags": ""}
    return await _page(request, db, me, form)


@router.post("/saved")
async def create(request: Request, db: Db, me: Me) -> Response:
    """Keep a new one."""
    form = await typed(request)
    try:
        settings = _read(form)
        async with attempt(db, form):
            await save_reply(db, me, settings)
    except Refused:
        return await _page(request, db, me, form)
    return to("/saved")


@router.get("/saved/{saved_id}")
async def edit(request: Request, db: Db, me: Me, saved_id: int) -> Response:
    """One of them in the form."""
    saved = await changeable(db, SavedReply, me, saved_id)
    settings = SavedSettings(
        title=saved.title, body=saved.body, language=saved.language, tags=tuple(saved.tags), whose=whose(saved)
    )
    form = showing(settings)
    form.values = {**form.values, "tags": ", ".join(saved.tags)}
    return await _page(request, db, me, form, editing=saved)


@router.put("/saved/{saved_id}")
async def change(request: Request, db: Db, me: Me, saved_id: int) -> Response:
    """Save what was changed."""
    form = await typed(request)
    saved = await changeable(db, SavedReply, me, saved_id)
    try:
        settings = _read(form)
        async with attempt(db, form):
            await change_saved(db, me, saved_id, settings)
    except Refused:
        return await _page(request, db, me, form, editing=saved)
    return to("/saved")


@router.delete("/saved/{saved_id}")
async def throw_away(db: Db, me: Me, saved_id: int) -> Response:
    """Throw one away."""
    await remove(db, SavedReply, me, saved_id)
    return to("/saved")


@router.post("/saved/{saved_id}/uses")
async def use(db: Db, me: Me, saved_id: int) -> Response:
    """It was put into a reply."""
    await count_use(db, me, saved_id)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.get("/items/{item_id}/saved")
async def pick(request: Request, db: Db, me: Me, item_id: int, q: str = "") -> Response:
    """What fits an item and what was typed, filled in for it."""
    item = await seen_item(db, me, item_id)
    values = await values_for(db, me, item)
    found = [(one, fill(one.body, values)) for one in await fitting(db, me, item, q[:120])]
    choices = [(one, text, blanks(text)) for one, text in found]
    return render(request, "desk/saved_choices.html", choices=choices, asked=q)


def _read(form: Form) -> SavedSettings:
    return form.read(SavedSettings, tags=tuple(form.text("tags").split(",")))
