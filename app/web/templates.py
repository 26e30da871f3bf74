"""Answering with a text that the channel has approved: POST /items/7/templates/3/replies."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from app.flow.template import send_template
from app.web.edge import Db, Me
from app.web.lists import shown_of

router = APIRouter()


@router.post("/items/{item_id}/templates/{template_id}/replies")
async def answer(
    *,
    db: Db,
    me: Me,
    item_id: int,
    template_id: int,
    key: Annotated[UUID, Form()],
    value: Annotated[Sequence[str], Form()] = (),
    listed: Annotated[str, Form(alias="list")] = "",
) -> Response:
    """Send the template with its blanks filled in (after the undo window), and go back to its item."""
    await send_template(db, me, item_id, template_id, value, key=key)
    return RedirectResponse(f"/items/{item_id}{shown_of(listed).query}", HTTPStatus.SEE_OTHER)
