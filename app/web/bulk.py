"""Many items at once: /bulk shows what would happen to which, a POST does it, /bulk/<key> tells what came of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app import i18n
from app.errors import Invalid
from app.flow import bulk
from app.flow.bulk import Deed, How, Seen
from app.i18n import _
from app.models.agent import Agent
from app.models.item import Disposition, ParkReason, State
from app.models.sight import visible_queues
from app.queries import desk, listing
from app.web import words
from app.web.edge import Db, Me
from app.web.forms import Form, typed
from app.web.item import parking_time
from app.web.lists import NARROWED, Shown, deeds, shown_of
from app.web.templating import render

router = APIRouter(prefix="/bulk")
ID_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One chosen item, as it is, and why it would be left out, if it would."""

    row: desk.Row
    tags: tuple[str, ...]
    refusal: str


@router.get("")
async def preview(request: Request, db: Db, me: Me) -> Response:
    """What would happen to which of the chosen items, and what has to be said before it does."""
    asked = request.query_params
    shown = shown_of(asked.get("list", ""))
    deed = _deed(asked.get("do", ""))
    ids = await _of_list(db, me, shown) if asked.get("all") else _ids(asked.getlist("item"))
    foreseen = await _foreseen(db, me, deed, ids)
    return await _page(request, db, me, shown, deed=deed, foreseen=foreseen, missing=len(set(ids)) - len(foreseen))


@router.post("")
async def do(request: Request, db: Db, me: Me) -> Response:
    """Do it, once for each key; then tell what came of each item."""
    form = await typed(request)
    key = _key(form.text("key"))
    deed = _deed(form.text("do"))
    seen = [_seen(one) for one in form.chosen("item")]
    shown = shown_of(form.text("list"))
    await bulk.carry_out(db, me, key, deed=deed, items=seen, how=_how(form, deed))
    return RedirectResponse(f"/bulk/{key}{shown.query}", HTTPStatus.SEE_OTHER)


@router.get("/{key}")
async def told(request: Request, db: Db, me: Me, key: UUID) -> Response:
    """What came of each item."""
    run = await bulk.run_of(db, me, key)
    shown = shown_of(request.query_params.get("list", ""))
    done = [one for one in run.told if one["done"]]
    left = [one for one in run.told if not one["done"]]
    return render(
        request, "bulk_told.html", run=run, done=done, left=left, shown=shown, deed=deeds()[Deed(run.deed)], words=words
    )


async def _page(
    request: Request, db: AsyncSession, me: Agent, shown: Shown, *, deed: Deed, foreseen: list[Foreseen], missing: int
) -> Response:
    rail = await desk.rail(db, me.id, visible_queues(me)) if deed == Deed.TRANSFER else None
    return render(
        request,
        "bulk.html",
        shown=shown,
        deed=deed,
        deeds=deeds(),
        going=[one for one in foreseen if not one.refusal],
        left=[one for one in foreseen if one.refusal],
        missing=missing,
        most=bulk.MOST,
        key=uuid4(),
        queues=rail.lines if rail else (),
        tags=sorted({tag for one in foreseen for tag in one.tags}),
        words=words,
        local_now=datetime.now(i18n.reader.get().zone),
    )


async def _foreseen(db: AsyncSession, me: Agent, deed: Deed, ids: list[int]) -> list[Foreseen]:
    """The chosen items that the reader may see, in the order chosen."""
    tags = {item.id: tuple(item.tags) for item in await bulk.seen_items(db, me, ids)}
    rows = {row.item_id: row for row in await desk.rows_of(db, tags)}
    chosen = [one for one in dict.fromkeys(ids) if one in rows]
    return [Foreseen(rows[one], tags[one], _refusal(me, deed, rows[one])) for one in chosen]


def _refusal(me: Agent, deed: Deed, row: desk.Row) -> str:
    holder = None if row.holder_id is None else (row.holder_id, row.holder or "")
    return bulk.refusal(me, deed, State(row.state), holder)


async def _of_list(db: AsyncSession, me: Agent, shown: Shown) -> list[int]:
    """The first items of a list, as many as can be dealt with at once."""
    if shown.kind in NARROWED:
        return await listing.ids(db, me, shown.wanted, shown.order, bulk.MOST)
    state = {"parked": State.PARKED, "offers": State.OFFERED}.get(shown.kind, State.ACTIVE)
    return [row.item_id for row in await desk.mine(db, me.id, state)]


def _deed(named: str) -> Deed:
    if named not in set(Deed):
        raise Invalid(_("Choose what to do with the items."), "do")
    return Deed(named)


def _ids(named: list[str]) -> list[int]:
    ids = [int(one) for one in named if one.isascii() and one.isdigit() and len(one) <= ID_DIGITS]
    if not 0 < len(ids) <= bulk.MOST or len(ids) != len(named):
        raise Invalid(_("Choose at least one item, and at most %d.") % bulk.MOST, "item")
    return ids


def _seen(named: str) -> Seen:
    item_id, _dot, version = named.partition(".")
    if not all(part.isascii() and part.isdigit() and len(part) <= ID_DIGITS for part in (item_id, version)):
        raise Invalid(_("Choose the items again: this page does not name them."), "item")
    return Seen(int(item_id), int(version))


def _key(named: str) -> UUID:
    try:
        return UUID(named)
    except ValueError:
        raise Invalid(_("Choose the items again: this page does not name them."), "key") from None


def _how(form: Form, deed: Deed) -> How:
    asked: Mapping[Deed, Any] = {
        Deed.CLOSE: _ending,
        Deed.PARK: _parking,
        Deed.TRANSFER: lambda form: How(queue_id=form.number("queue")),
        Deed.PRIORITISE: lambda form: How(priority=form.number("priority")),
        Deed.TAG: _label,
        Deed.UNTAG: _label,
    }
    return asked[deed](form) if deed in asked else How()


def _ending(form: Form) -> How:
    code = form.text("disposition")
    return How(disposition=Disposition(code) if code in words.dispositions() else None)


def _parking(form: Form) -> How:
    until = form.text("until")
    if until == "customer":
        return How(until=parking_time(until), reason=ParkReason.CUSTOMER)
    return How(until=parking_time(until))


def _label(form: Form) -> How:
    return How(tag=form.text("tag"))
