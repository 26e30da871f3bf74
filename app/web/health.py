"""Whether we live, whether we can work, and how we are doing, for machines."""

from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text

from app.migrate import head

router = APIRouter()


@router.get("/healthz")
async def healthz() -> JSONResponse:
    """The process answers."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz")
async def readyz(request: Request) -> JSONResponse:
    """The database can be reached and its schema is the one that this code knows."""
    async with request.app.state.sessions() as session:
        there = await session.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
        current = await session.scalar(text("SELECT max(version_num) FROM alembic_version")) if there else None
    if current == head():
        return JSONResponse({"status": "ready", "schema": current})
    problem = f"The database's schema is {current or 'empty'}, this code needs {head()}. Run: careline migrate"
    return JSONResponse({"status": "not ready", "problem": problem}, HTTPStatus.SERVICE_UNAVAILABLE)


@router.get("/metrics")
async def metrics() -> Response:
    """Prometheus text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
