"""/views: lists with their filter and order, kept under names; and what the rail shows of them."""

from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import forms
from app.connectors.forms import FormField
from app.errors import Invalid
from app.flow.saved import changeable, remove, whose
from app.flow.saved_view import ViewSettings, change_view, move_view, save_view
from app.i18n import _
from app.models.agent import Agent
from app.models.saved import SavedView
from app.queries import desk, listing
from app.queries.saved_views import in_rail, view_lines
from app.web.admin.pages import to
from app.web.edge import Db, Me
from app.web.forms import Form, Refused, attempt, showing, typed
from app.web.lists import NARROWED, Shown, bounded, shown_of
from app.web.templating import render
from app.web.whose import whose_choices, whose_field

router = APIRouter()
STEPS = {"up": -1, "down": 1}


@dataclass(frozen=True, slots=True)
class View:
    """A view in the rail: where it leads, and how many items are in it, in words."""

    id: int
    name: str
    path: str
    code: str
    count: str


async def views_context(db: AsyncSession, me: Agent, shown: Shown, rail: desk.Rail, *, counted: bool) -> dict[str, Any]:
    """The views beside the lists, which of them is shown, and for whom a new one may be kept."""
    queues = {line.queue_id for line in rail.lines}
    kept = [(view, shown_of(view.list)) for view in await in_rail(db, me)]
    there = [(view, its) for view, its in kept if its.kind != "queue" or its.queue_id in queues]
    counts = await listing.counts(db, me, [its.wanted for _view, its in there]) if counted else []
    told = [bounded(min(n, listing.COUNTED)) + ("+" if more and n < listing.COUNTED else "") for n, more in counts]
    views = [
        View(view.id, view.name, its.path, its.code, count)
        for (view, its), count in zip(there, told or [""] * len(there), strict=True)
    ]
    here = replace(shown, after="").code
    current = next((view for view in views if view.code == here), None)
    may_keep = shown.kind in NARROWED and current is None and bool(shown.filter or shown.sort)
    return {"views": views, "current_view": current, "keep_for": await whose_choices(db, me) if may_keep else ()}


@router.get("/views")
async def shown_all(request: Request, db: Db, me: Me) -> Response:
    """All that one may use."""
    return await _page(request, db, me)


@router.post("/views")
async def create(request: Request, db: Db, me: Me) -> Response:
    """Keep a list under a name, and go on in it."""
    form = await typed(request)
    listed = replace(shown_of(form.text("list")), after="")
    if listed.kind not in NARROWED:
        raise Invalid(_("Only a list that can be narrowed is kept as a view. Open one and try again."), "list")
    try:
        settings = form.read(ViewSettings)
        async with attempt(db, form):
            await save_view(db, me, settings, listed.code)
    except Refused:
        return await _page(request, db, me, form, listed=listed)
    return to(listed.path)


@router.get("/views/{view_id}")
async def edit(request: Request, db: Db, me: Me, view_id: int) -> Response:
    """One of them in the form."""
    view = await changeable(db, SavedView, me, view_id)
    form = showing(ViewSettings(name=view.name, whose=whose(view)))
    return await _page(request, db, me, form, editing=view)


@router.put("/views/{view_id}")
async def change(request: Request, db: Db, me: Me, view_id: int) -> Response:
    """Save what was changed."""
    form = await typed(request)
    view = await changeable(db, SavedView, me, view_id)
    try:
        settings = form.read(ViewSettings)
        async with attempt(db, form):
            await change_view(db, me, view_id, settings)
    except Refused:
        return await _page(request, db, me, form, editing=view)
    return to("/views")


@router.put("/views/{view_id}/place")
async def move(request: Request, db: Db, me: Me, view_id: int) -> Response:
    """One place up or down."""
    form = await typed(request)
    if form.text("to") not in STEPS:
        raise Invalid(_("Choose from the list."), "to")
    await move_view(db, me, view_id, STEPS[form.text("to")])
    return to(f"/views#view-{view_id}")


@router.delete("/views/{view_id}")
async def throw_away(db: Db, me: Me, view_id: int) -> Response:
    """Throw one away."""
    await remove(db, SavedView, me, view_id)
    return to("/views")


async def _page(
    request: Request,
    db: AsyncSession,
    me: Agent,
    form: Form | None = None,
    *,
    editing: SavedView | None = None,
    listed: Shown | None = None,
) -> Response:
    return render(
        request,
        "saved/views.html",
        status=form.status if form else HTTPStatus.OK,
        form=form,
        fields=await _fields(db, me),
        lines=[(line, shown_of(line.kept.list)) for line in await view_lines(db, me)],
        editing=editing,
        listed=listed,
        offers=await desk.offers(db, me.id),
    )


async def _fields(db: AsyncSession, me: Agent) -> dict[str, FormField]:
    known = {one.name: one for one in forms.fields(ViewSettings)}
    known["whose"] = await whose_field(db, me)
    return known
