"""Saved replies: agents keep their own, supervisors and admins those of a team and of everybody."""

from typing import TypeVar

from pydantic import Field, field_validator
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import SettingsModel
from app.errors import Forbidden, Invalid, NotFound
from app.i18n import N_, _
from app.models.agent import Agent, Role, Team, TeamMember
from app.models.saved import Kept, SavedReply
from app.models.sight import visible_kept

K = TypeVar("K", bound=Kept)
OWN, ALL = "own", "all"


class SavedShape(SettingsModel):
    """What a saved reply says, whoever it is for."""

    title: str = Field(title=N_("Title"), min_length=1, max_length=120)
    body: str = Field(title=N_("Text"), min_length=1, max_length=10_000)
    language: str = Field("", title=N_("Language"), max_length=35, pattern=r"^([A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*)?$")
    tags: tuple[str, ...] = Field((), title=N_("Topics"), max_length=20)

    @field_validator("tags")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(tag.strip()[:60].lower() for tag in value if tag.strip()))


class SavedSettings(SavedShape):
    """What a person writes of a saved reply. `whose` is own, all, or the id of a team."""

    whose: str = Field(OWN, title=N_("For"))


async def usable(session: AsyncSession, kind: type[K], agent: Agent, kept_id: int) -> K:
    """A saved reply, macro or view that the agent may use. Raises NotFound."""
    found = await session.scalar(
        select(kind).where(kind.id == kept_id, visible_kept(kind, agent)).execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound(_("It is not there any more, or it is not for you."))
    return found


async def changeable(session: AsyncSession, kind: type[K], agent: Agent, kept_id: int) -> K:
    """A saved reply, macro or view that the agent may change. Raises NotFound, Forbidden."""
    kept = await usable(session, kind, agent, kept_id)
    if kept.agent_id != agent.id and not agent.is_at_least(Role.SUPERVISOR):
        raise Forbidden(_("Supervisors look after what is shared. Ask yours, or make one of your own."))
    return kept


async def remove(session: AsyncSession, kind: type[Kept], agent: Agent, kept_id: int) -> None:
    """Throw away a saved reply, a macro or a view. Raises NotFound, Forbidden."""
    await session.delete(await changeable(session, kind, agent, kept_id))
    await session.flush()


async def owner(session: AsyncSession, agent: Agent, whose: str) -> tuple[int | None, int | None]:
    """The agent and the team that `whose` stands for. Raises Forbidden, Invalid."""
    if whose == OWN:
        return agent.id, None
    if not agent.is_at_least(Role.SUPERVISOR):
        raise Forbidden(_("Supervisors look after what is shared. Ask yours, or make one of your own."))
    if whose == ALL:
        return None, None
    theirs = {team.id for team in await teams_of(session, agent)}
    if not whose.isdigit() or int(whose) not in theirs:
        raise Invalid(_("Choose from the list."), "whose")
    return None, int(whose)


async def teams_of(session: AsyncSession, agent: Agent) -> list[Team]:
    """The teams for which the agent may keep things: a supervisor's own, all of them for an admin."""
    if not agent.is_at_least(Role.SUPERVISOR):
        return []
    teams = select(Team).order_by(Team.name)
    if not agent.is_at_least(Role.ADMIN):
        teams = teams.join(TeamMember, TeamMember.team_id == Team.id).where(TeamMember.agent_id == agent.id)
    return list(await session.scalars(teams))


def whose(kept: Kept) -> str:
    """For whom it is, as a form says it."""
    return OWN if kept.agent_id is not None else str(kept.team_id) if kept.team_id is not None else ALL


async def save_reply(session: AsyncSession, agent: Agent, settings: SavedSettings) -> SavedReply:
    """Keep a new one. Raises Forbidden, Invalid."""
    agent_id, team_id = await owner(session, agent, settings.whose)
    kept = SavedReply(agent_id=agent_id, team_id=team_id)
    shape(kept, settings)
    session.add(kept)
    await session.flush()
    return kept


async def change_saved(session: AsyncSession, agent: Agent, saved_id: int, settings: SavedSettings) -> SavedReply:
    """Change one. Raises NotFound, Forbidden, Invalid."""
    kept = await changeable(session, SavedReply, agent, saved_id)
    kept.agent_id, kept.team_id = await owner(session, agent, settings.whose)
    shape(kept, settings)
    await session.flush()
    return kept


def shape(kept: SavedReply, says: SavedShape) -> None:
    """Have a saved reply say this."""
    kept.title, kept.body, kept.language = says.title, _lines(says.body), says.language
    kept.tags = list(says.tags)


async def count_use(session: AsyncSession, agent: Agent, saved_id: int) -> None:
    """Somebody put it into a reply. Raises NotFound."""
    await usable(session, SavedReply, agent, saved_id)
    await session.execute(update(SavedReply).where(SavedReply.id == saved_id).values(uses=SavedReply.uses + 1))


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")
