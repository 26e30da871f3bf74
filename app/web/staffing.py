"""/board/staffing: how many agents the next hours take, beside who is signed in."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy import func, select

from app.errors import Invalid
from app.i18n import _, reader
from app.models.sight import visible_queues
from app.queries.board import watched_queues
from app.queries.staffing import LaneHint, staffing
from app.web.edge import Db, Supervisor
from app.web.templating import render

router = APIRouter()
HEIGHT, STEP, BAR = 60, 12, 10  # of the chart, in its own units: full height, one quarter, its bar
MOST_PATIENCE = 100_000  # minutes


@dataclass(frozen=True, slots=True)
class Drawn:
    """A lane with its chart: a bar a quarter (x, y, height, whether more are needed than signed in), and the line."""

    lane: LaneHint
    bars: tuple[tuple[int, float, float, bool], ...]
    line: float  # y of those who are signed in
    width: int
    top: int  # agents at full height


@router.get("/board/staffing")
async def shown(request: Request, db: Db, me: Supervisor, patience: str = "") -> Response:
    """The hint; `patience` in minutes asks for Erlang A."""
    now: datetime = (await db.execute(select(func.now()))).scalar_one()
    queues = await watched_queues(db, visible_queues(me))
    hint = await staffing(db, queues, now.astimezone(reader.get().zone), _patience(patience))
    return render(
        request, "board/staffing.html", hint=hint, lanes=[_drawn(lane) for lane in hint.lanes], patience=patience,
        height=HEIGHT, bar=BAR,
    )  # fmt: skip


def _patience(typed: str) -> timedelta | None:
    """Minutes as typed; None for an empty field. Raises Invalid."""
    if not typed.strip():
        return None
    try:
        minutes = float(typed)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes <= MOST_PATIENCE:
        raise Invalid(_("Give the patience in minutes, or leave the field empty."), "patience")
    return timedelta(minutes=minutes)


def _drawn(lane: LaneHint) -> Drawn:
    top = max(lane.most, lane.signed_in, 1)
    bars = tuple(
        (place * STEP, HEIGHT - HEIGHT * one.need / top, HEIGHT * one.need / top, one.need > lane.signed_in)
        for place, one in enumerate(lane.places)
    )
    return Drawn(lane, bars, HEIGHT - HEIGHT * lane.signed_in / top, len(lane.places) * STEP, top)
