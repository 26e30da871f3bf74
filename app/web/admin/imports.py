"""/admin/feeds/{id}/imports: bring a file, say what its columns are, see how far it is, and what was rejected."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response, StreamingResponse
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from starlette.datastructures import UploadFile

from app.connectors import forms
from app.connectors.base import IncomingPost
from app.errors import Invalid, NotFound
from app.flow.import_file import bring_file, head_of, shape_import, start_import, stop_import
from app.flow.sheet import Encoding, Format, Row, in_a_cell
from app.flow.sheet_columns import FIELDS, TITLES, Reading, Shape, post_of, rows_of
from app.i18n import _, retold
from app.models.agent import Agent, Role, SignIn
from app.models.feed import Feed
from app.models.feed_import import ImportState
from app.queries.imports import ImportLine, first_rejects, imports_of, rejects
from app.web.admin.pages import page, to
from app.web.edge import Admin, Db, SignedOut, cookie_name, digest
from app.web.forms import Form, Refused, attempt, typed
from app.web.me import zones

PREFIX = "/admin/feeds/{feed_id}/imports"
REFRESH = "2"  # seconds after which a page that waits for the worker asks again, without any script
SHOWN = 10  # rows in the preview


async def _spooled(request: Request) -> AsyncIterator[None]:
    """Read a large body before any transaction begins, and only of an admin; drop it afterwards. Raises SignedOut."""
    cookie = digest(request.cookies.get(cookie_name(request.app.state.settings), ""))
    known = select(SignIn.id).join(Agent, Agent.id == SignIn.agent_id)
    async with request.app.state.sessions() as session:
        found = await session.scalar(known.where(SignIn.digest == cookie, Agent.active, Agent.role == Role.ADMIN))
    if found is None:
        raise SignedOut(_("Please sign in first."))
    async with request.form():
        yield


uploads = APIRouter(dependencies=[Depends(_spooled)])
router = APIRouter(prefix=PREFIX)


@uploads.post(PREFIX)
async def brought(request: Request, db: Db, me: Admin, feed_id: int) -> Response:
    """Keep a file as a draft, and go on to say how it is read."""
    sent = await request.form()
    upload = sent.get("file")
    if not isinstance(upload, UploadFile) or not upload.filename:
        raise Invalid(_("Choose a file first."), "file")
    try:
        encoding = Encoding(str(sent.get("encoding") or ""))
    except ValueError:
        raise Invalid(_("Choose from the list."), "encoding") from None
    made = await bring_file(db, me, feed_id, upload.filename, upload.file, encoding=encoding)
    return to(f"/admin/feeds/{feed_id}/imports/{made.id}")


@router.get("/{import_id}")
async def shown(request: Request, db: Db, feed_id: int, import_id: int) -> Response:
    """How it is to be read; or how far it is; or what came of it."""
    return await _page(request, db, await _line(db, feed_id, import_id), Form())


@router.put("/{import_id}")
async def shaped(request: Request, db: Db, feed_id: int, import_id: int) -> Response:
    """Say how it is read; and start it, if that is asked."""
    form = await typed(request)
    try:
        async with attempt(db, form):
            await shape_import(db, feed_id, import_id, _given(form))
            if form.text("do") == "start":
                await start_import(db, feed_id, import_id)
    except Refused:
        return await _page(request, db, await _line(db, feed_id, import_id), form)
    return to(f"/admin/feeds/{feed_id}/imports/{import_id}")


@router.delete("/{import_id}")
async def stopped(db: Db, feed_id: int, import_id: int) -> Response:
    """Stop it, or throw the draft away."""
    dropped = await stop_import(db, feed_id, import_id)
    return to(f"/admin/feeds/{feed_id}" if dropped else f"/admin/feeds/{feed_id}/imports/{import_id}")


@router.get("/{import_id}/rejected.csv")
async def report(request: Request, db: Db, feed_id: int, import_id: int) -> Response:
    """Each rejected row: its line, why, and the row itself."""
    line = await _line(db, feed_id, import_id)
    rows = _report(request.app.state.sessions, line.id)
    headers = {"Content-Disposition": f'attachment; filename="rejected-{line.id}.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(rows, media_type="text/csv; charset=utf-8", headers=headers)


async def _report(sessions: async_sessionmaker[AsyncSession], import_id: int) -> AsyncIterator[bytes]:
    """With a byte order mark, so that spreadsheets see that it is UTF-8; nothing in it is taken for a formula."""
    yield "\ufeff".encode() + _csv_line(_("Line"), _("Reason"), _("Row"))
    async with sessions() as session:
        async for one in rejects(session, import_id):
            yield _csv_line(str(one.line), in_a_cell(retold(one.reason)), in_a_cell(one.row))


def _csv_line(*cells: str) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()


async def _line(db: AsyncSession, feed_id: int, import_id: int) -> ImportLine:
    found = await imports_of(db, feed_id, import_id)
    if not found:
        raise NotFound(_("There is no such import. Only the newest are kept."))
    return found[0]


def _given(form: Form) -> dict[str, Any]:
    """What the form says of the shape; a column that stays "none" is left out."""
    fields = {name: form.text(f"c-{name}") for name in FIELDS if form.text(f"c-{name}")}
    given: dict[str, Any] = {"fields": fields, "queue_days": form.number("queue_days") or 0}
    return given | {name: form.text(name) for name in ("delimiter", "order", "zone") if form.text(name)}


async def _page(request: Request, db: AsyncSession, line: ImportLine, form: Form) -> Response:
    feed = await db.get_one(Feed, line.feed_id)
    shape = Shape.model_validate(line.shape)
    running = line.state is ImportState.RUNNING
    draft = line.state is ImportState.DRAFT
    return await page(
        request,
        db,
        "import.html",
        status=form.status,
        headers={"Refresh": REFRESH} if running and not line.waits else {},
        feed=feed,
        line=line,
        shape=shape,
        form=_shown(shape, form),
        titles={name: _(words) for name, words in TITLES.items()},
        own=_fields(),
        has_delimiter=shape.format is Format.CSV,
        preview=await _preview(db, line, shape, str(feed.settings["source"])) if draft else [],
        rejected=await first_rejects(db, line.id),
        states=states(),
    )


def _fields() -> dict[str, forms.FormField]:
    known = {one.name: one for one in forms.fields(Reading)}
    return known | {"zone": replace(known["zone"], kind="choice", choices=zones())}


def _shown(shape: Shape, form: Form) -> Form:
    """What stands in the fields: what was typed, else what is stored."""
    stored: dict[str, str | bool] = {f"c-{name}": column for name, column in shape.fields.items()}
    told = forms.shown(Reading.model_validate(shape.model_dump(include=set(Reading.model_fields))))
    form.values = {**stored, **told, **form.values} if not form.errors else {**told, **form.values}
    return form


async def _preview(db: AsyncSession, line: ImportLine, shape: Shape, source: str) -> list[tuple[Row, Any, str]]:
    """The first rows: each one, and its post, or why it is none."""
    lines = await head_of(db, line.id)
    now = datetime.now(UTC)
    rows = islice((row for row in rows_of(shape, lines[line.line :], line.line + 1) if not row.blank), SHOWN)
    read = [(row, post_of(row, shape, source, now)) for row in rows]
    return [(row, one, "") if isinstance(one, IncomingPost) else (row, None, retold(one)) for row, one in read]


def states() -> dict[str, str]:
    """The states of an import, in words."""
    return {
        ImportState.DRAFT: _("not begun"),
        ImportState.RUNNING: _("running"),
        ImportState.DONE: _("done"),
        ImportState.STOPPED: _("stopped"),
    }
