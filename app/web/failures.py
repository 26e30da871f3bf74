"""How an error looks: a page, a message beside the page for htmx, or JSON for a program. Always what to do next."""

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from app.errors import CarelineError, ConfigurationError, Conflict, ConnectorError, Invalid, Misuse, Throttled
from app.i18n import _, retold
from app.web.edge import SignedOut
from app.web.meanwhile import meanwhile
from app.web.templating import render, wants_fragment

log = structlog.get_logger()


def words(status: int) -> str:
    """What a bare status means to a person."""
    known = {
        HTTPStatus.BAD_REQUEST: _("The request could not be read. Reload the page and try again."),
        HTTPStatus.NOT_FOUND: _("There is nothing at this address, or you may not see it. Go back to your desk."),
        HTTPStatus.METHOD_NOT_ALLOWED: _(
            "This address does not do that. Go back to your desk and use the page's buttons."
        ),
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: _(
            "That is more than Careline takes in one request. Nothing was saved; send less."
        ),
        HTTPStatus.UNPROCESSABLE_ENTITY: _(
            "Something in the form is missing or cannot be read. Check it and try again."
        ),
        HTTPStatus.SERVICE_UNAVAILABLE: _(
            "Careline cannot reach its database at the moment. Try again in a few seconds."
        ),
    }
    return known.get(HTTPStatus(status)) or _("That did not work. Try again; if it happens again, tell your admin.")


def is_program(request: Request) -> bool:
    """Whether the answer should be JSON: the API, or a client that asks for it."""
    accept = request.headers.get("accept", "")
    return request.url.path.startswith(("/api/", "/hooks/", "/readyz")) or (
        "application/json" in accept and "text/html" not in accept
    )


def answer(request: Request, status: int, message: str, **more: Any) -> Response:
    """The error in the shape that the caller reads."""
    headers, changed = more.pop("headers", None), more.pop("changed", ())
    if is_program(request):
        return JSONResponse({"error": {"status": status, "message": message, **more}}, status, headers)
    kept = getattr(request.state, "kept_text", "")
    told = {"message": message, "changed": changed, "kept_text": kept}
    if wants_fragment(request):
        quiet = {"HX-Push-Url": "false", **(headers or {})}  # the address of a form that failed is no page
        return render(request, "toast.html", status=status, headers=quiet, **told)
    return render(request, "error.html", status=status, headers=headers, code=status, **told)


async def misuse(request: Request, error: Exception) -> Response:
    """The person can change something."""
    if not isinstance(error, Misuse):
        raise error
    more: dict[str, Any] = {"field": error.field} if isinstance(error, Invalid) and error.field else {}
    if isinstance(error, Throttled):
        more["headers"] = {"Retry-After": str(max(1, int(error.retry_after.total_seconds())))}
    message = error.message
    if isinstance(error, Conflict) and not is_program(request):
        more["changed"] = await meanwhile(request)
    return answer(request, error.status, message, **more)


async def signed_out(request: Request, error: Exception) -> Response:
    """To the sign-in page, and back to where the person wanted to go."""
    if is_program(request) or "text/event-stream" in request.headers.get("accept", ""):
        return JSONResponse({"error": {"status": 401, "message": str(error)}}, HTTPStatus.UNAUTHORIZED)
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    to = f"/login?next={quote(back)}" if request.method == "GET" and back != "/" else "/login"
    if wants_fragment(request):
        quiet = {"HX-Reswap": "none", "HX-Push-Url": "false", "Cache-Control": "no-store"}
        # The page stays, with what was typed into it: it opens the sign-in in place and then sends again.
        return Response(status_code=HTTPStatus.UNAUTHORIZED, headers=quiet)
    return RedirectResponse(to, HTTPStatus.SEE_OTHER, headers={"Cache-Control": "no-store"})


async def upstream(request: Request, error: Exception) -> Response:
    """A channel, or our own configuration, does not do what was asked; the message says which and what to do."""
    status = HTTPStatus.BAD_GATEWAY if isinstance(error, ConnectorError) else HTTPStatus.SERVICE_UNAVAILABLE
    return answer(request, status, str(error) if is_program(request) else retold(str(error)))


async def plain(request: Request, error: Exception) -> Response:
    """404, 405, 413 ... raised by the framework."""
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
        return Response(status_code=error.status_code, headers=error.headers)
    if error.status_code == HTTPStatus.BAD_REQUEST and "exceeded" in str(error.detail):  # a form's own bounds
        error = HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    detail = error.detail if error.detail != HTTPStatus(error.status_code).phrase else ""
    message = detail if detail and is_program(request) else words(error.status_code)
    return answer(request, error.status_code, message, headers=error.headers)


async def unreadable(request: Request, error: Exception) -> Response:
    """A field is missing or of the wrong kind. Names the fields; never repeats what was sent."""
    if not isinstance(error, RequestValidationError):
        raise error
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    fields = [{"field": ".".join(str(part) for part in e["loc"][1:]), "problem": e["msg"]} for e in error.errors()]
    if any(part["loc"][0] == "path" for part in error.errors()):
        return answer(request, HTTPStatus.NOT_FOUND, words(HTTPStatus.NOT_FOUND))
    named = ", ".join(entry["field"] for entry in fields if entry["field"])
    message = f"{words(status)} ({named})" if named and is_program(request) else words(status)
    return answer(request, status, message, fields=fields)


async def no_database(request: Request, error: Exception) -> Response:
    """The database is away or busy: nothing was changed, and trying again helps."""
    log.error("database unreachable", path=request.url.path, error=type(error).__name__)
    status = HTTPStatus.SERVICE_UNAVAILABLE
    return answer(request, status, words(status), headers={"Retry-After": "5"})


async def bug(request: Request, error: Exception) -> Response:
    """A mistake of ours. Told plainly; the details are in the log only."""
    log.error("unhandled error", path=request.url.path, method=request.method, exc_info=error)
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    message = _(
        "Careline made a mistake and wrote it down. Nothing was changed; try again, or tell your admin the time."
    )
    return answer(request, status, message)


def install(app: FastAPI) -> None:
    """Give every kind of error its handler."""
    app.add_exception_handler(SignedOut, signed_out)
    app.add_exception_handler(Misuse, misuse)
    app.add_exception_handler(ConnectorError, upstream)
    app.add_exception_handler(ConfigurationError, upstream)
    app.add_exception_handler(CarelineError, upstream)
    app.add_exception_handler(HTTPException, plain)
    app.add_exception_handler(RequestValidationError, unreadable)
    app.add_exception_handler(OperationalError, no_database)
    app.add_exception_handler(PoolTimeout, no_database)
    app.add_exception_handler(Exception, bug)
