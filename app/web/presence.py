"""One's presence: ready, not ready, wrap-up, offline; the end of a shift; and the sign of life of an open desk."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app import i18n
from app.errors import Invalid
from app.flow import wrap_up
from app.flow.presence import set_presence
from app.flow.sign_in import sign_out
from app.flow.sign_off import Work, in_hand, sign_off
from app.i18n import _
from app.models.agent import Agent, PresenceState
from app.models.item import State
from app.queries.desk import mine
from app.queries.desk import offers as offers_to
from app.web import words
from app.web.edge import Db, Me, forget_cookie
from app.web.item import parking_time
from app.web.login import HOME, own_path
from app.web.templating import render, wants_fragment
from app.web.views import PARTS

router = APIRouter()
END = "/presence/end"
LOGOUT = "logout"  # `?then=`: what follows the end of the shift


@router.get("/presence")
async def shell(request: Request, db: Db, me: Me) -> Response:
    """My state, and what is offered to me, as the live parts of pages other than the desk."""
    if not wants_fragment(request):
        return RedirectResponse("/desk", HTTPStatus.SEE_OTHER)
    offers = await offers_to(db, me.id)
    return render(request, "desk/parts.html", parts=("me", "bar"), part_ids=PARTS, item=None, offers=offers)


@router.post("/presence")
async def change(request: Request, db: Db, me: Me, state: Annotated[str, Form()]) -> Response:
    """Ready, wrap-up, not ready with a reason (`not_ready:lunch`), or offline: with work in hand that asks first.

    Raises:
        Invalid: there is no such state or reason.
    """
    name, _colon, reason = state.partition(":")
    try:
        wanted = PresenceState(name)
    except ValueError:
        raise Invalid(_("There is no such state. Choose one from the menu."), "state") from None
    if wanted == PresenceState.OFFLINE:
        return await _leave(request, db, me)
    if wanted == PresenceState.WRAP_UP:
        await wrap_up.start(db, me)
    else:
        await set_presence(db, me, wanted, reason)
    return _back(request)


@router.post("/presence/extension")
async def extend(request: Request, db: Db, me: Me) -> Response:
    """Half a minute more of wrap-up."""
    await wrap_up.extend(db, me)
    return _back(request)


@router.get("/presence/alive")
async def alive(me: Me) -> Response:  # noqa: ARG001 - asking who it is, is the sign of life
    """An open desk tells every few seconds that somebody is there: a shut laptop keeps its stream open for minutes."""
    return Response(status_code=HTTPStatus.NO_CONTENT, headers={"Cache-Control": "no-store"})


@router.get(END)
async def ask(request: Request, db: Db, me: Me, then: str = "") -> Response:
    """What is to become of the work in hand?"""
    held = await mine(db, me.id, State.ACTIVE)
    times = words.parking_times(datetime.now(i18n.reader.get().zone))
    return render(request, "shift_end.html", rows=held, times=times, then=LOGOUT if then == LOGOUT else "")


@router.post(END)
async def end(
    *,
    request: Request,
    db: Db,
    me: Me,
    work: Annotated[str, Form()] = Work.GIVE_BACK,
    until: Annotated[str, Form()] = "",
    then: Annotated[str, Form()] = "",
) -> Response:
    """End the shift, and sign out when that was asked for.

    Raises:
        Invalid: there is no such choice, or no such time.
    """
    if work not in set(Work):
        raise Invalid(_("Say what is to become of your work: choose one of the two."), "work")
    chosen = Work(work)
    await sign_off(db, me, chosen, parking_time(until) if chosen == Work.KEEP else None)
    if then != LOGOUT:
        return RedirectResponse(HOME, HTTPStatus.SEE_OTHER)
    await sign_out(db, request.state.visitor.sign_in_id)
    return forget_cookie(request)


async def _leave(request: Request, db: AsyncSession, me: Agent) -> Response:
    if await in_hand(db, me.id):
        return RedirectResponse(END, HTTPStatus.SEE_OTHER)
    await sign_off(db, me, Work.GIVE_BACK)
    return _back(request)


def _back(request: Request) -> Response:
    came = urlsplit(request.headers.get("referer", HOME))
    return RedirectResponse(own_path(came.path + (f"?{came.query}" if came.query else "")), HTTPStatus.SEE_OTHER)
