"""/customers: what is said about a person, and all their items. Each verb goes back to the item beside which it was done."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from app.flow import person as verbs
from app.flow.tier import set_tier
from app.models.sight import visible_queues
from app.queries import person
from app.queries.desk import offers
from app.web import words
from app.web.edge import Db, Me, Supervisor
from app.web.lists import named_place, place, shown_of
from app.web.templating import render
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


ItemId = Annotated[int, Form()]
Listed = Annotated[str, Form(alias="list")]


async def _back(db: Db, me: Me, item_id: int, listed: str) -> Response:
    item = await seen_item(db, me, item_id)
    return RedirectResponse(f"/items/{item.id}{shown_of(listed).query}", HTTPStatus.SEE_OTHER)


@router.post("/authors")
async def link(
    *, db: Db, me: Me, customer_id: int, item_id: ItemId, handle: Annotated[str, Form()], listed: Listed = ""
) -> Response:
    """Say that somebody else is this person too."""
    await verbs.link(db, me, customer_id, handle)
    return await _back(db, me, item_id, listed)


@router.delete("/authors/{author_id}")
async def unlink(*, db: Db, me: Me, customer_id: int, author_id: int, item_id: ItemId, listed: Listed = "") -> Response:
    """Undo that."""
    await verbs.unlink(db, me, customer_id, author_id)
    return await _back(db, me, item_id, listed)


@router.post("/authors/{author_id}/contact")
async def look(*, db: Db, me: Me, customer_id: int, author_id: int, item_id: ItemId, listed: Listed = "") -> Response:
    """Show a masked address or number for a while; the asking is written down."""
    await verbs.look_at_contact(db, me, customer_id, author_id)
    return await _back(db, me, item_id, listed)


@router.post("/tags")
async def tag(
    *, db: Db, me: Me, customer_id: int, item_id: ItemId, tag: Annotated[str, Form()], listed: Listed = ""
) -> Response:
    """Put a tag on the customer."""
    await verbs.tag_customer(db, me, customer_id, tag)
    return await _back(db, me, item_id, listed)


@router.delete("/tags")
async def untag(
    *, db: Db, me: Me, customer_id: int, item_id: ItemId, tag: Annotated[str, Form()], listed: Listed = ""
) -> Response:
    """Take a tag off."""
    await verbs.untag_customer(db, me, customer_id, tag)
    return await _back(db, me, item_id, listed)


@router.post("/notes")
async def note(
    *, db: Db, me: Me, customer_id: int, item_id: ItemId, text: Annotated[str, Form()], listed: Listed = ""
) -> Response:
    """Write a note about the customer."""
    await verbs.note_customer(db, me, customer_id, text.replace("\r\n", "\n"))
    return await _back(db, me, item_id, listed)


@router.get("/history")
async def history(request: Request, db: Db, me: Me, customer_id: int, before: str = "") -> Response:
    """All items of the customer, the newest first."""
    customer = await verbs.seen_customer(db, me, customer_id)
    past, following = await person.history(db, me, customer_id, visible_queues(me), before=place(before))
    return render(
        request,
        "desk/history.html",
        name=person.masked(customer.name),
        past=past,
        customer_id=customer_id,
        following=named_place(following) if following else "",
        words=words,
        offers=await offers(db, me.id),
    )
