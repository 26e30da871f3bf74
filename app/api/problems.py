"""Errors of the API as problem+json (RFC 9457): what happened, to what, what to do."""

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from app.errors import CarelineError, Invalid, Misuse, Throttled

log = structlog.get_logger(__name__)


class TokenRefused(CarelineError):
    """There is no token, or it opens nothing (any more)."""


def problem(status: int, detail: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """One problem."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


async def _misuse(_request: Request, error: Exception) -> Response:
    if not isinstance(error, Misuse):
        raise error
    headers = {}
    if isinstance(error, Throttled):
        headers["Retry-After"] = str(max(1, int(error.retry_after.total_seconds())))
    more = {"field": error.field} if isinstance(error, Invalid) and error.field else {}
    return problem(error.status, error.message, headers, **more)


async def _refused(_request: Request, error: Exception) -> Response:
    return problem(HTTPStatus.UNAUTHORIZED, str(error), {"WWW-Authenticate": 'Bearer realm="careline"'})


async def _unreadable(_request: Request, error: Exception) -> Response:
    """Names every field that is not acceptable; never repeats what was sent."""
    if not isinstance(error, RequestValidationError):
        raise error
    errors = [{"field": ".".join(map(str, one["loc"][1:])), "message": _words(one)} for one in error.errors()]
    said = "; ".join(f"{one['field']}: {one['message']}" if one["field"] else one["message"] for one in errors[:5])
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, said, errors=errors)


def _words(error: Any) -> str:
    return "there is no such field" if error["type"] == "extra_forbidden" else str(error["msg"])


async def _plain(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return problem(error.status_code, str(error.detail), dict(error.headers or {}))


async def _ours(_request: Request, error: Exception) -> Response:
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))


async def _no_database(_request: Request, error: Exception) -> Response:
    log.error("database_unreachable", cause=type(error).__name__)
    words = "Careline cannot reach its database at the moment. Nothing was changed; try again in a few seconds."
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, words, {"Retry-After": "5"})


async def _bug(request: Request, error: Exception) -> Response:
    log.error("unhandled_error", path=request.url.path, method=request.method, exc_info=error)
    words = "Careline made a mistake and wrote it down. Nothing was changed; try again, or tell the admin the time."
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, words)


def install(api: FastAPI) -> None:
    """Give every kind of error its handler."""
    for kind, handler in (
        (TokenRefused, _refused),
        (Misuse, _misuse),
        (CarelineError, _ours),
        (RequestValidationError, _unreadable),
        (HTTPException, _plain),
        (OperationalError, _no_database),
        (PoolTimeout, _no_database),
        (Exception, _bug),
    ):
        api.add_exception_handler(kind, handler)
