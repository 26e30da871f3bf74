"""/customers: what supervisors say about a customer."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from app.flow.tier import set_tier
from app.web.edge import Db, Supervisor
from app.web.lists import shown_of
from app.web.views import seen_item

router = APIRouter(prefix="/customers/{customer_id}")


@router.post("/tier")
async def tier(
    *,
    db: Db,
    me: Supervisor,
    customer_id: int,
    item_id: Annotated[int, Form()],
    tier: Annotated[str, Form()] = "",
    listed: Annotated[str, Form(alias="list")] = "",
) -> Response:
    """Set the tier of a customer's contract, and go back to the item beside which it was typed."""
    item = await seen_item(db, me, item_id)
    await set_tier(db, me, customer_id, tier)
    return RedirectResponse(f"/items/{item.id}{shown_of(listed).query}", HTTPStatus.SEE_OTHER)
