"""A post hidden on its channel: POST /posts/7/hiding hides it, DELETE shows it again."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from app.flow.hide import hide
from app.web.edge import Db, Me
from app.web.lists import shown_of

router = APIRouter(prefix="/posts/{post_id}/hiding")
Listed = Annotated[str, Form(alias="list")]
Number = Annotated[int, Form()]


@router.post("")
async def hidden(*, db: Db, me: Me, post_id: int, item_id: Number, listed: Listed = "") -> Response:
    """Have it hidden, and go back to its item."""
    await hide(db, me, post_id, hidden=True)
    return RedirectResponse(f"/items/{item_id}{shown_of(listed).query}", HTTPStatus.SEE_OTHER)


@router.delete("")
async def shown(*, db: Db, me: Me, post_id: int, item_id: Number, listed: Listed = "") -> Response:
    """Have it shown again, and go back to its item."""
    await hide(db, me, post_id, hidden=False)
    return RedirectResponse(f"/items/{item_id}{shown_of(listed).query}", HTTPStatus.SEE_OTHER)
