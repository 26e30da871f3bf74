"""/admin/skills, /admin/teams and /admin/reasons: things that have only a name, listed, renamed and removed on one page."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import forms
from app.connectors.base import SettingsModel
from app.errors import NotFound
from app.flow.configure_reason import ReasonSettings, change_reason, create_reason, remove_reason
from app.flow.configure_skill import SkillSettings, change_skill, create_skill, remove_skill
from app.flow.configure_team import TeamSettings, change_team, create_team, remove_team
from app.flow.configured import fingerprint
from app.i18n import _
from app.queries import admin
from app.queries.admin import Named
from app.web.admin.pages import page, to
from app.web.edge import Db
from app.web.forms import Form, Refused, attempt, fresh, showing, typed
from app.web.words import reason_code

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of thing: its verbs, its list, its words."""

    base: str
    model: type[SettingsModel]
    lines: Callable[[AsyncSession], Awaitable[list[Named]]]
    create: Callable[..., Awaitable[Any]]
    change: Callable[..., Awaitable[Any]]
    remove: Callable[[AsyncSession, int], Awaitable[None]]
    words: Callable[[], dict[str, str]]
    shown: Callable[[str], str] = str  # a name as people read it


def _skill_words() -> dict[str, str]:
    return {
        "title": _("Skills"),
        "about": _(
            "What agents can do, from level 1 to 5. Rules ask for them; only agents who have them get the item."
        ),
        "list": _("All skills"),
        "people": _("Agents"),
        "other": _("Rules"),
        "none": _("No skills yet"),
        "why": _("Without skills, any member of a queue gets its items. Add one for a language or a subject."),
        "new": _("New skill"),
        "add": _("Add skill"),
        "icon": "i-star",
    }


def _team_words() -> dict[str, str]:
    return {
        "title": _("Teams"),
        "about": _("Agents see the queues of their teams; supervisors watch them."),
        "list": _("All teams"),
        "people": _("Agents"),
        "other": _("Queues"),
        "none": _("No teams yet"),
        "why": _("Queues belong to teams, so make a team first."),
        "new": _("New team"),
        "add": _("Add team"),
        "icon": "i-people",
    }


def _reason_words() -> dict[str, str]:
    return {
        "title": _("Reasons not to be ready"),
        "about": _(
            "What agents choose from when they are not ready, in this order. Everybody reads break, lunch, training and "
            "technical in their own language, and others as you write them."
        ),
        "list": _("All reasons"),
        "people": _("Away now"),
        "other": "",
        "none": _("No reasons yet"),
        "why": _("Nobody could take a break without one."),
        "new": _("New reason"),
        "add": _("Add reason"),
        "icon": "s-away",
    }


SKILLS = Kind("/admin/skills", SkillSettings, admin.skills, create_skill, change_skill, remove_skill, _skill_words)
TEAMS = Kind("/admin/teams", TeamSettings, admin.teams, create_team, change_team, remove_team, _team_words)

REASONS = Kind(
    "/admin/reasons", ReasonSettings, admin.reasons, create_reason, change_reason, remove_reason, _reason_words,
    shown=reason_code,
)  # fmt: skip


async def _page(
    request: Request, db: AsyncSession, kind: Kind, form: Form, *, editing: int | None = None, seen: str = ""
) -> Response:
    return await page(
        request,
        db,
        "named.html",
        status=form.status,
        base=kind.base,
        words=kind.words(),
        shown=kind.shown,
        lines=await kind.lines(db),
        fields=forms.fields(kind.model),
        form=form,
        blank=fresh(kind.model),
        editing=editing,
        seen=seen,
    )


def _add(kind: Kind) -> None:
    async def listed(request: Request, db: Db) -> Response:
        return await _page(request, db, kind, fresh(kind.model))

    async def edited(request: Request, db: Db, thing_id: int) -> Response:
        line = next((line for line in await kind.lines(db) if line.id == thing_id), None)
        if line is None:
            raise NotFound(_("It is not there any more. Somebody may have removed it."))
        settings = kind.model.model_validate({"name": line.name})
        return await _page(request, db, kind, showing(settings), editing=thing_id, seen=fingerprint(settings))

    async def made(request: Request, db: Db) -> Response:
        form = await typed(request)
        try:
            settings = form.read(kind.model)
            async with attempt(db, form):
                await kind.create(db, settings)
        except Refused:
            return await _page(request, db, kind, form)
        return to(kind.base)

    async def changed(request: Request, db: Db, thing_id: int) -> Response:
        form = await typed(request)
        try:
            settings = form.read(kind.model)
            async with attempt(db, form):
                await kind.change(db, thing_id, settings, form.text("seen"))
        except Refused:
            return await _page(request, db, kind, form, editing=thing_id, seen=form.text("seen"))
        return to(kind.base)

    async def removed(request: Request, db: Db, thing_id: int) -> Response:
        form = fresh(kind.model)
        try:
            async with attempt(db, form):
                await kind.remove(db, thing_id)
        except Refused:
            return await _page(request, db, kind, form)
        return to(kind.base)

    router.add_api_route(kind.base, listed, methods=["GET"])
    router.add_api_route(kind.base, made, methods=["POST"])
    router.add_api_route(kind.base + "/{thing_id}", edited, methods=["GET"])
    router.add_api_route(kind.base + "/{thing_id}", changed, methods=["PUT"])
    router.add_api_route(kind.base + "/{thing_id}", removed, methods=["DELETE"])


_add(SKILLS)
_add(TEAMS)
_add(REASONS)
