"""/admin/queues: waiting lines, their targets, priorities and members."""

from dataclasses import replace

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import forms
from app.errors import NotFound
from app.flow.configure_queue import QueueSettings, change_queue, create_queue, queue_settings
from app.flow.configured import fingerprint
from app.flow.implied import implied
from app.i18n import _
from app.models.agent import Team
from app.models.queue import Policy, Queue, QueueMember
from app.queries import admin
from app.web.admin.pages import page, to
from app.web.edge import Db
from app.web.forms import Form, Refused, attempt, choices, fresh, showing, typed

router = APIRouter(prefix="/admin/queues")
UNITS = {"target", "offer_seconds", "reoffer_after", "undo_seconds", "reopen_within"}


def policies() -> dict[str, str]:
    """Who gets an item, in words."""
    return {
        Policy.LONGEST: _("Who has been free the longest"),
        Policy.SPARE: _("Who has the most room"),
        Policy.SKILLED: _("Who has the best skills for it"),
    }


async def _form_page(
    request: Request, db: AsyncSession, form: Form, queue: Queue | None = None, seen: str = ""
) -> Response:
    teams = await admin.names(db, Team)
    fields = {one.name: one for one in forms.fields(QueueSettings)}
    fields["team_id"] = choices(fields["team_id"], teams, empty=_("Choose a team"))
    fields["policy"] = replace(fields["policy"], choices=tuple(policies().items()))
    others = {
        key: name
        for key, name in (await admin.names(db, Queue, active=True)).items()
        if queue is None or key != queue.id
    }
    fields["overflow_queue_id"] = choices(fields["overflow_queue_id"], others, empty=_("Nowhere"))
    boosts = str(form.value("boosts")).splitlines() or [""] * 5
    return await page(
        request,
        db,
        "queue.html",
        status=form.status,
        form=form,
        fields=fields,
        units=UNITS,
        boosts=boosts,
        people=await admin.people(db),
        queue=queue,
        seen=seen,
    )


@router.get("")
async def listed(request: Request, db: Db) -> Response:
    """All queues."""
    return await page(request, db, "queues.html", lines=await admin.queues(db), implied=await implied(db))


@router.get("/new")
async def new(request: Request, db: Db) -> Response:
    """The form of a new queue."""
    return await _form_page(request, db, fresh(QueueSettings))


@router.get("/{queue_id}")
async def shown(request: Request, db: Db, queue_id: int) -> Response:
    """The form of a queue."""
    queue = await _queue(db, queue_id)
    members = await db.scalars(select(QueueMember.agent_id).where(QueueMember.queue_id == queue_id))
    settings = queue_settings(queue)
    form = showing(settings, members=[str(one) for one in members])
    return await _form_page(request, db, form, queue, fingerprint(settings))


@router.post("")
async def made(request: Request, db: Db) -> Response:
    """Make a queue."""
    form = await _typed(request)
    try:
        settings = form.read(QueueSettings)
        async with attempt(db, form):
            await create_queue(db, settings, form.ids("members"))
    except Refused:
        return await _form_page(request, db, form)
    return to("/admin/queues")


@router.put("/{queue_id}")
async def changed(request: Request, db: Db, queue_id: int) -> Response:
    """Change a queue."""
    form = await _typed(request)
    try:
        settings = form.read(QueueSettings)
        async with attempt(db, form):
            await change_queue(db, queue_id, settings, form.ids("members"), form.text("seen"))
    except Refused:
        return await _form_page(request, db, form, await _queue(db, queue_id), form.text("seen"))
    return to("/admin/queues")


async def _typed(request: Request) -> Form:
    """The five fields of what a priority is worth come as one text of five lines, as the model's form has it."""
    form = await typed(request)
    form.values = {**form.values, "boosts": "\n".join(form.chosen("boosts"))}
    return form


async def _queue(db: AsyncSession, queue_id: int) -> Queue:
    queue = await db.get(Queue, queue_id, populate_existing=True)
    if queue is None:
        raise NotFound(_("There is no such queue."))
    return queue
