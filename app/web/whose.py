"""For whom saved replies, macros and views are kept, as their forms offer it."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.forms import FormField
from app.flow.saved import ALL, OWN, teams_of
from app.i18n import _
from app.models.agent import Agent, Role


async def whose_choices(db: AsyncSession, me: Agent) -> tuple[tuple[str, str], ...]:
    """For whom somebody may keep a thing."""
    shared = ((ALL, _("Everybody")),) if me.is_at_least(Role.SUPERVISOR) else ()
    teams = tuple((str(team.id), team.name) for team in await teams_of(db, me))
    return ((OWN, _("Me alone")), *shared, *teams)


async def whose_field(db: AsyncSession, me: Agent) -> FormField:
    """The field that asks for whom a thing is kept."""
    return FormField("whose", _("For"), "choice", choices=await whose_choices(db, me), default=OWN)
