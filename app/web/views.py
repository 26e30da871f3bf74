"""What a desk page shows: which list, which item beside it, and all that its parts are drawn from.

The page and its live parts are drawn from the same context by the same templates; a request for some parts loads
only what these need.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from fastapi import Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app import i18n
from app.connectors import registry
from app.connectors.base import Capabilities, Pictures, Visibility, Window
from app.errors import Conflict, NotFound
from app.flow.answerable import Identity, answerable
from app.flow.draft import NOTE, load_draft
from app.flow.explain import explain
from app.flow.reply import queue_of, signed
from app.flow.template import templates_for
from app.flow.tier import tier_of
from app.flow.visibility import readable_item
from app.i18n import _
from app.models.agent import Agent, Role
from app.models.item import Item, State
from app.models.queue import Queue, QueueMember
from app.models.sight import visible_queues
from app.models.template import ChannelTemplate
from app.queries import conversation, desk, pieces
from app.queries.attachments import Attached, of_replies
from app.queries.drafts import begun_by, sent_under
from app.queries.hand import following, to_answer
from app.queries.signals import signals_of
from app.web import rows, signal_words, why, words
from app.web.beside import beside
from app.web.lists import Shown, list_context, named_place, place
from app.web.person import pane
from app.web.revision import revision
from app.web.saved_views import views_context

PARTS = {  # the parts that a live page may ask for, and the id that each replaces
    "me": "me-state",
    "rail": "rail",
    "list": "list",
    "offer": "offer-slot",
    "bar": "offer-bar",
    "head": "conv-head",
    "thread": "thread",
    "dock": "dock",
    "context": "context",
    "tabs": "tabbar",
}


FORMATTED = frozenset({"rss", "discourse"})  # channels whose posts are shown with their own formatting


@dataclass(frozen=True, slots=True)
class Composer:
    """What may be written to an item now. Without `visibilities` only a note; `reason` says why."""

    key: str
    text: str
    version: int | None
    mode: str
    visibilities: tuple[str, ...]
    reason: str
    limit: int | None
    rule: str
    bytes: int | None
    lead: str
    language: str | None
    begun_by: str | None  # whose draft it was before the item was handed over
    pictures: tuple[Attached, ...]
    rules: Pictures | None  # of pictures
    tail: str  # the signature, as it is put behind
    threads: bool  # whether a text that is too long can go out as several posts
    identities: tuple[Identity, ...]  # of ours that can answer
    account_id: int | None  # the one that will
    unsent: bool  # it is a reply that was begun, and cannot be sent now
    templates: tuple[ChannelTemplate, ...]  # what can be sent in place of words of one's own
    abilities: Mapping[Visibility, Capabilities]  # what each audience allows
    windows: Mapping[str, Window]  # by audience, where the channel takes answers for a time only


def asked_parts(request: Request) -> tuple[str, ...]:
    """The parts that the request names in `?parts=`; none means the whole page."""
    return tuple(part for part in request.query_params.get("parts", "").split(",") if part in PARTS)


async def desk_context(
    request: Request, db: AsyncSession, me: Agent, shown: Shown, item: Item | None = None, *, before: str = ""
) -> dict[str, Any]:
    """Load what the page, or the asked parts of it, are drawn from. `before` is the place of a post in a thread."""
    parts = asked_parts(request)
    queues = visible_queues(me)
    wanted = frozenset(parts or PARTS)
    context: dict[str, Any] = {
        "shown": shown,
        "item": item,
        "words": words,
        "why_lines": words.why_lines,
        "raised_words": why.raised,
        "heard_lines": signal_words.lines,
        "warning": signal_words.warning,
        "state_words": words.presence,
        "parts": parts,
        "part_ids": PARTS,
        "named_place": named_place,
    }
    context |= {"translates": bool(request.app.state.settings.translator_url), "before": before}
    context |= {"formatted": FORMATTED, "local_now": datetime.now(i18n.reader.get().zone)}
    context["onward"] = following(await to_answer(db, me.id), item.id if item else None) if "list" in wanted else None
    context["held"] = await pieces.held_replies(db, me.id) if wanted & {"dock"} else []
    if wanted & {"rail", "list", "tabs"}:
        context["rail"] = await desk.rail(db, me.id, queues)
        context |= await views_context(db, me, shown, context["rail"], counted="rail" in wanted)
    if "list" in wanted:
        now, csrf = datetime.now(UTC), request.state.visitor.csrf
        around = rows.Around(now, csrf, me.id, item.id if item else None, shown.query)
        context |= await list_context(db, me, shown, context["rail"], around)
    context["offers"] = await desk.offers(db, me.id) if wanted & {"offer", "bar", "list"} else ()
    if item is not None and wanted & {"head", "thread", "dock", "context"}:
        context["thread"] = await conversation.thread(db, me, item, place(before), i18n.own_language())
        queue = await db.get_one(Queue, item.queue_id)
        context["closes_after"] = queue.park_close_after and timedelta(seconds=queue.park_close_after)
        context["composer"] = await composer(db, me, item, request.query_params.get("key", ""))
        context["revision"] = await revision(db, me, item, request.query_params.get("edit", ""))
        context["person"] = await pane(db, me, item) if "context" in wanted else {}
        context["heard"] = await signals_of(db, item) if "context" in wanted else None
        context["tier"] = await tier_of(db, item.customer_id)
        context["may_set_tier"] = item.customer_id is not None and me.is_at_least(Role.SUPERVISOR)
        context["waits"] = await _waits(db, me, item) if wanted & {"head", "context"} else None
        context["beside"] = await beside(db, me, item)
    else:
        context |= {
            "thread": None,
            "composer": None,
            "revision": None,
            "closes_after": None,
            "waits": None,
            "beside": None,
        }
    return context


async def _waits(db: AsyncSession, me: Agent, item: Item) -> why.Account | None:
    """Why nobody has the item yet; None when it does not wait."""
    if item.state != State.QUEUED:
        return None
    theirs = select(QueueMember.queue_id).where(QueueMember.queue_id == item.queue_id, QueueMember.agent_id == me.id)
    asks = not me.is_at_least(Role.SUPERVISOR) or await db.scalar(theirs) is not None  # others only watch
    try:
        return why.account(await explain(db, item.id, me.id if asks else None), datetime.now(UTC))
    except Conflict:  # it went while the page was drawn: the page hears of it in a moment
        return None


async def seen_item(db: AsyncSession, me: Agent, item_id: int) -> Item:
    """The item, if the reader may read it. Raises NotFound."""
    return await readable_item(db, me, item_id)


async def composer(db: AsyncSession, me: Agent, item: Item, key: str) -> Composer:
    """What the reader may write to the item, with their draft in it. `key` is that of the composer on the page."""
    draft = await load_draft(db, me, item.id)
    connector = registry.get(item.channel)
    capabilities = connector.capabilities
    visibilities: tuple[str, ...] = ()
    identities: tuple[Identity, ...] = ()
    account_id: int | None = None
    windows: Mapping[Visibility, Window] = {}
    abilities: Mapping[Visibility, Capabilities] = {}
    lead, reason = "", _reason(me, item)
    usual = Visibility.PUBLIC
    if not reason:
        try:
            way = await answerable(db, item)
            visibilities = tuple(v for v in Visibility if v in way.visibilities)  # from wide to narrow
            usual = way.visibility
            identities, account_id, windows = way.identities, way.account_id, way.windows
            if draft and draft.account_id in {one.id for one in identities}:
                account_id = draft.account_id
            lead, capabilities = connector.lead(way.post.ref), connector.able(way.post.ref)
            abilities = {v: connector.able(way.post.ref, v) for v in way.visibilities}
        except (Conflict, NotFound) as error:
            reason = error.message
    templates = await _templates(db, me, item) if reason and capabilities.templates else ()
    modes = (*visibilities, NOTE)
    return Composer(
        key=str(draft.key) if draft else await _fresh(db, me, key),
        text=draft.text if draft else "",
        version=draft.version if draft else None,
        mode=draft.visibility if draft and draft.visibility in modes else _usual(visibilities, usual),
        visibilities=visibilities,
        reason=reason,
        limit=capabilities.length_limit,
        rule=capabilities.length_counts,
        bytes=capabilities.byte_limit,
        lead=lead,
        language=item.language,
        begun_by=await begun_by(db, draft.id) if draft else None,
        pictures=(await of_replies(db, [draft.id])).get(draft.id, ()) if draft else (),
        tail=signed(me, await queue_of(db, item.id), ""),
        threads=capabilities.threads and capabilities.length_limit is not None,
        identities=identities,
        account_id=account_id,
        rules=capabilities.pictures if visibilities else None,
        templates=templates,
        abilities=abilities,
        windows={v: window for v, window in windows.items() if v in visibilities},
        unsent=bool(draft and draft.text.strip() and draft.visibility != NOTE and not visibilities),
    )


async def _templates(db: AsyncSession, me: Agent, item: Item) -> tuple[ChannelTemplate, ...]:
    """What can be sent to an item in the reader's hands when its channel takes no words of their own."""
    if _reason(me, item):
        return ()
    try:
        return tuple(await templates_for(db, item))
    except Conflict:
        return ()


async def _fresh(db: AsyncSession, me: Agent, key: str) -> str:
    """The key of the composer on the page, unless something was sent under it from another window."""
    try:
        kept = key and await sent_under(db, me.id, UUID(key)) is None
    except ValueError:
        kept = False
    return key if kept else str(uuid4())


def _usual(visibilities: tuple[str, ...], post: Visibility) -> str:
    """Answer as one was addressed, where the channel allows it."""
    if not visibilities:
        return "note"
    return post if post in visibilities else visibilities[0]


def _reason(me: Agent, item: Item) -> str:
    if item.state in {State.CLOSED, State.DISCARDED}:
        return _("This item is closed. Reopen it to answer.")
    if item.state == State.PARKED and item.agent_id == me.id:
        return _("This item is parked. Go on with it to answer.")
    if item.state != State.ACTIVE:
        return _("Claim this item to answer it.")
    return "" if item.agent_id == me.id else _("A colleague answers this item. You can leave a note.")
