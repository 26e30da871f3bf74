"""The bell: what an agent should know. Its count, its newest, a page of all, and marking them read."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from app.flow.notices import mark_read
from app.i18n import _
from app.models.reply import ChangeKind
from app.models.sight import visible_queues
from app.models.together import NoticeKind
from app.queries.together import ENDING, Told, notices, unread
from app.web import words
from app.web.edge import Db, Me
from app.web.templating import render

router = APIRouter(prefix="/notices")
NEWEST = 12  # in the bell's layer
PAGE = 50

ICONS = {
    NoticeKind.MENTION: "i-note",
    NoticeKind.CONSULT: "i-expert",
    NoticeKind.ANSWER: "i-expert",
    NoticeKind.WANTED: "i-user",
    NoticeKind.GIVEN: "i-check",
    NoticeKind.KEPT: "i-lock",
    NoticeKind.TAKEN: "i-transfer",
    NoticeKind.TRANSFER: "i-transfer",
    NoticeKind.WATCHED: "i-eye",
    NoticeKind.FAILED: "i-warn",
    NoticeKind.WOKE: "i-snooze",
}


UNCHANGED: Mapping[str, Callable[[], str]] = {  # what the channel would not do with a reply of ours
    ChangeKind.EDIT: lambda: _("Your edit of the reply to %(customer)s was refused, #%(id)s"),
    ChangeKind.DELETE: lambda: _("The reply to %(customer)s could not be deleted, #%(id)s"),
}


def icon(one: Told) -> str:
    """The symbol of a notice."""
    return "i-key" if one.kind == ENDING else ICONS[NoticeKind(one.kind)]


def line(one: Told) -> str:
    """A notice in one sentence."""
    told = {"who": one.who or _("Careline"), "customer": one.customer, "id": one.item_id, "account": one.account}
    lines = {
        NoticeKind.MENTION: _("%(who)s mentioned you: %(customer)s, #%(id)s"),
        NoticeKind.CONSULT: _("%(who)s asks you: %(customer)s, #%(id)s"),
        NoticeKind.ANSWER: _("%(who)s answered you: %(customer)s, #%(id)s"),
        NoticeKind.WANTED: _("%(who)s asks you for %(customer)s, #%(id)s"),
        NoticeKind.GIVEN: _("%(who)s gave you %(customer)s, #%(id)s"),
        NoticeKind.KEPT: _("%(who)s keeps %(customer)s, #%(id)s"),
        NoticeKind.TAKEN: _("%(who)s took over %(customer)s, #%(id)s"),
        NoticeKind.TRANSFER: _("%(who)s transferred %(customer)s to you, #%(id)s"),
        NoticeKind.FAILED: _("Your reply to %(customer)s was not delivered, #%(id)s"),
        NoticeKind.WOKE: _("%(customer)s came back from parking, #%(id)s"),
    }
    if one.kind == NoticeKind.FAILED and one.why.get("what") in UNCHANGED:
        return UNCHANGED[one.why["what"]]() % told
    if one.kind == ENDING:
        return _("The credentials of %(account)s end soon: connect it again") % told
    if one.kind == NoticeKind.WATCHED:
        return words.watched(str(one.why.get("what", ""))) % told
    return lines[NoticeKind(one.kind)] % told


@router.get("")
async def page(request: Request, db: Db, me: Me, before: int | None = None, only: str = "") -> Response:
    """All notices; or what the bell shows: itself with its count (`only=bell`), its newest (`only=newest`)."""
    queues = visible_queues(me)
    context: dict[str, Any] = {"words_of": line, "icon_of": icon}
    if only == "bell":
        return render(request, "bell.html", unread=await unread(db, me, queues))
    if only == "newest":
        return render(request, "notices_newest.html", told=await notices(db, me, queues, NEWEST), **context)
    found = await notices(db, me, queues, PAGE + 1, before)
    following = found[PAGE - 1].id if len(found) > PAGE else None
    return render(request, "notices.html", told=found[:PAGE], following=following, before=before, **context)


@router.post("/reading")
async def all_read(request: Request, db: Db, me: Me) -> Response:
    """Mark all read, and stay."""
    await mark_read(db, me)
    came = urlsplit(request.headers.get("referer", "/notices"))
    back = came.path if came.path.startswith("/") and not came.path.startswith("//") else "/notices"
    return RedirectResponse(f"{back}?{came.query}" if came.query else back, HTTPStatus.SEE_OTHER)
