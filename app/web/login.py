"""The sign-in page and signing out. Plain forms; no script is needed."""

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from app.errors import Throttled
from app.flow.sign_in import elsewhere, sign_in, sign_out
from app.flow.sign_off import Work, in_hand, sign_off
from app.i18n import _
from app.settings import Settings
from app.web.edge import Db, Me, cookie_name, forget_cookie
from app.web.templating import render

router = APIRouter()
HOME = "/desk"


def own_path(target: str) -> str:
    """`next` when it is a path of ours, else the desk; never another site, in none of the browsers' spellings."""
    parts = urlsplit(target)
    plain = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    if not plain or parts.scheme or parts.netloc or "\\" in target:
        return HOME
    return target


@router.get("/")
async def front() -> Response:
    """Everybody starts at the desk."""
    return RedirectResponse(HOME, HTTPStatus.SEE_OTHER)


@router.get("/login")
async def login_page(request: Request, next: str = HOME) -> Response:  # noqa: A002 - the parameter's name in the URL
    """The form."""
    return render(request, "login.html", next=own_path(next), email="", problem="")


@router.post("/login")
async def log_in(
    request: Request,
    db: Db,
    email: Annotated[str, Form(max_length=254)],
    password: Annotated[str, Form(max_length=1000)],
    next: Annotated[str, Form()] = HOME,  # noqa: A002 - the field's name
) -> Response:
    """Sign in and go on; or show the form again with the reason."""
    settings: Settings = request.app.state.settings
    lasts = timedelta(hours=settings.session_hours)
    address = request.client.host if request.client else ""
    browser = request.headers.get("user-agent", "")
    try:
        welcome = await sign_in(db, email, password, address=address, browser=browser, lasts=lasts)
    except Throttled as error:
        wait = int(error.retry_after.total_seconds()) + 1
        many = HTTPStatus.TOO_MANY_REQUESTS
        return _again(request, many, email=email, to=next, problem=error.message, wait=wait)
    if welcome is None:
        problem = _("The email or the password is not right, or the account is switched off. Check both and try again.")
        return _again(request, HTTPStatus.UNAUTHORIZED, email=email, to=next, problem=problem)
    answer = RedirectResponse(own_path(next), HTTPStatus.SEE_OTHER, headers={"Cache-Control": "no-store"})
    answer.set_cookie(
        cookie_name(settings), welcome.cookie, path="/", secure=settings.secure, httponly=True, samesite="lax"
    )
    return answer


def _again(request: Request, status: HTTPStatus, *, email: str, to: str, problem: str, wait: int = 0) -> Response:
    headers = {"Retry-After": str(wait)} if wait else {}
    return render(
        request, "login.html", status=status, headers=headers, next=own_path(to), email=email, problem=problem
    )


@router.post("/logout")
async def log_out(request: Request, db: Db, me: Me) -> Response:
    """End this browser's sign-in. Who works in no other one ends their shift; with work in hand that asks first."""
    if not await elsewhere(db, me.id, request.state.visitor.sign_in_id):
        if await in_hand(db, me.id):
            return RedirectResponse("/presence/end?then=logout", HTTPStatus.SEE_OTHER)
        await sign_off(db, me, Work.GIVE_BACK)
    await sign_out(db, request.state.visitor.sign_in_id)
    return forget_cookie(request)
