"""/macros: several actions under one name; and their run on an item, with a preview."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Request
from fastapi import Form as Field
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import forms
from app.connectors.forms import FormField
from app.flow.macro import (
    CUSTOMER,
    PARKINGS,
    MacroSettings,
    plan,
    run_macro,
    save_macro,
    settings_of,
)
from app.flow.saved import changeable, remove, usable
from app.i18n import _
from app.models.agent import Agent
from app.models.item import State
from app.models.queue import Queue
from app.models.saved import Macro
from app.models.sight import visible_queues
from app.queries.desk import offers
from app.queries.saved import macro_lines, saved_lines
from app.web import words
from app.web.admin.pages import to
from app.web.edge import Db, Me
from app.web.forms import Form, Refused, attempt, fresh, showing, typed
from app.web.templating import render
from app.web.views import seen_item
from app.web.whose import whose_field

router = APIRouter()


def _parkings() -> dict[str, str]:
    times = dict(zip(PARKINGS, (_("one hour"), _("three hours"), _("one day")), strict=True))
    told = {code: _("Park for %s") % time for code, time in times.items()}
    return {**told, CUSTOMER: _("Park until the customer writes")}


async def _ends(db: AsyncSession, me: Agent) -> dict[str, str]:
    queues = select(Queue.id, Queue.name).where(Queue.active, Queue.id.in_(visible_queues(me))).order_by(Queue.name)
    ends = {f"close:{code}": _("Close as “%s”") % label for code, label in words.dispositions().items()}
    ends |= {f"park:{code}": label for code, label in _parkings().items()}
    return ends | {f"transfer:{row[0]}": _("Send to %s") % row[1] for row in await db.execute(queues)}


async def _fields(db: AsyncSession, me: Agent) -> dict[str, FormField]:
    known = {one.name: one for one in forms.fields(MacroSettings)}
    replies = [(str(line.kept.id), line.kept.title) for line in await saved_lines(db, me)]
    commas = _("Separated by commas.")
    return known | {
        "reply": FormField("reply", _("Reply with"), "choice", choices=(("", _("no reply")), *replies)),
        "add_tags": FormField("add_tags", _("Add tags"), "text", help=commas),
        "remove_tags": FormField("remove_tags", _("Take tags away"), "text", help=commas),
        "priority": FormField(
            "priority",
            _("Priority"),
            "choice",
            choices=(("", _("as it is")), *((str(p), f"P{p}") for p in range(1, 6))),
        ),
        "end": FormField("end", _("Then"), "choice", choices=(("", _("nothing more")), *(await _ends(db, me)).items())),
        "whose": await whose_field(db, me),
    }


async def steps_in_words(db: AsyncSession, me: Agent, macro: Macro) -> list[str]:
    """What a macro does, line by line, in the order in which it does it."""
    told, ends = settings_of(macro), await _ends(db, me)
    titles = {line.kept.id: line.kept.title for line in await saved_lines(db, me)}
    lines = [_("Add the tag %s") % one for one in told.add_tags]
    lines += [_("Take the tag %s away") % one for one in told.remove_tags]
    lines += [_("Make it P%d") % told.priority] if told.priority else []
    if told.reply is not None:
        lines.append(_("Reply with “%s”") % titles.get(told.reply, _("a saved reply that is gone")))
    return [*lines, ends.get(told.end, _("Send to a queue that is not yours"))] if told.end else lines


async def _page(request: Request, db: AsyncSession, me: Agent, form: Form, *, editing: Macro | None = None) -> Response:
    lines = await macro_lines(db, me)
    return render(
        request,
        "saved/macros.html",
        status=form.status,
        form=form,
        fields=await _fields(db, me),
        lines=[(line, await steps_in_words(db, me, line.kept)) for line in lines],
        editing=editing,
        offers=await offers(db, me.id),
    )


def _blank() -> Form:
    form = fresh(MacroSettings)
    form.values = {**form.values, "add_tags": "", "remove_tags": ""}
    return form


def _read(form: Form) -> MacroSettings:
    def listed(name: str) -> tuple[str, ...]:
        return tuple(form.text(name).split(","))

    more: dict[str, Any] = {"add_tags": listed("add_tags"), "remove_tags": listed("remove_tags")}
    return form.read(MacroSettings, **more)


@router.get("/macros")
async def shown(request: Request, db: Db, me: Me) -> Response:
    """All that one may use, and a form for a new one."""
    return await _page(request, db, me, _blank())


@router.post("/macros")
async def create(request: Request, db: Db, me: Me) -> Response:
    """Make one."""
    form = await typed(request)
    try:
        settings = _read(form)
        async with attempt(db, form):
            await save_macro(db, me, settings)
    except Refused:
        return await _page(request, db, me, form)
    return to("/macros")


@router.get("/macros/{macro_id}")
async def edit(request: Request, db: Db, me: Me, macro_id: int) -> Response:
    """One of them in the form."""
    macro = await changeable(db, Macro, me, macro_id)
    settings = settings_of(macro)
    form = showing(settings)
    tags = {"add_tags": ", ".join(settings.add_tags), "remove_tags": ", ".join(settings.remove_tags)}
    form.values = {**form.values, **tags}
    return await _page(request, db, me, form, editing=macro)


@router.put("/macros/{macro_id}")
async def change(request: Request, db: Db, me: Me, macro_id: int) -> Response:
    """Save what was changed."""
    form = await typed(request)
    macro = await changeable(db, Macro, me, macro_id)
    try:
        settings = _read(form)
        async with attempt(db, form):
            await save_macro(db, me, settings, macro_id)
    except Refused:
        return await _page(request, db, me, form, editing=macro)
    return to("/macros")


@router.delete("/macros/{macro_id}")
async def throw_away(db: Db, me: Me, macro_id: int) -> Response:
    """Throw one away."""
    await remove(db, Macro, me, macro_id)
    return to("/macros")


@router.get("/items/{item_id}/macros")
async def choices(request: Request, db: Db, me: Me, item_id: int) -> Response:
    """The macros to choose from for an item."""
    await seen_item(db, me, item_id)
    lines = [(line, await steps_in_words(db, me, line.kept)) for line in await macro_lines(db, me)]
    return render(request, "saved/run.html", item_id=item_id, lines=lines, macro=None, offers=await offers(db, me.id))


@router.get("/items/{item_id}/macros/{macro_id}")
async def preview(request: Request, db: Db, me: Me, item_id: int, macro_id: int) -> Response:
    """What a macro would do to the item, tried and taken back."""
    macro = await usable(db, Macro, me, macro_id)
    name, steps = macro.name, await steps_in_words(db, me, macro)
    asked = await offers(db, me.id)
    key = uuid4()
    planned = await plan(db, me, item_id, macro_id, key)
    return render(
        request,
        "saved/run.html",
        item_id=item_id,
        lines=[],
        macro={"id": macro_id, "name": name, "steps": steps},
        planned=planned,
        key=key,
        offers=asked,
    )


@router.post("/items/{item_id}/macros/{macro_id}")
async def run(db: Db, me: Me, item_id: int, macro_id: int, key: Annotated[UUID, Field()]) -> Response:
    """Do it all, and stay with the item while it is in hand."""
    item = await run_macro(db, me, item_id, macro_id, key)
    in_hand = item.agent_id == me.id and item.state == State.ACTIVE
    return RedirectResponse(f"/items/{item_id}" if in_hand else "/desk", HTTPStatus.SEE_OTHER)
