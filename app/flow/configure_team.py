"""Configure teams: people who see the same queues."""

from pydantic import Field
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import SettingsModel
from app.db import announce
from app.errors import Conflict, NotFound
from app.flow.configured import UPDATE_LOCK, must_be_fresh, naming
from app.i18n import N_, _
from app.models.agent import Team, TeamMember
from app.models.queue import Queue


class TeamSettings(SettingsModel):
    """What an admin sets of a team."""

    name: str = Field(title=N_("Name"), min_length=1, max_length=80, examples=["Care Europe"])


async def create_team(session: AsyncSession, settings: TeamSettings) -> Team:
    """Make a team without members. Raises Invalid when the name is taken."""
    team = Team(name=settings.name)
    async with naming(session, _refusals(settings)):
        session.add(team)
    return team


async def change_team(session: AsyncSession, team_id: int, settings: TeamSettings, seen: str | None = None) -> Team:
    """Rename a team. Raises NotFound, Conflict (stale), Invalid (the name is taken)."""
    team = await _team(session, team_id)
    must_be_fresh(TeamSettings(name=team.name), seen, team.name)
    async with naming(session, _refusals(settings)):
        team.name = settings.name
    announce(session, "queues", [])
    return team


async def remove_team(session: AsyncSession, team_id: int) -> None:
    """Remove a team that has no queues; its members stay agents. Raises NotFound, Conflict when queues are its own."""
    team = await _team(session, team_id)
    queues = await session.scalar(select(func.count()).where(Queue.team_id == team_id))
    if queues:
        raise Conflict(
            _("The team %(team)s owns %(queues)s of the queues. Give them to another team first.")
            % {"team": team.name, "queues": queues}
        )
    await session.execute(delete(TeamMember).where(TeamMember.team_id == team_id))
    await session.delete(team)
    await session.flush()


async def _team(session: AsyncSession, team_id: int) -> Team:
    team = await session.get(Team, team_id, with_for_update=UPDATE_LOCK)
    if team is None:
        raise NotFound(_("There is no such team. Somebody may have removed it."))
    return team


def _refusals(settings: TeamSettings) -> dict[str, tuple[str, str]]:
    return {
        "uq_team_name": (
            "name",
            _("There is a team named %(name)s already. Choose another name.") % {"name": settings.name},
        )
    }
