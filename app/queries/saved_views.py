"""Saved views as the rail and their page show them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.agent import Agent, Role, Team, TeamMember
from app.models.saved import SavedView
from app.models.sight import visible_kept

IN_RAIL = 20  # views; the rest are on their page
MOST = 200  # on the page


@dataclass(frozen=True, slots=True)
class Line:
    """A view in the list of all. `first` and `last`: among those of the same owner."""

    view: SavedView
    team: str | None
    changeable: bool
    first: bool
    last: bool


async def in_rail(session: AsyncSession, agent: Agent) -> Sequence[SavedView]:
    """The agent's own views, then those of their teams and everybody's, each in the order given to them."""
    teams = select(TeamMember.team_id).where(TeamMember.agent_id == agent.id)
    theirs = visible_kept(SavedView, agent) & (SavedView.team_id.is_(None) | SavedView.team_id.in_(teams))
    found = select(SavedView).where(theirs).order_by(*_ORDER).limit(IN_RAIL)
    return list(await session.scalars(found))


async def view_lines(session: AsyncSession, agent: Agent) -> list[Line]:
    """All that the agent may use, in the order of the rail."""
    rows = await session.execute(
        select(SavedView, Team.name)
        .outerjoin(Team, Team.id == SavedView.team_id)
        .where(visible_kept(SavedView, agent))
        .order_by(*_ORDER)
        .limit(MOST)
    )
    found = [(row[0], row[1]) for row in rows]
    owners = [(view.agent_id, view.team_id) for view, _team in found]
    everything = agent.is_at_least(Role.SUPERVISOR)
    return [
        Line(
            view,
            team,
            everything or view.agent_id == agent.id,
            first=at == 0 or owners[at - 1] != owners[at],
            last=at == len(found) - 1 or owners[at + 1] != owners[at],
        )
        for at, (view, team) in enumerate(found)
    ]


_ORDER = (
    SavedView.agent_id.is_(None),
    func.coalesce(SavedView.team_id, 0).desc(),  # everybody's last
    SavedView.place,
    SavedView.id,
)
