"""/board: a supervisor watches their teams, an admin everything. Live: the page asks for itself when something changed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import add

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.i18n import reader
from app.models.agent import PresenceState, Role
from app.models.sight import visible_queues
from app.queries import measures
from app.queries.board import COUNTED, Board, board, watched_queues
from app.queries.desk import offers
from app.queries.measures import Figures
from app.web import words
from app.web.edge import Db, Supervisor
from app.web.templating import render

router = APIRouter()
KEPT = 15.0  # seconds for which the figures of the day are not computed again, however many look
MOST_KEPT = 200


@dataclass(frozen=True, slots=True)
class Today:
    """The figures of the day: of each queue, and of all that the reader watches together."""

    queues: dict[int, Figures]
    all: Figures
    frt: timedelta | None


@router.get("/board")
async def shown(request: Request, db: Db, me: Supervisor) -> Response:
    """What waits, what is being done, and who does it."""
    queues = await watched_queues(db, visible_queues(me))
    now = await board(db, me, queues)
    today = await _today(request, db, queues, midnight(now.now))
    return render(
        request,
        "board/page.html",
        board=now,
        today=today,
        none_yet=Figures(),
        state_words=state_words(),
        reason_word=words.reason_code,
        measures=measures,
        counted=COUNTED,
        goal=_goal(now),
        now=now.now,
        offers=await offers(db, me.id),
        live="board",
        watches_all=me.is_at_least(Role.ADMIN),
    )


def state_words() -> dict[str, str]:
    """What somebody is doing."""
    return {state: words.presence(state) for state in PresenceState}


def midnight(now: datetime) -> datetime:
    """When the reader's day began."""
    return now.astimezone(reader.get().zone).replace(hour=0, minute=0, second=0, microsecond=0)


def _goal(now: Board) -> tuple[int, timedelta] | None:
    """The goal to show beside the total, when all queues share one."""
    goals = {(queue.target_share, queue.target) for queue in now.queues}
    return goals.pop() if len(goals) == 1 else None


async def _today(request: Request, db: AsyncSession, queues: Sequence[int], since: datetime) -> Today:
    """The figures of the day, at most KEPT seconds old."""
    if not hasattr(request.app.state, "figures"):
        request.app.state.figures = {}
    kept: dict[tuple[object, ...], tuple[float, Today]] = request.app.state.figures
    key = (*queues, since)
    found = kept.get(key)
    if found is not None and time.monotonic() - found[0] < KEPT:
        return found[1]
    each = await measures.figures(db, queues, since)
    today = Today(each, reduce(add, each.values(), Figures()), await measures.median_response(db, queues, since))
    if len(kept) >= MOST_KEPT:
        kept.clear()
    kept[key] = (time.monotonic(), today)
    return today
