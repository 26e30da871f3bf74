"""The desk's lists: /desk, /desk/mine, /desk/parked, /desk/offers, /desk/queue/3, /desk/queues; and one's presence."""

from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Invalid
from app.flow.presence import hand_back, set_presence
from app.models.agent import Agent, NotReadyReason, PresenceState
from app.models.item import agent_actor
from app.queries.desk import offers as offers_to
from app.web.edge import Db, Me
from app.web.i18n import _
from app.web.login import own_path
from app.web.templating import render, wants_fragment
from app.web.views import PARTS, Shown, desk_context

router = APIRouter()


async def _page(request: Request, db: AsyncSession, me: Agent, shown: Shown, pane: str = "list") -> Response:
    context = await desk_context(request, db, me, shown)
    template = "desk/parts.html" if context["parts"] else "desk/page.html"
    return render(request, template, **context, pane=pane, live="desk")


@router.get("/desk")
@router.get("/desk/mine")
async def mine(request: Request, db: Db, me: Me) -> Response:
    """What I hold, and what is next in my queues."""
    return await _page(request, db, me, Shown())


@router.get("/desk/parked")
async def parked(request: Request, db: Db, me: Me) -> Response:
    """What I have put aside."""
    return await _page(request, db, me, Shown("parked"))


@router.get("/desk/offers")
async def offers(request: Request, db: Db, me: Me) -> Response:
    """What is offered to me."""
    return await _page(request, db, me, Shown("offers"))


@router.get("/desk/queue/{queue_id}")
async def queue(request: Request, db: Db, me: Me, queue_id: int, after: str = "") -> Response:
    """What waits in a queue."""
    return await _page(request, db, me, Shown("queue", queue_id, after))


@router.get("/desk/queues")
async def queues(request: Request, db: Db, me: Me) -> Response:
    """The rail as a page of its own, for phones."""
    return await _page(request, db, me, Shown(), pane="rail")


@router.get("/presence")
async def shell(request: Request, db: Db, me: Me) -> Response:
    """My state, and what is offered to me, as the live parts of pages other than the desk."""
    if not wants_fragment(request):
        return RedirectResponse("/desk", HTTPStatus.SEE_OTHER)
    offers = await offers_to(db, me.id)
    return render(request, "desk/parts.html", parts=("me", "bar"), part_ids=PARTS, item=None, offers=offers)


@router.post("/presence")
async def presence(request: Request, db: Db, me: Me, state: Annotated[str, Form()]) -> Response:
    """Ready, not ready with a reason (`not_ready:lunch`), or offline, which hands everything back.

    Raises:
        Invalid: there is no such state or reason.
    """
    name, _colon, reason = state.partition(":")
    try:
        wanted = PresenceState(name)
        why = NotReadyReason(reason) if reason else None
    except ValueError:
        raise Invalid(_("There is no such state. Choose one from the menu."), "state") from None
    await set_presence(db, me, wanted, why)
    if wanted == PresenceState.OFFLINE:
        await hand_back(db, me.id, agent_actor(me.id), because=_("%s ended the shift") % me.name)
    back = urlsplit(request.headers.get("referer", "/desk"))
    return RedirectResponse(own_path(back.path + (f"?{back.query}" if back.query else "")), HTTPStatus.SEE_OTHER)
