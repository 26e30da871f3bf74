"""Saved views as the rail and their page show them."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.agent import Agent, TeamMember
from app.models.saved import SavedView
from app.models.sight import visible_kept
from app.queries.saved import Line, lines

IN_RAIL = 20  # views; the rest are on their page
MOST = 200  # on the page


async def in_rail(session: AsyncSession, agent: Agent) -> Sequence[SavedView]:
    """The agent's own views, then those of their teams and everybody's, each in the order given to them."""
    teams = select(TeamMember.team_id).where(TeamMember.agent_id == agent.id)
    theirs = visible_kept(SavedView, agent) & (SavedView.team_id.is_(None) | SavedView.team_id.in_(teams))
    found = select(SavedView).where(theirs).order_by(*_ORDER, SavedView.id).limit(IN_RAIL)
    return list(await session.scalars(found))


async def view_lines(session: AsyncSession, agent: Agent) -> list[Line[SavedView]]:
    """All that the agent may use, in the order of the rail."""
    return await lines(session, agent, SavedView, *_ORDER, most=MOST)


_ORDER = (
    SavedView.agent_id.is_(None),
    func.coalesce(SavedView.team_id, 0).desc(),  # everybody's last
    SavedView.place,
)
