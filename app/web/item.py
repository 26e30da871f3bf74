"""An item's page and its verbs, each a resource: POST /items/7/assignment claims, DELETE gives back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app import i18n
from app.errors import Conflict, Invalid
from app.flow.assign import assign
from app.flow.claim import claim
from app.flow.close import close
from app.flow.draft import clear_draft, load_draft
from app.flow.note import note
from app.flow.notices import mark_read
from app.flow.offer import accept, decline, extend
from app.flow.park import park
from app.flow.plea import plead
from app.flow.release import release
from app.flow.reopen import reopen
from app.flow.reply import reply
from app.flow.wake import wake_by_hand
from app.i18n import _
from app.models.agent import Agent
from app.models.item import Disposition, ParkReason, State
from app.models.queue import Queue
from app.models.sight import visible_queues
from app.queries.desk import holding, mine
from app.queries.together import unread
from app.web import words
from app.web.attachments import described
from app.web.edge import Db, Me, ahead
from app.web.forms import line_ends
from app.web.lists import shown_of
from app.web.onward import after_this
from app.web.templating import render, wants_fragment
from app.web.views import desk_context, seen_item

router = APIRouter(prefix="/items/{item_id}")
Listed = Annotated[str, Form(alias="list")]
Text = Annotated[str, Form()]
Texts = Annotated[Sequence[str], Form()]
Numbers = Annotated[Sequence[int], Form()]
CUSTOMER_WAIT = timedelta(days=7)  # an item that waits for its customer comes back after so long


def _to(item_id: int, listed: str = "") -> Response:
    shown = shown_of(listed)
    return RedirectResponse(f"/items/{item_id}{shown.query}", HTTPStatus.SEE_OTHER)


async def _next(db: AsyncSession, me: Agent, listed: str) -> Response:
    active = await mine(db, me.id, State.ACTIVE)
    return _to(active[0].item_id, listed) if active else RedirectResponse(shown_of(listed).path, HTTPStatus.SEE_OTHER)


async def _page(
    request: Request, db: AsyncSession, me: Agent, item_id: int, pane: str, *, before: str = ""
) -> Response:
    item = await seen_item(db, me, item_id)
    shown = shown_of(request.query_params.get("list", ""))
    context = await desk_context(request, db, me, shown, item, before=before)
    template = "desk/parts.html" if context["parts"] else "desk/page.html"
    return render(request, template, **context, pane=pane, live="desk")


@router.get("")
async def page(request: Request, db: Db, me: Me, item_id: int) -> Response:
    """The conversation, with the list beside it and its customer. What one was told of it is read by that."""
    unseen = wants_fragment(request) or ahead(request)
    if not unseen and await mark_read(db, me, item_id):  # a desk with script says so when it is seen
        visitor = request.state.visitor
        request.state.visitor = replace(visitor, unread=await unread(db, me, visible_queues(me)))
    return await _page(request, db, me, item_id, "conversation")


@router.get("/posts")
async def posts(request: Request, db: Db, me: Me, item_id: int, before: str = "") -> Response:
    """An older part of a long conversation: a page of its own, or (`only=entries`) what goes above the newer part."""
    if request.query_params.get("only") != "entries":
        return await _page(request, db, me, item_id, "conversation", before=before)
    item = await seen_item(db, me, item_id)
    shown = shown_of(request.query_params.get("list", ""))
    context = await desk_context(request, db, me, shown, item, before=before)
    return render(request, "desk/older_entries.html", **context)


@router.get("/customer")
async def customer(request: Request, db: Db, me: Me, item_id: int) -> Response:
    """The customer's pane as a page of its own, where there is no room for it beside the conversation."""
    return await _page(request, db, me, item_id, "context")


@router.post("/assignment")
async def take(
    *,
    db: Db,
    me: Me,
    item_id: int,
    agent_id: Annotated[int | None, Form()] = None,
    how: Text = "",
    listed: Listed = "",
) -> Response:
    """Claim. With `agent_id` a supervisor gives it: `how` is `offer` or `now`. Raises Conflict, naming who was first."""
    if agent_id is not None:
        await assign(db, me, item_id, agent_id, force=_how(how) == "now")
        return _to(item_id, listed)
    try:
        await claim(db, me, item_id)
    except Conflict as error:
        holder = await holding(db, item_id)
        if holder is None or holder[0] == me.name:
            raise
        told = {"who": holder[0], "ago": i18n.ago(holder[1], datetime.now(UTC))}
        raise Conflict(_("%(who)s took it %(ago)s. Choose another item.") % told) from error
    return _to(item_id, listed)


def _how(code: str) -> str:
    if code not in {"offer", "now"}:
        raise Invalid(_("Say how to give it: as an offer, or straight into their hands."), "how")
    return code


@router.delete("/assignment")
async def give_back(db: Db, me: Me, item_id: int, listed: Listed = "") -> Response:
    """Give the item back to its queue."""
    await release(db, me, item_id)
    return await _next(db, me, listed)


@router.post("/acceptance")
async def accept_offer(db: Db, me: Me, item_id: int, listed: Listed = "") -> Response:
    """Accept the offer and open the item."""
    await accept(db, me, item_id)
    return _to(item_id, listed)


@router.post("/refusal")
async def decline_offer(
    *, db: Db, me: Me, item_id: int, reason: Text = "other", here: Text = "", listed: Listed = ""
) -> Response:
    """Decline the offer with a reason, and stay `here`. Raises Invalid for a reason that does not exist."""
    if reason not in words.decline_reasons():
        raise Invalid(_("There is no such reason. Choose one from the menu."), "reason")
    await decline(db, me, item_id, reason)
    return _stay(here, listed)


def _stay(here: str, listed: str) -> Response:
    """Back to the item that was open, or to its list."""
    return _to(int(here), listed) if here.isdigit() else RedirectResponse(shown_of(listed).path, HTTPStatus.SEE_OTHER)


@router.post("/offer/extension")
async def extend_offer(db: Db, me: Me, item_id: int, here: Text = "", listed: Listed = "") -> Response:
    """Half a minute more to think about the offer, and stay `here`."""
    await extend(db, me, item_id)
    return _stay(here, listed)


@router.post("/replies")
async def answer(
    *,
    request: Request,
    db: Db,
    me: Me,
    item_id: int,
    key: Annotated[UUID, Form()],
    text: Text = "",
    visibility: Text = "",
    then_close: Text = "",
    then_next: Text = "",
    attachment: Numbers = (),
    alt: Texts = (),
    thread: Text = "",
    numbered: Text = "",
    account_id: Annotated[int | None, Form()] = None,
    listed: Listed = "",
) -> Response:
    """Send a reply (after the undo window), and close the item with it, and go on to the next, when asked."""
    request.state.kept_text = text
    if visibility == "note":
        return await jot(request=request, db=db, me=me, item_id=item_id, text=text, listed=listed)
    ending = _disposition(then_close or then_next) if then_close or then_next else None
    await described(db, me, item_id, attachment, alt)
    await reply(
        db,
        me,
        item_id,
        line_ends(text),
        visibility,
        key=key,
        then_close=ending,
        pictures=attachment,
        thread=bool(thread),
        numbered=bool(numbered),
        account_id=account_id,
    )
    following = await after_this(db, me) if then_next else None
    if following is not None:
        return _to(following, listed)
    return await _next(db, me, listed) if ending else _to(item_id, listed)


@router.post("/plea")
async def ask_to_delete(db: Db, me: Me, item_id: int, listed: Listed = "") -> Response:
    """Put words into the draft that ask the author to delete what is personal and to write privately."""
    await plead(db, me, item_id)
    return _to(item_id, listed)


@router.post("/notes")
async def jot(*, request: Request, db: Db, me: Me, item_id: int, text: Text = "", listed: Listed = "") -> Response:
    """Write a note, and clear the draft that it was."""
    request.state.kept_text = text
    await note(db, me, item_id, line_ends(text))
    draft = await load_draft(db, me, item_id)
    if draft is None or draft.visibility == "note":
        # Left empty, it refuses a save of the note's own text that is still on its way: it would end up in a reply.
        await clear_draft(db, me, item_id)
    return _to(item_id, listed)


@router.post("/parking")
async def put_aside(
    *, db: Db, me: Me, item_id: int, until: Text = "1h", reason: Text = ParkReason.SNOOZE, listed: Listed = ""
) -> Response:
    """Park until a time, or until the customer writes. Raises Invalid for a reason that does not exist."""
    if reason not in set(ParkReason):
        raise Invalid(_("There is no such reason. Choose one from the menu."), "reason")
    waits_for = ParkReason.CUSTOMER if until == "customer" else ParkReason(reason)
    await park(db, me, item_id, await _park_time(db, me, item_id, until), waits_for)
    return await _next(db, me, listed)


async def _park_time(db: AsyncSession, me: Agent, item_id: int, until: str) -> datetime | None:
    """None when it waits for its customer in a queue that closes such items by itself."""
    if until != "customer":
        return parking_time(until)
    queue = await db.get_one(Queue, (await seen_item(db, me, item_id)).queue_id)
    return parking_time(until) if queue.park_close_after is None else None


@router.delete("/parking")
async def go_on(db: Db, me: Me, item_id: int, listed: Listed = "") -> Response:
    """Go on with a parked item."""
    await wake_by_hand(db, me, item_id)
    return _to(item_id, listed)


@router.post("/closure")
async def end(
    *,
    db: Db,
    me: Me,
    item_id: int,
    disposition: Text,
    seen: Annotated[int | None, Form()] = None,
    listed: Listed = "",
) -> Response:
    """Close with a disposition, and go to the next item in hand."""
    await close(db, me, item_id, _disposition(disposition), seen)
    return await _next(db, me, listed)


@router.delete("/closure")
async def again(db: Db, me: Me, item_id: int, listed: Listed = "") -> Response:
    """Reopen."""
    await reopen(db, me, item_id)
    return _to(item_id, listed)


def _disposition(code: str) -> Disposition:
    if code not in words.dispositions():
        raise Invalid(_("Say how it ended: choose one from the menu."), "disposition")
    return Disposition(code)


def parking_time(until: str) -> datetime:
    """When an item comes back: `1h`, `3h`, `customer`, or a local time of the reader (`2026-11-23T09:00`).

    Raises:
        Invalid: it is none of these.
    """
    now = datetime.now(UTC)
    if until == "customer":
        return now + CUSTOMER_WAIT
    if until in {"1h", "3h"}:
        return now + timedelta(hours=int(until[0]))
    try:
        chosen = datetime.fromisoformat(until)
    except ValueError:
        raise Invalid(_("Choose a day and a time to park the item until."), "until") from None
    return chosen if chosen.tzinfo else chosen.replace(tzinfo=i18n.reader.get().zone)
