"""Saved views: a list's address under a name. Agents keep their own, supervisors and admins those that are shared."""

from pydantic import Field
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import SettingsModel
from app.errors import Invalid
from app.flow.saved import OWN, changeable, owner
from app.i18n import N_, _
from app.models.agent import Agent
from app.models.saved import SavedView

MOST = 50  # of one owner
LONGEST_LIST = 2_000  # characters of an address


class ViewSettings(SettingsModel):
    """What a person writes of a view. `whose` is own, all, or the id of a team."""

    name: str = Field(title=N_("Name"), min_length=1, max_length=60)
    whose: str = Field(OWN, title=N_("For"))


async def save_view(session: AsyncSession, agent: Agent, settings: ViewSettings, listed: str) -> SavedView:
    """Keep a list (as `?list=` names it) under a name, behind those that are there. Raises Forbidden, Invalid."""
    if len(listed) > LONGEST_LIST:
        raise Invalid(_("This list is narrowed by too much to be kept. Take a part of the filter away."), "name")
    agent_id, team_id = await owner(session, agent, settings.whose)
    view = SavedView(name=settings.name, list=listed, place=0, agent_id=agent_id, team_id=team_id)
    await _put_last(session, view)
    session.add(view)
    await session.flush()
    return view


async def change_view(session: AsyncSession, agent: Agent, view_id: int, settings: ViewSettings) -> SavedView:
    """Give it another name, or to others. Raises NotFound, Forbidden, Invalid."""
    view = await changeable(session, SavedView, agent, view_id)
    new = await owner(session, agent, settings.whose)
    view.name = settings.name
    if new != (view.agent_id, view.team_id):
        view.agent_id, view.team_id = new
        await _put_last(session, view)
    await session.flush()
    return view


async def move_view(session: AsyncSession, agent: Agent, view_id: int, by: int) -> None:
    """One place up (-1) or down (1) among those of the same owner; the first and the last stay. Raises as changing does."""
    view = await changeable(session, SavedView, agent, view_id)
    beside = list(await session.scalars(_of(view).order_by(SavedView.place, SavedView.id).with_for_update()))
    at = beside.index(view)
    to = min(max(at + by, 0), len(beside) - 1)
    beside.insert(to, beside.pop(at))
    for place, one in enumerate(beside):
        one.place = place
    await session.flush()


async def _put_last(session: AsyncSession, view: SavedView) -> None:
    with session.no_autoflush:
        beside = _of(view).with_only_columns(func.count(), func.max(SavedView.place))
        count, last = (await session.execute(beside)).one()
    if count >= MOST:
        raise Invalid(_("There are %d views already. Remove one first.") % MOST, "name")
    view.place = 0 if last is None else last + 1


def _of(view: SavedView) -> Select[SavedView]:
    """All views of the view's owner."""
    return select(SavedView).where(
        SavedView.agent_id.is_not_distinct_from(view.agent_id), SavedView.team_id.is_not_distinct_from(view.team_id)
    )
