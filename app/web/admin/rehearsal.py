"""/admin/rehearsal: play a changed configuration through a stretch of the past, compare, and publish it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import UploadFile

from app.connectors import forms
from app.errors import Invalid, NotFound
from app.flow.config_file import export
from app.flow.rehearsals import ALIVE, SILENT, publish_rehearsal, start_rehearsal
from app.flow.rehearse import LONGEST, MOST_ITEMS, Roster, Stretch
from app.flow.rehearse_report import report
from app.i18n import _, reader
from app.models.agent import Agent
from app.models.rehearsal import Rehearsal, RehearsalState
from app.routing.rehearsal import Unserved
from app.web.admin.pages import page, to
from app.web.edge import Admin, Db
from app.web.forms import Form, Refused, attempt, typed

router = APIRouter(prefix="/admin/rehearsal")
REFRESH = "2"  # seconds after which a page that waits for the worker asks again, without any script


@router.get("")
async def listed(request: Request, db: Db) -> Response:
    """The form, with the configuration as it is to begin with, and the rehearsals of late."""
    begun = await _yesterday(db)
    values = {
        "document": await export(db),
        "since": begun.strftime("%Y-%m-%dT%H:%M"),
        "until": (begun + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M"),
        "items": "",
        "roster": Roster.RECORDED.value,
    }
    return await _form_page(request, db, Form(values=values))


@router.post("")
async def asked(request: Request, db: Db, me: Admin) -> Response:
    """Ask for a rehearsal."""
    form = await typed(request)
    form.values = {**form.values, "document": await _document(request, form)}
    try:
        async with attempt(db, form):
            made = await start_rehearsal(db, me, form.text("document"), _stretch(form))
    except Refused:
        return await _form_page(request, db, form)
    return to(f"/admin/rehearsal/{made.id}")


@router.get("/{rehearsal_id}")
async def shown(request: Request, db: Db, rehearsal_id: int) -> Response:
    """How far it is, then what came out."""
    return await _result_page(request, db, rehearsal_id, Form())


@router.post("/{rehearsal_id}/publication")
async def published(request: Request, db: Db, rehearsal_id: int) -> Response:
    """Apply the file that was rehearsed."""
    form = Form()
    try:
        async with attempt(db, form):
            await publish_rehearsal(db, rehearsal_id)
    except Refused:
        return await _result_page(request, db, rehearsal_id, form)
    return to("/admin/rules")


async def _form_page(request: Request, db: AsyncSession, form: Form) -> Response:
    newest = select(Rehearsal, Agent.name).join(Agent, Agent.id == Rehearsal.agent_id).order_by(Rehearsal.id.desc())
    return await page(
        request,
        db,
        "rehearsals.html",
        status=form.status,
        form=form,
        rosters={Roster.RECORDED: _("as they were"), Roster.OFFICE: _("everybody, 9 to 17 in their time zone")},
        lines=[(row, name, _stretch_of(row)) for row, name in await db.execute(newest)],
        states=_states(),
        most=MOST_ITEMS,
        longest=LONGEST.days,
        zone=str(reader.get().zone),
    )


async def _result_page(request: Request, db: AsyncSession, rehearsal_id: int, form: Form) -> Response:
    row = await db.get(Rehearsal, rehearsal_id, populate_existing=True)
    if row is None:
        raise NotFound(_("There is no such rehearsal. Only the newest are kept."))
    now: datetime = (await db.execute(select(func.now()))).scalar_one()
    alive = row.state in ALIVE
    lost = alive and row.told_at < now - SILENT
    return await page(
        request,
        db,
        "rehearsal.html",
        status=form.status,
        headers={"Refresh": REFRESH} if alive and not lost else {},
        form=form,
        row=row,
        stretch=_stretch_of(row),
        lost=lost,
        found=None if row.result is None else report(row.result),
        states=_states(),
        reasons=_reasons(),
        office=Roster.OFFICE,
    )


async def _document(request: Request, form: Form) -> str:
    """The uploaded file, else what stands in the text field."""
    upload = (await request.form()).get("file")
    sent = b""
    if isinstance(upload, UploadFile):
        sent = await upload.read()
        await upload.close()
    try:
        return sent.decode() if sent else form.text("document").replace("\r\n", "\n")
    except UnicodeDecodeError:
        form.errors["document"] = _("This file is no text in UTF-8.")
        return ""


def _stretch(form: Form) -> Stretch:
    """The stretch as typed, in the reader's time zone. Raises Invalid, naming the field."""
    if "document" in form.errors:
        raise Invalid(form.errors["document"], "document")
    given: Mapping[str, Any] = {
        "since": _moment(form, "since"),
        "until": _moment(form, "until"),
        "items": form.number("items"),
        "roster": form.text("roster"),
    }
    try:
        return Stretch.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = str(first["loc"][0]) if first["loc"] else "until"
        raise Invalid(forms.problem(first), field) from None


def _moment(form: Form, name: str) -> datetime:
    try:
        at = datetime.fromisoformat(form.text(name))
    except ValueError:
        raise Invalid(_("Give a date and a time."), name) from None
    return at if at.tzinfo else at.replace(tzinfo=reader.get().zone)


async def _yesterday(db: AsyncSession) -> datetime:
    """The reader's midnight a day ago."""
    now: datetime = (await db.execute(select(func.now()))).scalar_one()
    today = now.astimezone(reader.get().zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=1)


def _stretch_of(row: Rehearsal) -> Stretch:
    return Stretch.model_validate(row.stretch)


def _states() -> dict[str, str]:
    return {
        RehearsalState.WAITING: _("waits for a worker"),
        RehearsalState.RUNNING: _("running"),
        RehearsalState.DONE: _("done"),
        RehearsalState.FAILED: _("failed"),
    }


def _reasons() -> dict[str, str]:
    return {
        Unserved.NO_MEMBER: _("nobody is a member of its queue"),
        Unserved.NO_SKILL: _("no member has the skills"),
        Unserved.NO_ROOM: _("nobody may carry its weight or channel"),
        Unserved.NOBODY_IN: _("nobody who could was in afterwards"),
        Unserved.NO_TIME: _("those who could had others to serve"),
    }
