"""/items/7/transfer: to a colleague, a queue or a skill, with a note. The form is a page, and the desk's menu."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Invalid
from app.flow.assign import receivers, supervises
from app.flow.transfer import Doubt, doubts, to_agent, to_line
from app.flow.visibility import visible_item
from app.i18n import _
from app.models.agent import Agent, Presence
from app.models.item import Item, State
from app.queries.desk import mine
from app.queries.targets import people_named, queues_named, skills_named
from app.web import words
from app.web.edge import Db, Me
from app.web.lists import shown_of
from app.web.templating import render

router = APIRouter(prefix="/items/{item_id}/transfer")
Text = Annotated[str, Form()]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A colleague who could take the item, and why perhaps not."""

    agent: Agent
    presence: Presence
    doubts: tuple[Doubt, ...]

    @property
    def state(self) -> str:
        """The symbol of what they are doing."""
        return {"ready": "ready", "not_ready": "away", "wrap_up": "wrap", "offline": "off"}[self.presence.state]


def doubt_words(one: Doubt) -> str:
    """Why somebody may not be the right one."""
    if one.code == "skill":
        return _("lacks %(skill)s %(level)d") % {"skill": one.skill, "level": one.level}
    return {"offline": _("not signed in"), "full": _("no room"), "away": _("not ready")}[one.code]


@router.get("")
async def form(*, request: Request, db: Db, me: Me, item_id: int, q: str = "", only: str = "") -> Response:
    """The form: a page of its own, what the desk's menu holds (`only=menu`), or the targets alone (`only=targets`)."""
    item = await visible_item(db, me, item_id)
    shown = shown_of(request.query_params.get("list", ""))
    context: dict[str, Any] = {"item": item, "shown": shown, "q": q, "words": words, "doubt_words": doubt_words}
    context |= {"leads": await supervises(db, me, item), **await _targets(db, item, q)}
    template = {"menu": "desk/transfer_menu.html", "targets": "desk/transfer_targets.html"}.get(only, "transfer.html")
    return render(request, template, **context)


async def _targets(db: AsyncSession, item: Item, q: str) -> dict[str, Any]:
    people = await people_named(db, receivers(item), q, item.agent_id)
    found = [Candidate(agent, presence, tuple(await doubts(db, item, agent, presence))) for agent, presence in people]
    return {
        "people": sorted(found, key=lambda one: bool(one.doubts)),
        "queues": await queues_named(db, q, item.queue_id),
        "skills": await skills_named(db, q, item.requirements),
    }


@router.post("")
async def send(
    *,
    request: Request,
    db: Db,
    me: Me,
    item_id: int,
    to: Text = "",
    how: Text = "offer",
    level: Annotated[int, Form()] = 3,
    drop_needs: Text = "",
    overrule: Text = "",
    note: Text = "",
    listed: Annotated[str, Form(alias="list")] = "",
) -> Response:
    """Send it to `a7` (an agent; `how` is `offer` or `now`), `q3` (a queue) or `s5` (somebody with a skill)."""
    request.state.kept_text = note
    item = await visible_item(db, me, item_id)
    kind, number = to[:1], to[1:]
    if kind not in {"a", "q", "s"} or not (number.isascii() and number.isdigit()) or how not in {"offer", "now"}:
        raise Invalid(_("Choose to whom it goes."), "to")
    text = note.replace("\r\n", "\n")
    target = int(number)
    if kind == "a":
        await to_agent(db, me, item_id, target, straight=how == "now", overrule=bool(overrule), note=text)
    elif kind == "q":
        await to_line(db, me, item_id, queue_id=target, needs={} if drop_needs else None, note=text)
    else:
        kept = {} if drop_needs else {int(skill): lowest for skill, lowest in item.requirements.items()}
        await to_line(db, me, item_id, needs={**kept, target: level}, note=text)
    return await _onward(db, me, listed)


async def _onward(db: AsyncSession, me: Agent, listed: str) -> Response:
    shown = shown_of(listed)
    active = await mine(db, me.id, State.ACTIVE)
    path = f"/items/{active[0].item_id}{shown.query}" if active else shown.path
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)
