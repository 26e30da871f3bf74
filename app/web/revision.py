"""Editing a reply that stands on its channel: its composer, what is written in it so far, and sending it."""

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import registry
from app.connectors.base import Visibility
from app.connectors.length import left
from app.errors import Misuse
from app.flow.revise import begun_revision, drop_revision, revisable, revise, save_revision
from app.models.account import Account
from app.models.agent import Agent
from app.models.item import Item
from app.models.post import Post
from app.models.reply import Reply
from app.web.edge import Db, Me
from app.web.forms import line_ends
from app.web.lists import shown_of

router = APIRouter(prefix="/replies/{reply_id}")
Listed = Annotated[str, Form(alias="list")]
Text = Annotated[str, Form()]


@dataclass(frozen=True, slots=True)
class Revision:
    """A sent reply in the composer."""

    id: int
    text: str
    at: datetime
    visibility: str
    account: str
    limit: int | None
    rule: str
    bytes: int | None
    lead: str


async def revision(db: AsyncSession, me: Agent, item: Item, reply_id: str) -> Revision | None:
    """The reply that the page's address names for editing; None when there is none in this conversation to be edited."""
    if not reply_id.isascii() or not reply_id.isdigit() or len(reply_id) > 18:  # noqa: PLR2004 - digits of a bigint
        return None
    try:
        reply, _changes = await revisable(db, me, int(reply_id), lock=False)
    except Misuse:  # a worker may have deleted it since the page was drawn: the page says so
        return None
    if reply.conversation_id != item.conversation_id:
        return None
    connector = registry.get(reply.channel)
    post = await db.get_one(Post, reply.post_id)
    can = connector.able(post.ref, Visibility(reply.visibility))
    account = await db.get(Account, reply.account_id) if reply.account_id else None
    return Revision(
        id=reply.id,
        text=await begun_revision(db, me, reply),
        at=reply.sent_at or reply.created_at,
        visibility=reply.visibility,
        account=account.name if account else "",
        limit=can.length_limit,
        rule=can.length_counts,
        bytes=can.byte_limit,
        lead=connector.lead(post.ref),
    )


def _to(reply: Reply, listed: str) -> Response:
    return RedirectResponse(f"/items/{reply.item_id}{shown_of(listed).query}", HTTPStatus.SEE_OTHER)


@router.post("/versions")
async def say_instead(
    *, request: Request, db: Db, me: Me, reply_id: int, text: Text = "", listed: Listed = ""
) -> Response:
    """Have a sent reply say something else on its channel."""
    request.state.kept_text = text
    return _to(await revise(db, me, reply_id, line_ends(text)), listed)


@router.put("/draft")
async def keep(*, db: Db, me: Me, reply_id: int, text: Text = "") -> JSONResponse:
    """Keep what the edit says so far; answers with how much may still be written."""
    written = line_ends(text)
    reply = await save_revision(db, me, reply_id, written)
    connector, post = registry.get(reply.channel), await db.get_one(Post, reply.post_id)
    room = left(written.strip(), connector.able(post.ref), connector.lead(post.ref))
    return JSONResponse({"version": "", "left": room, "posts": 1})


@router.delete("/draft")
async def leave(*, db: Db, me: Me, reply_id: int, listed: Listed = "") -> Response:
    """Leave the reply as it is, and throw away what was written."""
    return _to(await drop_revision(db, me, reply_id), listed)
