"""Search: one box over posts, replies, notes and people; what is found opens in its item, at that post."""

from collections.abc import Iterable
from datetime import datetime
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response
from markupsafe import Markup, escape

from app.errors import Invalid
from app.i18n import _
from app.listening.intent import INTENTS
from app.listening.personal import KINDS as PERSONAL
from app.listening.urgent import CLASSES as URGENT
from app.queries import asked as asking
from app.queries.asked import Asked
from app.queries.hits import Hit
from app.queries.said import POSTS
from app.queries.search import Found, Place, search
from app.web import words
from app.web.edge import Db, Me
from app.web.lists import named_place, place
from app.web.marked import pieces
from app.web.templating import render

router = APIRouter()


def link(hit: Hit) -> str:
    """The address of a hit: its item, at what was found. A post too old to be on that page has one of its own."""
    if hit.kind == "post" and hit.posts > POSTS:
        return f"/items/{hit.item_id}/posts?before={named_place((hit.at, hit.ref_id + 1))}#post-{hit.ref_id}"
    return f"/items/{hit.item_id}#{hit.kind}-{hit.ref_id}"


def examples() -> list[tuple[str, str]]:
    """What can be written into the box, for the help beside it."""
    return [
        ('"torn tent"', _("exactly these words")),
        ("-refund", _("not this")),
        ("from:ada", _("a customer or a colleague; from:me is you")),
        ("queue:billing", _("in this queue")),
        ("state:open", _("open, queued, active, parked, closed ...")),
        ("after:2026-11-01", _("on that day or later; before: is earlier")),
        ("has:media", _("with a picture or other media")),
        ("channel:mastodon", _("on this channel")),
        ("lang:de", _("in this language")),
        ("intent:complaint", _listed(_("with this intent: %s"), INTENTS)),
        ("upset:any", _("by somebody who is upset; upset:3 for the furious")),
        ("urgent:outage", _listed(_("tells of one of: %s"), URGENT)),
        ("-noise:any", _("without spam, job posts, giveaways and news passed on")),
        ("personal:card", _listed(_("holds personal data: %s"), PERSONAL)),
        ("-copy:any", _("without what says nearly the same as an earlier post")),
        ("tag:refund", _("with this tag")),
    ]


def _listed(said: str, values: Iterable[str]) -> Markup:
    """The words, with what may be typed as it stands."""
    return escape(said) % Markup("<code>{}</code>").format(", ".join(values))


@router.get("/search")
async def page(request: Request, db: Db, me: Me, q: str = "", after: str = "") -> Response:
    """The box, and what was found; what cannot be understood is said in words beside the box."""
    asked, found, problem = Asked(), Found(), ""
    try:
        asked = asking.parse(q)
        found = await search(db, me, asked, _place(after))
    except Invalid as error:
        problem = error.message
    terms = [term for term in asked.terms if term.op in {asking.WORDS, asking.EXACT}]
    return render(
        request,
        "search.html",
        status=422 if problem else 200,
        q=q,
        asked=asked,
        problem=problem,
        found=found,
        hits=[(hit, link(hit), pieces(f"{hit.title} {hit.text}".strip(), terms)) for hit in found.hits],
        following=f"/search?{urlencode({'q': q, 'after': named(found.after)})}" if found.after else "",
        beginning=f"/search?{urlencode({'q': q})}" if after else "",
        examples=examples(),
        words=words,
    )


def named(at: tuple[datetime, int]) -> str:
    """A place as the address of a page carries it."""
    return f"{at[0].isoformat()}~{at[1]}"


def _place(text: str) -> Place | None:
    at = place(text)
    if at is not None and (at[0].tzinfo is None or abs(at[1]) >= 2**63):
        raise Invalid(_("That page does not exist. Go back to the beginning."), "after")
    return at
