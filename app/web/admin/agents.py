"""/admin/agents: people, their roles, teams, queues and skills; a new password; who leaves."""

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import forms
from app.errors import Invalid, NotFound
from app.flow.configure_agent import (
    AgentPlaces,
    AgentSettings,
    agent_places,
    agent_settings,
    change_agent,
    create_agent,
    set_password,
)
from app.flow.configured import fingerprint
from app.flow.passwords import SHORTEST
from app.i18n import _
from app.models.agent import Agent, Skill, Team
from app.models.item import agent_actor
from app.models.queue import Queue
from app.queries import admin
from app.web.admin.pages import page, to
from app.web.edge import Admin, Db
from app.web.forms import Form, Refused, attempt, fresh, showing, typed

router = APIRouter(prefix="/admin/agents")
SKILL = "skill-"  # a field per skill: its level, or empty


async def _form_page(
    request: Request, db: AsyncSession, form: Form, agent: Agent | None = None, seen: str = ""
) -> Response:
    return await page(
        request,
        db,
        "agent.html",
        status=form.status,
        form=form,
        fields={one.name: one for one in forms.fields(AgentSettings)},
        teams=await admin.names(db, Team),
        queues=await admin.names(db, Queue),
        skills=await admin.names(db, Skill),
        person=agent,
        seen=seen,
        shortest=SHORTEST,
    )


@router.get("")
async def listed(request: Request, db: Db) -> Response:
    """All agents."""
    return await page(request, db, "agents.html", lines=await admin.agents(db))


@router.get("/new")
async def new(request: Request, db: Db) -> Response:
    """The form of a new agent."""
    return await _form_page(request, db, fresh(AgentSettings))


@router.get("/{agent_id}")
async def shown(request: Request, db: Db, agent_id: int) -> Response:
    """The form of an agent."""
    agent = await _agent(db, agent_id)
    settings = agent_settings(agent)
    return await _form_page(request, db, await _stored(db, agent, settings), agent, fingerprint(settings))


@router.post("")
async def made(request: Request, db: Db) -> Response:
    """Make an agent, with a first password."""
    form = await typed(request)
    try:
        settings = form.read(AgentSettings)
        async with attempt(db, form):
            await create_agent(db, settings, form.text("password"), _places(form))
    except Refused:
        return await _form_page(request, db, form)
    return to("/admin/agents")


@router.put("/{agent_id}")
async def changed(request: Request, db: Db, me: Admin, agent_id: int) -> Response:
    """Change an agent."""
    form = await typed(request)
    try:
        settings = form.read(AgentSettings)
        async with attempt(db, form):
            seen = form.text("seen")
            await change_agent(db, agent_id, settings, _places(form), seen=seen, actor=agent_actor(me.id))
    except Refused:
        return await _form_page(request, db, form, await _agent(db, agent_id), form.text("seen"))
    return to("/admin/agents")


@router.put("/{agent_id}/password")
async def password(request: Request, db: Db, agent_id: int) -> Response:
    """Give an agent a new password; it ends all their sign-ins."""
    sent = await typed(request)
    agent = await _agent(db, agent_id)
    settings = agent_settings(agent)
    form = await _stored(db, agent, settings)
    try:
        async with attempt(db, form):
            await set_password(db, agent_id, sent.text("password"))
    except Refused:
        return await _form_page(request, db, form, await _agent(db, agent_id), fingerprint(settings))
    return to("/admin/agents")


async def _stored(db: AsyncSession, agent: Agent, settings: AgentSettings) -> Form:
    places = await agent_places(db, agent.id)
    form = showing(settings, teams=[str(one) for one in places.teams], queues=[str(one) for one in places.queues])
    form.values = {**form.values, **{f"{SKILL}{skill}": str(level) for skill, level in places.skills.items()}}
    return form


def _places(form: Form) -> AgentPlaces:
    """Teams, queues and skills as they were ticked. Raises Invalid for what is none of the list."""
    skills: dict[int, int] = {}
    for name in form.values:
        level = form.number(name) if name.startswith(SKILL) else None
        if level is not None:
            skills[_id(name)] = level
    return AgentPlaces(teams=form.ids("teams"), queues=form.ids("queues"), skills=skills)


def _id(name: str) -> int:
    try:
        return int(name.removeprefix(SKILL))
    except ValueError:
        raise Invalid(_("Choose from the list."), "skills") from None


async def _agent(db: AsyncSession, agent_id: int) -> Agent:
    agent = await db.get(Agent, agent_id, populate_existing=True)
    if agent is None:
        raise NotFound(_("There is no such agent."))
    return agent
