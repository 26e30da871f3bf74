"""Configure agents: who they are, what they may do and can do; and how one leaves."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, field_validator
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import SettingsModel
from app.db import announce
from app.errors import Invalid, NotFound
from app.flow.configured import UPDATE_LOCK, must_be_fresh, naming
from app.flow.counts import as_lines, check_channels, parse_counts, write_counts
from app.flow.passwords import NONE, hashed
from app.flow.preferences import zones
from app.flow.presence import hand_back
from app.flow.wake import wake
from app.i18n import N_, _
from app.models.agent import Agent, AgentSkill, ApiToken, Presence, PresenceState, Role, SignIn, Skill, Team, TeamMember
from app.models.item import SYSTEM, Actor, Item, State
from app.models.queue import Queue, QueueMember

LEVELS = range(1, 6)
MOST_CARRIED = 100


def checked_caps(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The lines in the one way they are shown. Raises ValueError, naming the line."""
    try:
        return write_counts(_caps(lines))
    except Invalid as error:
        raise ValueError(error.message) from None


def _caps(lines: tuple[str, ...]) -> dict[str, int]:
    return parse_counts(lines, 0, MOST_CARRIED, "channel_caps")


class AgentSettings(SettingsModel):
    """What an admin sets of an agent."""

    name: str = Field(title=N_("Name"), min_length=1, max_length=120, examples=["Ayumi Tanaka"])
    email: str = Field(
        title=N_("E-mail"),
        description=N_("To sign in with."),
        max_length=254,
        pattern=r"^[^@\s]+@[^@\s]+$",
        examples=["ayumi@example.com"],
    )
    role: Role = Field(
        Role.AGENT,
        title=N_("Role"),
        description=N_("Supervisors also watch their teams; admins see and set everything."),
    )
    capacity: int = Field(
        5, title=N_("Capacity"), description=N_("Weights of items carried at once."), ge=0, le=MOST_CARRIED
    )
    channel_caps: Annotated[tuple[str, ...], BeforeValidator(as_lines), AfterValidator(checked_caps)] = Field(
        (),
        title=N_("Most of a channel"),
        description=N_(
            "A channel and how many of its items they carry at once a line. 0: none. Others: up to capacity."
        ),
        examples=["bluesky: 1"],
    )
    language: str = Field("en", title=N_("Language"), pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
    timezone: str = Field("UTC", title=N_("Time zone"), examples=["Europe/Berlin"])
    active: bool = Field(True, title=N_("Active"), description=N_("May sign in and be offered work."))

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in zones():
            raise ValueError(_("There is no time zone '%(value)s'. Names look like Europe/Berlin.") % {"value": value})
        return value


class AgentPlaces(SettingsModel):
    """Where an agent belongs and what they can do: teams, queues, and skills with levels 1 to 5."""

    teams: frozenset[int] = frozenset()
    queues: frozenset[int] = frozenset()
    skills: Mapping[int, int] = Field(default_factory=dict)


def agent_settings(agent: Agent) -> AgentSettings:
    """The settings of a stored agent. A time zone that this machine does not know is shown as UTC."""
    values = {name: getattr(agent, name) for name in AgentSettings.model_fields}
    values["channel_caps"] = write_counts(agent.channel_caps)
    known = values["timezone"] in zones()
    return AgentSettings.model_validate(values if known else values | {"timezone": "UTC"})


async def create_agent(
    session: AsyncSession, settings: AgentSettings, password: str | None, places: AgentPlaces | None = None
) -> Agent:
    """Make an agent who can sign in with `password` (None: not before an admin has set one). Raises Invalid (e-mail taken, password too short, ...)."""
    check_channels(settings.channel_caps, "channel_caps")
    agent = Agent(**_columns(settings), password_hash=NONE if password is None else await hashed(password))
    async with naming(session, _refusals(settings)):
        session.add(agent)
    session.add(Presence(agent_id=agent.id))
    await session.flush()
    await set_places(session, agent.id, places or AgentPlaces())
    return agent


async def change_agent(
    session: AsyncSession,
    agent_id: int,
    settings: AgentSettings,
    places: AgentPlaces | None = None,
    *,
    seen: str | None = None,
    actor: Actor = SYSTEM,
) -> Agent:
    """Change an agent. Setting `active` to false hands their items back, ends their sign-ins and revokes their tokens.

    Raises:
        NotFound: there is no such agent.
        Conflict: somebody else changed them meanwhile.
        Invalid: the e-mail is taken, or nobody would be left to administer.
    """
    await _lock_admins(session)
    agent = await _agent(session, agent_id)
    must_be_fresh(agent_settings(agent), seen, agent.name)
    check_channels(settings.channel_caps, "channel_caps")
    await _check_admin_left(session, agent, settings)
    leaves = agent.active and not settings.active
    loses_rights = agent.role != settings.role
    async with naming(session, _refusals(settings)):
        for name, value in _columns(settings).items():
            setattr(agent, name, value)
    if leaves:
        await _leave(session, agent_id, actor)
    elif loses_rights:
        await _end_sign_ins(session, agent_id)
    if places is not None:
        await set_places(session, agent_id, places)
    announce(session, "agents", [agent_id])
    return agent


async def set_password(session: AsyncSession, agent_id: int, password: str) -> None:
    """Give an agent a new password and sign them out everywhere. Raises NotFound, Invalid (length)."""
    password_hash = await hashed(password)
    agent = await _agent(session, agent_id)
    agent.password_hash = password_hash
    await session.flush()
    await _end_sign_ins(session, agent_id)


async def set_places(session: AsyncSession, agent_id: int, places: AgentPlaces) -> None:
    """Put an agent into exactly these teams and queues, with exactly these skills.

    Raises:
        Invalid: a team, queue or skill does not exist (any more), or a level is not 1 to 5.
    """
    if any(level not in LEVELS for level in places.skills.values()):
        raise Invalid(_("A level is 1 to 5, or empty for 'cannot'."), "skills")
    teams = set((await session.scalars(select(Team.id).where(Team.id.in_(places.teams)))).all())
    queues = set((await session.scalars(select(Queue.id).where(Queue.id.in_(places.queues)))).all())
    skills = set((await session.scalars(select(Skill.id).where(Skill.id.in_(places.skills)))).all())
    for field, wanted, known in (
        ("teams", set(places.teams), teams),
        ("queues", set(places.queues), queues),
        ("skills", set(places.skills), skills),
    ):
        if wanted - known:
            raise Invalid(_("One of them was removed meanwhile. Look at the list again."), field)
    await _replace(session, TeamMember, agent_id, [{"team_id": one} for one in sorted(teams)])
    await _replace(session, QueueMember, agent_id, [{"queue_id": one} for one in sorted(queues)])
    levels = [{"skill_id": one, "level": places.skills[one]} for one in sorted(skills)]
    await _replace(session, AgentSkill, agent_id, levels)
    announce(session, "agents", [agent_id])
    announce(session, "queues", queues)


async def agent_places(session: AsyncSession, agent_id: int) -> AgentPlaces:
    """Where a stored agent belongs."""
    skills = await session.scalars(
        select(AgentSkill).where(AgentSkill.agent_id == agent_id).order_by(AgentSkill.skill_id)
    )
    return AgentPlaces(
        teams=frozenset(await session.scalars(select(TeamMember.team_id).where(TeamMember.agent_id == agent_id))),
        queues=frozenset(await session.scalars(select(QueueMember.queue_id).where(QueueMember.agent_id == agent_id))),
        skills={skill.skill_id: skill.level for skill in skills},
    )


async def _replace(
    session: AsyncSession,
    table: type[TeamMember] | type[QueueMember] | type[AgentSkill],
    agent_id: int,
    rows: list[dict[str, int]],
) -> None:
    await session.execute(delete(table).where(table.agent_id == agent_id))
    if rows:
        await session.execute(insert(table), [row | {"agent_id": agent_id} for row in rows])


async def agent_id_of(session: AsyncSession, email: str) -> int:
    """Find an agent by e-mail address. Raises NotFound."""
    found: int | None = await session.scalar(select(Agent.id).where(func.lower(Agent.email) == email.strip().lower()))
    if found is None:
        raise NotFound(_("There is nobody with the address %(email)s.") % {"email": email})
    return found


async def _agent(session: AsyncSession, agent_id: int) -> Agent:
    agent = await session.get(Agent, agent_id, with_for_update=UPDATE_LOCK, populate_existing=True)
    if agent is None:
        raise NotFound(_("There is no such agent."))
    return agent


async def _lock_admins(session: AsyncSession) -> None:
    """Two admins who demote each other at the same moment take turns; always before the agent's own row."""
    admins = (
        select(Agent.id)
        .where(Agent.role == Role.ADMIN, Agent.active)
        .order_by(Agent.id)
        .with_for_update(key_share=True)
    )
    await session.execute(admins)


async def _check_admin_left(session: AsyncSession, agent: Agent, settings: AgentSettings) -> None:
    stays = settings.active and settings.role is Role.ADMIN
    if stays or not (agent.active and agent.role == Role.ADMIN):
        return
    others = await session.scalar(
        select(func.count()).where(Agent.role == Role.ADMIN, Agent.active, Agent.id != agent.id)
    )
    if not others:
        field = "role" if settings.active else "active"
        raise Invalid(
            _("%(agent)s is the last admin. Make somebody else an admin first.") % {"agent": agent.name}, field
        )


async def _leave(session: AsyncSession, agent_id: int, actor: Actor) -> None:
    because = N_("the agent was deactivated")
    await hand_back(session, agent_id, actor, because)
    parked = select(Item).where(Item.agent_id == agent_id, Item.state == State.PARKED).order_by(Item.id)
    for item in (await session.scalars(parked.with_for_update().execution_options(populate_existing=True))).all():
        await wake(session, item, actor, because)  # to the queue: nobody is there to take it
    await _end_sign_ins(session, agent_id)
    await session.execute(
        update(ApiToken)
        .where(ApiToken.agent_id == agent_id, ApiToken.revoked_at.is_(None))
        .values(revoked_at=func.now())
    )
    await session.execute(
        update(Presence)
        .where(Presence.agent_id == agent_id, Presence.state != PresenceState.OFFLINE)
        .values(state=PresenceState.OFFLINE, reason=None, since=func.now())
    )


async def _end_sign_ins(session: AsyncSession, agent_id: int) -> None:
    await session.execute(delete(SignIn).where(SignIn.agent_id == agent_id))


def _columns(settings: AgentSettings) -> dict[str, object]:
    return settings.model_dump(mode="json") | {"channel_caps": _caps(settings.channel_caps)}


def _refusals(settings: AgentSettings) -> dict[str, tuple[str, str]]:
    return {"uq_agent_email": ("email", _("Somebody signs in with %(email)s already.") % {"email": settings.email})}
