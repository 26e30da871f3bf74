"""Drafts: saved as somebody types; when two windows disagree the person chooses; and the list of one's own."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import registry
from app.connectors.base import Visibility
from app.connectors.length import left
from app.errors import Conflict, Misuse
from app.flow.answerable import answerable
from app.flow.draft import drop_draft, load_draft, save_draft
from app.flow.reply import pieces, queue_of, signed
from app.i18n import _
from app.models.agent import Agent
from app.models.item import Item
from app.models.post import Post
from app.queries.drafts import drafts, sent_under
from app.web import words
from app.web.attachments import described
from app.web.compare import compared
from app.web.edge import Db, Me
from app.web.forms import line_ends
from app.web.lists import shown_of
from app.web.templating import draw, render
from app.web.views import seen_item

router = APIRouter()
NEVER_SAVED = 0  # versions begin at 1: a page that saved nothing yet overwrites nothing
Text = Annotated[str, Form()]


@router.put("/items/{item_id}/draft")
async def keep(
    *,
    request: Request,
    db: Db,
    me: Me,
    item_id: int,
    key: Annotated[UUID, Form()],
    text: Text = "",
    visibility: Text = "",
    account_id: Annotated[int | None, Form()] = None,
    seen: Annotated[int | None, Form()] = None,
    attachment: Annotated[Sequence[int], Form()] = (),
    alt: Annotated[Sequence[str], Form()] = (),
) -> JSONResponse:
    """Save what is written so far; answers with the version, and how much may still be written.

    A window that has not seen what another one saved is told by 409, with both texts to choose from.
    """
    written = line_ends(text)
    item = await seen_item(db, me, item_id)
    try:
        version = seen or NEVER_SAVED
        saved = await save_draft(db, me, item_id, written, visibility, seen=version, key=key, account_id=account_id)
    except Conflict as error:
        told = await _other(request, db, me, item_id, mine=written, key=key)
        return JSONResponse({"error": {"status": 409, "message": error.message}, **told}, HTTPStatus.CONFLICT)
    await described(db, me, item_id, attachment, alt)
    connector = registry.get(item.channel)
    post = await db.get_one(Post, item.post_id)
    can = connector.able(post.ref, Visibility(visibility) if visibility in set(Visibility) else None)
    room = left(signed(me, await queue_of(db, item.id), written.strip()), can, connector.lead(post.ref))
    return JSONResponse({"version": saved.version, "left": room, "posts": await _posts(db, me, item, written, room)})


async def _posts(db: AsyncSession, me: Agent, item: Item, written: str, room: int | None) -> int:
    """How many posts a text that is too long would be; 0 where it cannot be sent as a thread."""
    if room is None or room >= 0:
        return 1
    try:
        way = await answerable(db, item)
        queue = await queue_of(db, item.id)
        count = len(pieces(me, queue, item.channel, written.strip(), way, numbered=True))
    except Misuse:
        return 0
    return count if count > 1 else 0


async def _other(
    request: Request, db: AsyncSession, me: Agent, item_id: int, *, mine: str, key: UUID
) -> dict[str, Any]:
    """What stands where this window wanted to save: another draft, or the reply that it has become."""
    draft = await load_draft(db, me, item_id)
    sent = await sent_under(db, me.id, key) if draft is None else None
    theirs = draft.text if draft else sent or ""
    ours, others = compared(mine, theirs)
    context = {"mine": ours, "theirs": others, "sent": sent is not None}
    return {
        "version": draft.version if draft else "",
        "text": draft.text if draft else "",
        "key": str(draft.key) if draft else str(uuid4()),
        "html": draw(request, "desk/draft_conflict.html", context),
    }


@router.delete("/items/{item_id}/draft")
async def drop(
    *, db: Db, me: Me, item_id: int, here: Text = "", listed: Annotated[str, Form(alias="list")] = ""
) -> Response:
    """Throw one's own draft away, and stay on the page of drafts (`here`), or with the item."""
    await drop_draft(db, me, item_id)
    to = "/drafts" if here else f"/items/{item_id}{shown_of(listed).query}"
    return RedirectResponse(to, HTTPStatus.SEE_OTHER)


@router.get("/drafts")
async def mine(request: Request, db: Db, me: Me) -> Response:
    """What I have begun to write and not sent, wherever its item is now."""
    return render(request, "drafts.html", title=_("My drafts"), drafts=await drafts(db, me), words=words)
