"""/palette: all that a person can do and go to, as one list; the page's script shows what is possible and fits.

Actions come from the table of keys; their `do` and `to` are carried out as their keys are.
"""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import NotFound
from app.flow.placeholders import fill, values_for
from app.i18n import _
from app.models.agent import Agent, Role
from app.models.item import State
from app.models.sight import visible_queues
from app.queries import desk
from app.queries.names import people
from app.queries.saved import fitting, macro_lines
from app.web import keys
from app.web.edge import Db, Me
from app.web.templating import render
from app.web.views import seen_item

router = APIRouter()
MOST_SAVED = 60
MOST_PEOPLE = 6
SHORTEST_NAME, LONGEST_NAME = 2, 80  # characters
NO_PLACE = frozenset({"step", "pane", ""})  # behaviours that make no sense from a list


@dataclass(frozen=True, slots=True)
class Goal:
    """A page to go to."""

    address: str
    mark: str
    words: str
    role: Role = Role.AGENT


@dataclass(frozen=True, slots=True)
class Text:
    """A saved reply, filled in for the open item."""

    id: int
    title: str
    text: str
    language: str


def _goals() -> tuple[Goal, ...]:
    admin, supervisor = Role.ADMIN, Role.SUPERVISOR
    return (
        Goal("/desk", "i-work", _("My work")),
        Goal("/desk/offers", "i-offer", _("Offers")),
        Goal("/desk/claimable", "i-queue", _("Claimable")),
        Goal("/desk/parked", "i-snooze", _("Parked")),
        Goal("/desk/all", "i-chat", _("All items")),
        Goal("/search", "i-search", _("Search")),
        Goal("/saved", "i-note", _("Saved replies")),
        Goal("/macros", "i-play", _("Macros")),
        Goal("/me", "i-user", _("Profile and settings")),
        Goal("/me/keys", "i-help", _("Your keys")),
        Goal("/board", "i-chart", _("Board"), supervisor),
        Goal("/board/staffing", "i-people", _("Staffing"), supervisor),
        Goal("/admin/feeds", "i-feed", _("Feeds"), admin),
        Goal("/admin/accounts", "i-key", _("Accounts"), admin),
        Goal("/admin/rules", "i-rule", _("Rules"), admin),
        Goal("/admin/queues", "i-queue", _("Queues"), admin),
        Goal("/admin/skills", "i-star", _("Skills"), admin),
        Goal("/admin/rehearsal", "i-play", _("Rehearsal"), admin),
        Goal("/admin/agents", "i-people", _("Agents"), admin),
        Goal("/admin/teams", "i-chat", _("Teams"), admin),
        Goal("/admin/reasons", "s-away", _("Reasons"), admin),
    )


@router.get("/palette")
async def shown(request: Request, db: Db, me: Me, item: int = 0) -> Response:
    """Everything there is, as options. `item` is the item on the page."""
    queues = await desk.rail(db, me.id, visible_queues(me))
    held = [*await desk.mine(db, me.id, State.ACTIVE), *await desk.mine(db, me.id, State.PARKED)]
    actions = [one for part in keys.table() for one in part.actions if one.do not in NO_PLACE and one.to != "#palette"]
    return render(
        request,
        "palette_options.html",
        actions=[one for one in actions if me.is_at_least(one.role) and one.do != "go"],
        goals=[one for one in _goals() if me.is_at_least(one.role)],
        going={one.to: one.code for one in actions if one.do == "go"},
        queues=queues.lines,
        held=held,
        texts=await _texts(db, me, item) if item else (),
        macros=await macro_lines(db, me) if any(row.item_id == item for row in held) else (),
        item_id=item,
    )


@router.get("/palette/people")
async def named(request: Request, db: Db, me: Me, q: str = "") -> Response:
    """Customers whose names are like what was typed, as options that lead to their newest item for the reader."""
    found = await people(db, me, q[:LONGEST_NAME], MOST_PEOPLE) if len(q.strip()) >= SHORTEST_NAME else ()
    return render(request, "palette_people.html", people=found)


async def _texts(db: AsyncSession, me: Agent, item_id: int) -> tuple[Text, ...]:
    try:
        item = await seen_item(db, me, item_id)
    except NotFound:  # it went while the palette was opened
        return ()
    values = await values_for(db, me, item)
    found = await fitting(db, me, item, "", most=MOST_SAVED)
    return tuple(Text(one.id, one.title, fill(one.body, values), one.language) for one in found)
