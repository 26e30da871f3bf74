"""The desk's lists: /desk, /desk/mine, /desk/offers, /desk/claimable, /desk/parked, /desk/all, /desk/queue/3, /desk/queues."""

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.agent import Agent
from app.web.edge import Db, Me
from app.web.lists import Shown, shown_by
from app.web.templating import render
from app.web.views import desk_context

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


@router.get("/desk/claimable")
async def claimable(request: Request, db: Db, me: Me) -> Response:
    """What waits in all my queues."""
    return await _page(request, db, me, shown_by("claimable", None, request.query_params.multi_items()))


@router.get("/desk/all")
async def everything(request: Request, db: Db, me: Me) -> Response:
    """All open items that I may see, and ended ones when asked for by their state."""
    return await _page(request, db, me, shown_by("all", None, request.query_params.multi_items()))


@router.get("/desk/queue/{queue_id}")
async def queue(request: Request, db: Db, me: Me, queue_id: int) -> Response:
    """What waits in a queue."""
    return await _page(request, db, me, shown_by("queue", queue_id, request.query_params.multi_items()))


@router.get("/desk/queues")
async def queues(request: Request, db: Db, me: Me) -> Response:
    """The rail as a page of its own, for phones."""
    return await _page(request, db, me, Shown(), pane="rail")
