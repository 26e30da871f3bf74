"""/items/7: what one does together: watch it, ask for it, take it over, ask an expert, and who looks on."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import or_, select

from app.errors import Invalid
from app.flow import consult, item_request, viewing, watch
from app.flow.mention import may_read
from app.flow.notices import mark_read
from app.flow.take_over import take_over
from app.flow.visibility import readable_item, visible_item
from app.i18n import _
from app.models.agent import Agent, Presence, Team, TeamMember
from app.queries.targets import like, people_named, skills_named
from app.queries.together import onlookers
from app.web import words
from app.web.edge import Db, Me
from app.web.lists import shown_of
from app.web.templating import render

router = APIRouter(prefix="/items/{item_id}")
Text = Annotated[str, Form()]
Listed = Annotated[str, Form(alias="list")]
KINDS = {"a": "agent", "s": "skill", "t": "team"}
MOST = 8  # colleagues that are proposed at once


def _to(item_id: int, listed: str) -> Response:
    return RedirectResponse(f"/items/{item_id}{shown_of(listed).query}", HTTPStatus.SEE_OTHER)


@router.post("/watch")
async def begin_watching(db: Db, me: Me, item_id: int, listed: Listed = "") -> Response:
    """Watch it."""
    await watch.watch(db, me, item_id)
    return _to(item_id, listed)


@router.delete("/watch")
async def end_watching(db: Db, me: Me, item_id: int, listed: Listed = "") -> Response:
    """Watch it no longer."""
    await readable_item(db, me, item_id)
    await watch.unwatch(db, me, item_id)
    return _to(item_id, listed)


@router.post("/requests")
async def ask_for(db: Db, me: Me, item_id: int, listed: Listed = "") -> Response:
    """Ask its holder for it."""
    await item_request.ask_for(db, me, item_id)
    return _to(item_id, listed)


@router.delete("/requests")
async def ask_no_longer(db: Db, me: Me, item_id: int, listed: Listed = "") -> Response:
    """Take one's request back."""
    await item_request.withdraw(db, me, item_id)
    return _to(item_id, listed)


@router.post("/requests/{request_id}/gift")
async def give(db: Db, me: Me, item_id: int, request_id: int, listed: Listed = "") -> Response:
    """Give it to who asked."""
    await item_request.give(db, me, item_id, request_id)
    return RedirectResponse(shown_of(listed).path, HTTPStatus.SEE_OTHER)


@router.delete("/requests/{request_id}")
async def keep(db: Db, me: Me, item_id: int, request_id: int, listed: Listed = "") -> Response:
    """Keep it."""
    await item_request.keep(db, me, item_id, request_id)
    return _to(item_id, listed)


@router.post("/takeover")
async def take(
    db: Db, me: Me, item_id: int, holder: Annotated[int | None, Form()] = None, listed: Listed = ""
) -> Response:
    """Take it over from `holder`, whom the page showed."""
    await take_over(db, me, item_id, holder)
    return _to(item_id, listed)


@router.put("/viewing")
async def look(request: Request, db: Db, me: Me, item_id: int, typing: Text = "") -> Response:
    """Somebody has it before their eyes; answers with who else has. What they are told of it is read by that."""
    await viewing.look(db, me, item_id, typing=bool(typing))
    await mark_read(db, me, item_id)
    found = await onlookers(db, [item_id], me.id)
    return render(request, "desk/viewers.html", onlookers=found.get(item_id, []), alone=False)


@router.delete("/viewing")
async def look_away(db: Db, me: Me, item_id: int) -> Response:
    """They have gone elsewhere."""
    await viewing.look_away(db, me, item_id)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.get("/colleagues")
async def colleagues(request: Request, db: Db, me: Me, item_id: int, q: str = "") -> Response:
    """Whom a note can name: those who may read the item first, then others."""
    item = await readable_item(db, me, item_id)
    local = Agent.email.ilike(f"{like(q)[1:-1]}%")
    people = (
        await db.scalars(
            select(Agent)
            .where(Agent.active, Agent.id != me.id, or_(Agent.name.ilike(like(q)), local))
            .order_by(Agent.name, Agent.id)
            .limit(4 * MOST)
        )
    ).all()
    seeing = {one.id for one in people if await may_read(db, one, item)}
    proposed = sorted(people, key=lambda one: one.id not in seeing)[:MOST]
    return render(request, "desk/colleagues.html", people=proposed, seeing=seeing)


@router.get("/consults")
async def form(*, request: Request, db: Db, me: Me, item_id: int, q: str = "", only: str = "") -> Response:
    """The form that asks an expert: a page, what the desk's menu holds (`only=menu`), or whom to ask (`only=targets`)."""
    item = await visible_item(db, me, item_id)
    everybody = select(Agent, Presence).join(Presence, Presence.agent_id == Agent.id).where(Agent.active)
    of_teams = select(TeamMember.team_id).distinct()
    named = select(Team).where(Team.id.in_(of_teams), Team.name.ilike(like(q))).order_by(Team.name).limit(MOST)
    context: dict[str, Any] = {
        "item": item,
        "shown": shown_of(request.query_params.get("list", "")),
        "q": q,
        "words": words,
        "people": await people_named(db, everybody, q, me.id),
        "skills": await skills_named(db, q, item.requirements),
        "teams": (await db.scalars(named)).all(),
    }
    template = {"menu": "desk/consult_menu.html", "targets": "desk/consult_targets.html"}.get(only, "consult.html")
    return render(request, template, **context)


@router.post("/consults")
async def ask(
    *,
    request: Request,
    db: Db,
    me: Me,
    item_id: int,
    whom: Text = "",
    question: Text = "",
    park: Text = "",
    listed: Listed = "",
) -> Response:
    """Ask `a7` (an agent), `s3` (whoever has a skill) or `t2` (a team)."""
    request.state.kept_text = question
    kind, number = whom[:1], whom[1:]
    if kind not in KINDS or not (number.isascii() and number.isdigit()):
        raise Invalid(_("Choose whom to ask."), "whom")
    asked = consult.Whom(KINDS[kind], int(number))
    await consult.consult(db, me, item_id, asked, question.replace("\r\n", "\n"), park=bool(park))
    return _to(item_id, listed)


@router.post("/consults/{consult_id}/answer")
async def answer(
    *, request: Request, db: Db, me: Me, item_id: int, consult_id: int, text: Text = "", listed: Listed = ""
) -> Response:
    """Answer a question that one is asked."""
    request.state.kept_text = text
    await consult.answer(db, me, item_id, consult_id, text.replace("\r\n", "\n"))
    return _to(item_id, listed)


@router.delete("/consults/{consult_id}")
async def take_back(db: Db, me: Me, item_id: int, consult_id: int, listed: Listed = "") -> Response:
    """Take a question back."""
    await consult.withdraw(db, me, item_id, consult_id)
    return _to(item_id, listed)
