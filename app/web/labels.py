"""An item's tags and priority, changed beside the conversation."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from app.flow.prioritise import prioritise
from app.flow.tag import tag, untag
from app.web.edge import Db, Me
from app.web.lists import shown_of

router = APIRouter(prefix="/items/{item_id}")
Listed = Annotated[str, Form(alias="list")]


def _back(item_id: int, listed: str) -> Response:
    return RedirectResponse(f"/items/{item_id}{shown_of(listed).query}", HTTPStatus.SEE_OTHER)


@router.post("/tags")
async def add(
    db: Db, me: Me, item_id: int, name: Annotated[str, Form(alias="tag")] = "", listed: Listed = ""
) -> Response:
    """Add a tag."""
    await tag(db, me, item_id, name)
    return _back(item_id, listed)


@router.delete("/tags")
async def take_away(
    db: Db, me: Me, item_id: int, name: Annotated[str, Form(alias="tag")] = "", listed: Listed = ""
) -> Response:
    """Take a tag away."""
    await untag(db, me, item_id, name)
    return _back(item_id, listed)


@router.put("/priority")
async def urgency(db: Db, me: Me, item_id: int, priority: Annotated[int, Form()], listed: Listed = "") -> Response:
    """Say how urgent it is."""
    await prioritise(db, me, item_id, priority)
    return _back(item_id, listed)
