"""Feedback forms: a public page for each feed of the channel `form`. No sign-in, no cookie, no script, no third party.

What keeps spam out: a sealed token that says when the page was drawn and is good for one message, a field that only
machines fill in, a least time to write, and a number of messages from one network address. Nothing is lost silently:
who runs into one of these is told, and what they wrote stands in the form.
"""

import base64
import binascii
import re
import secrets
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.form import FormSettings, Submission
from app.connectors.mail_account import checked_address
from app.errors import NotFound, SealError
from app.flow.submit import may_submit, submit
from app.i18n import _
from app.listening.clean import storable
from app.models.feed import Feed
from app.vault import Vault
from app.web.edge import Db
from app.web.forms import Form, line_ends, typed
from app.web.templating import render

router = APIRouter(prefix="/forms")
LONGEST = 10_000  # characters of a message
QUICKEST = timedelta(seconds=3)  # nobody writes faster; scripts do
SLOWEST = timedelta(hours=24)  # a page that was open for longer is sent once more by hand
REFERENCE = re.compile(r"[A-Z2-7]{4}(-[A-Z2-7]{4}){2}")


@router.get("/{feed_id}")
async def shown(request: Request, db: Db, feed_id: int, embed: bool = False) -> Response:
    """The empty form. Raises NotFound."""
    feed = await _feed(db, feed_id)
    return _page(request, feed, Form(), await _now(db), embed=embed)


@router.post("/{feed_id}")
async def sent(request: Request, db: Db, feed_id: int, embed: bool = False) -> Response:
    """Take a message, or draw the form again with what is wrong."""
    feed, now, form = await _feed(db, feed_id), await _now(db), await typed(request)
    given = _read(request, feed, form, now)
    if given is None:
        form.status = HTTPStatus.UNPROCESSABLE_ENTITY
        return _page(request, feed, form, now, embed=embed)
    wait = await may_submit(db, feed.id, request.client.host if request.client else "")
    if wait is not None:
        form.errors[""] = _("That were many messages at once. Wait %(minutes)s min and send it again.") % {
            "minutes": int(wait.total_seconds() // 60) + 1
        }
        form.status = HTTPStatus.TOO_MANY_REQUESTS
        return _page(request, feed, form, now, embed=embed, wait=wait)
    await submit(db, feed, given)
    query = "?embed=1" if embed else ""
    return RedirectResponse(f"/forms/{feed.id}/receipts/{given.reference}{query}", HTTPStatus.SEE_OTHER)


@router.get("/{feed_id}/receipts/{reference}")
async def receipt(request: Request, db: Db, feed_id: int, reference: str, embed: bool = False) -> Response:
    """Says that the message arrived, under which reference. Raises NotFound."""
    feed = await _feed(db, feed_id)
    if not REFERENCE.fullmatch(reference):
        raise NotFound(_("There is nothing at this address."))
    settings = FormSettings.model_validate(feed.settings)
    return render(
        request,
        "form/receipt.html",
        headers=_framed(settings),
        settings=settings,
        feed_id=feed.id,
        reference=reference,
        embed=embed,
    )


async def _feed(db: AsyncSession, feed_id: int) -> Feed:
    feed = await db.get(Feed, feed_id)
    if feed is None or feed.channel != "form" or not feed.enabled:
        raise NotFound(_("There is nothing at this address."))
    return feed


async def _now(db: AsyncSession) -> datetime:
    now: datetime = (await db.execute(select(func.clock_timestamp()))).scalar_one()
    return now


def _page(
    request: Request, feed: Feed, form: Form, now: datetime, *, embed: bool, wait: timedelta | None = None
) -> Response:
    settings = FormSettings.model_validate(feed.settings)
    old = form.text("token")
    token = old if old and "token" not in form.errors else _token(request, feed.id, now)
    headers = _framed(settings) | ({"Retry-After": str(int(wait.total_seconds()) + 1)} if wait else {})
    form.errors.pop("token", None)
    return render(
        request,
        "form/page.html",
        status=form.status,
        headers=headers,
        settings=settings,
        feed_id=feed.id,
        form=form,
        token=token,
        longest=LONGEST,
        embed=embed,
    )


def _framed(settings: FormSettings) -> dict[str, str]:
    """Where the page may stand in a frame, and that it needs nothing but its style and itself."""
    sites = " ".join(settings.sites) or "'none'"
    return {
        "Content-Security-Policy": f"default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; "
        f"form-action 'self'; base-uri 'none'; frame-ancestors {sites}"
    }


def _token(request: Request, feed_id: int, now: datetime) -> str:
    """When this page was drawn, and the reference of the one message that it is good for; sealed."""
    letters = base64.b32encode(secrets.token_bytes(8)).decode()[:12]
    reference = "-".join(letters[at : at + 4] for at in range(0, 12, 4))
    sealed = Vault.load(request.app.state.settings).seal(f"{now.timestamp()} {reference}".encode(), f"form:{feed_id}")
    return base64.urlsafe_b64encode(sealed).decode()


def _opened(request: Request, feed_id: int, token: str) -> tuple[datetime, str] | None:
    try:
        raw = base64.urlsafe_b64decode(token.encode())
        said = Vault.load(request.app.state.settings).open(raw, f"form:{feed_id}").decode().split(" ")
        return datetime.fromtimestamp(float(said[0]), UTC), said[1]
    except (SealError, binascii.Error, ValueError, IndexError):
        return None


def _read(request: Request, feed: Feed, form: Form, now: datetime) -> Submission | None:
    """What was filled in; None when something is wrong, which then stands in the form."""
    settings = FormSettings.model_validate(feed.settings)
    text = storable(line_ends(form.text("text")).strip(), LONGEST + 1)
    address = _address(form, settings)
    if not text:
        form.errors["text"] = _("Write your message first.")
    elif len(text) > LONGEST:
        form.errors["text"] = _("The message is too long. Shorten it to %(most)s characters.") % {"most": LONGEST}
    if form.text("website"):
        form.errors["website"] = _("This field is for machines. Leave it empty and send the message again.")
    if settings.consent and not form.text("consent"):
        form.errors["consent"] = _("Tick the box if you agree; without that we cannot take your message.")
    reference = _checked_token(request, feed, form, now)
    if form.errors or reference is None:
        return None
    name = storable(" ".join(form.text("name").split()), 100)
    return Submission(reference, text, "", name, address, settings.consent, now)


def _address(form: Form, settings: FormSettings) -> str:
    given = form.text("address").strip()[:255]
    if not given:
        if settings.address_required:
            form.errors["address"] = _("Give your e-mail address, so that we can answer.")
        return ""
    try:
        return checked_address(given)
    except ValueError:
        form.errors["address"] = _("Check your e-mail address: it should look like name@example.com.")
        return ""


def _checked_token(request: Request, feed: Feed, form: Form, now: datetime) -> str | None:
    opened = _opened(request, feed.id, form.text("token"))
    if opened is None or now - opened[0] > SLOWEST:
        form.errors["token"] = form.errors[""] = _("This page was open for long. Send the message once more.")
        return None
    if now - opened[0] < QUICKEST:
        form.errors[""] = _("That was very quick. Send the message once more.")
        return None
    return opened[1]
