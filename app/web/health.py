"""Whether we live, whether we can work, and how we are doing, for machines."""

from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import func, select, text

from app.migrate import head, is_behind
from app.models.feed import Feed
from app.models.item import Item, State
from app.models.queue import Queue
from app.telemetry import feed_lag_seconds, queue_waiting

router = APIRouter()


@router.get("/healthz")
async def healthz() -> JSONResponse:
    """The process answers."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz")
async def readyz(request: Request) -> JSONResponse:
    """The database can be reached and its schema has what this code needs."""
    async with request.app.state.sessions() as session:
        there = await session.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
        current = await session.scalar(text("SELECT max(version_num) FROM alembic_version")) if there else None
    if not is_behind(current):
        return JSONResponse({"status": "ready", "schema": current})
    problem = f"The database's schema is {current or 'empty'}, this code needs {head()}. Run: careline migrate"
    return JSONResponse({"status": "not ready", "problem": problem}, HTTPStatus.SERVICE_UNAVAILABLE)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus text format; what waits and how late the feeds are is asked now."""
    async with request.app.state.sessions() as session:
        waiting = (
            select(Queue.name, func.count(Item.id))
            .outerjoin(Item, (Item.queue_id == Queue.id) & (Item.state == State.QUEUED))
            .where(Queue.active)
            .group_by(Queue.name)
        )
        for name, n in await session.execute(waiting):
            queue_waiting.labels(queue=name).set(n)
        late = select(Feed.name, func.extract("epoch", func.now() - Feed.ok_at)).where(
            Feed.enabled, Feed.ok_at.is_not(None)
        )
        for name, seconds in await session.execute(late):
            feed_lag_seconds.labels(feed=name).set(float(seconds))
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
