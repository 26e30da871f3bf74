"""Pictures of a reply: attached by button, paste or drop; described; taken away; and shown, from our own store."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.datastructures import UploadFile

from app.errors import Conflict, Invalid, NotFound
from app.flow.attach import attach, describe, detach, picture_rules
from app.flow.draft import load_draft, save_draft
from app.flow.picture import cleaned
from app.i18n import _
from app.models.agent import Agent
from app.queries.attachments import content_of, of_replies
from app.web.edge import Db, Me
from app.web.failures import is_program
from app.web.forms import line_ends
from app.web.lists import shown_of
from app.web.media import SANDBOX
from app.web.templating import draw

router = APIRouter()
MOST_FILES = 10  # in one request


@router.post("/items/{item_id}/attachments")
async def bring(request: Request, db: Db, me: Me, item_id: int) -> Response:
    """Attach pictures; a browser without scripts sends the composer with them, and its text is kept."""
    async with request.form(max_files=MOST_FILES) as form:
        _item, rules = await picture_rules(db, me, item_id)
        key, visibility = _key(form.get("key")), str(form.get("visibility") or "public")
        if isinstance(text := form.get("text"), str):
            chosen = str(form.get("account_id") or "")
            account_id = int(chosen) if chosen.isdecimal() else None
            await save_draft(db, me, item_id, line_ends(text), visibility, key=key, account_id=account_id)
        files = [one for one in form.getlist("picture") if isinstance(one, UploadFile) and one.size]
        if not files:
            raise Invalid(_("Choose a picture first."), "picture")
        for one in files:
            picture = await asyncio.to_thread(cleaned, await one.read(), rules)
            await attach(db, me, item_id, picture, name=one.filename or "", key=key, visibility=visibility)
        listed = str(form.get("list") or "")
    return await _tray(request, db, me, item_id, listed)


def _key(given: object) -> UUID:
    try:
        return UUID(str(given))
    except ValueError:
        raise Invalid(_("The form is incomplete. Reload the page and try again."), "key") from None


@router.get("/items/{item_id}/attachments")
async def beside(request: Request, db: Db, me: Me, item_id: int) -> Response:
    """The pictures that stand beside the reader's composer."""
    return await _tray(request, db, me, item_id, "")


async def _tray(request: Request, db: Db, me: Agent, item_id: int, listed: str) -> Response:
    if not is_program(request):
        return RedirectResponse(f"/items/{item_id}{shown_of(listed).query}", HTTPStatus.SEE_OTHER)
    draft = await load_draft(db, me, item_id)
    pictures = (await of_replies(db, [draft.id])).get(draft.id, ()) if draft else ()
    _item, rules = await picture_rules(db, me, item_id)
    html = draw(request, "desk/pictures.html", {"pictures": pictures, "rules": rules})
    return JSONResponse(
        {"html": html, "version": draft.version if draft else "", "key": str(draft.key) if draft else ""}
    )


@router.delete("/attachments/{attachment_id}")
async def drop(
    *,
    request: Request,
    db: Db,
    me: Me,
    attachment_id: int,
    text: Annotated[str | None, Form()] = None,
    visibility: Annotated[str, Form()] = "",
    listed: Annotated[str, Form(alias="list")] = "",
) -> Response:
    """Take a picture away from one's draft."""
    item_id = await detach(db, me, attachment_id)
    if text is not None:
        await save_draft(db, me, item_id, line_ends(text), visibility)
    return await _tray(request, db, me, item_id, listed)


@router.get("/attachments/{attachment_id}")
async def show(db: Db, me: Me, attachment_id: int) -> Response:
    """The picture itself. It never changes under its number."""
    found = await content_of(db, me, attachment_id)
    if found is None:
        raise NotFound(_("There is no such picture, or you may not see it."))
    headers = {
        "Content-Security-Policy": SANDBOX,
        "Content-Disposition": "inline",
        "Cache-Control": "private, max-age=86400, immutable",
    }
    return Response(found[1], media_type=found[0], headers=headers)


async def described(db: Db, me: Agent, item_id: int, ids: Sequence[int], alts: Sequence[str]) -> None:
    """Keep the descriptions that a composer's form carries beside its text."""
    if len(ids) != len(alts):
        raise Conflict(_("The form is incomplete. Reload the page and try again."))
    await describe(db, me, item_id, {one: alt.strip() for one, alt in zip(ids, alts, strict=True)})
