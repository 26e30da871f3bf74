"""/me: what people set for themselves, section by section. Plain forms; no script is needed.

A section is a partial in templates/me/ with the names of its fields here; what needs more than fields has an own route.
"""

from dataclasses import replace
from functools import lru_cache
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from fastapi import APIRouter, Request
from fastapi import Form as Field
from fastapi.responses import RedirectResponse, Response

from app.connectors import forms
from app.connectors.forms import FormField
from app.errors import Invalid, NotFound
from app.flow.own_password import change_own_password
from app.flow.passwords import SHORTEST
from app.flow.preferences import Preferences, Theme, prefer, preferences
from app.i18n import LANGUAGES, _
from app.models.agent import Agent
from app.queries.desk import offers
from app.web.admin.pages import to
from app.web.edge import Db, Me
from app.web.forms import Form, Refused, attempt, showing, typed
from app.web.login import HOME, own_path
from app.web.templating import render

router = APIRouter()
SECTIONS: dict[str, tuple[str, ...]] = {  # templates/me/<section>.html -> the preferences it sets
    "profile": ("name", "language", "timezone"),
    "work": ("pulling",),
    "look": ("theme", "density", "motion"),
    "notice": ("sound", "desktop_notices", "ring_for_notices"),
}


@lru_cache(maxsize=1)
def zones() -> tuple[tuple[str, str], ...]:
    """The time zones that people know by name: those of a place, and UTC."""
    places = sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "posix")))
    return (("UTC", "UTC"), *((name, name.replace("_", " ")) for name in places))


def _fields() -> dict[str, FormField]:
    known = {one.name: one for one in forms.fields(Preferences)}
    known["language"] = replace(known["language"], kind="choice", choices=tuple(LANGUAGES.items()))
    known["timezone"] = replace(known["timezone"], kind="choice", choices=zones())
    return known


async def _page(request: Request, db: Db, me: Agent, form: Form, saved: str = "") -> Response:
    return render(
        request,
        "me/page.html",
        status=form.status,
        form=form,
        fields=_fields(),
        sections=SECTIONS,
        saved=saved,
        shortest=SHORTEST,
        offers=await offers(db, me.id),
    )


@router.get("/me")
async def shown(request: Request, db: Db, me: Me, saved: str = "") -> Response:
    """All sections. `saved` names the one that was just saved."""
    return await _page(request, db, me, showing(preferences(me)), saved)


@router.put("/me/{section}")
async def changed(request: Request, db: Db, me: Me, section: str) -> Response:
    """Save one section and leave the others. Raises NotFound."""
    if section not in SECTIONS:
        raise NotFound(_("There is nothing at this address."))
    sent, now = await typed(request), preferences(me)
    form = showing(now)
    form.values = {**form.values, **{name: sent.text(name) for name in SECTIONS[section]}}
    others = {name: value for name, value in now.model_dump().items() if name not in SECTIONS[section]}
    try:
        new = form.read(Preferences, **others)
    except Refused:
        return await _page(request, db, me, form)
    await prefer(db, me, **new.model_dump(include=set(SECTIONS[section])))
    return to(f"/me?saved={section}#{section}")


@router.post("/me/password")
async def password(
    request: Request,
    db: Db,
    me: Me,
    old: Annotated[str, Field(max_length=1000)],
    new: Annotated[str, Field(max_length=1000)],
) -> Response:
    """Change one's own password; it ends one's other sign-ins."""
    form = showing(preferences(me))
    address = request.client.host if request.client else ""
    try:
        async with attempt(db, form):
            known = await change_own_password(
                db, me, old, new, address=address, sign_in_id=request.state.visitor.sign_in_id
            )
    except Refused:
        form.errors = {"new": form.errors["password"]} if "password" in form.errors else form.errors
        return await _page(request, db, me, form)
    if not known:
        form.errors["old"] = _("This is not your password.")
        form.status = HTTPStatus.UNPROCESSABLE_ENTITY
        return await _page(request, db, me, form)
    return to("/me?saved=password#password")


@router.post("/preferences")
async def choose_theme(request: Request, db: Db, me: Me, theme: Annotated[str, Field()]) -> Response:
    """The account menu's choice of theme. Raises Invalid for a theme that does not exist."""
    if theme not in set(Theme):
        raise Invalid(_("There is no such theme. Choose system, light or dark."), "theme")
    await prefer(db, me, theme=theme)
    back = urlsplit(request.headers.get("referer", "")).path
    return RedirectResponse(own_path(back or HOME), HTTPStatus.SEE_OTHER)
