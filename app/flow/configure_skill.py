"""Configure skills: what agents can do, and what rules ask for."""

from pydantic import Field
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import SettingsModel
from app.errors import Conflict, NotFound
from app.flow.configured import UPDATE_LOCK, must_be_fresh, naming
from app.i18n import N_, _
from app.models.agent import AgentSkill, Skill
from app.models.item import OPEN_STATES, Item
from app.models.rule import Rule


class SkillSettings(SettingsModel):
    """What an admin sets of a skill."""

    name: str = Field(title=N_("Name"), min_length=1, max_length=80, examples=["German"])


async def create_skill(session: AsyncSession, settings: SkillSettings) -> Skill:
    """Make a skill that nobody has yet. Raises Invalid when the name is taken."""
    skill = Skill(name=settings.name)
    async with naming(session, _refusals(settings)):
        session.add(skill)
    return skill


async def change_skill(session: AsyncSession, skill_id: int, settings: SkillSettings, seen: str | None = None) -> Skill:
    """Rename a skill. Raises NotFound, Conflict (stale), Invalid (the name is taken)."""
    skill = await _skill(session, skill_id)
    must_be_fresh(SkillSettings(name=skill.name), seen, skill.name)
    async with naming(session, _refusals(settings)):
        skill.name = settings.name
    return skill


async def remove_skill(session: AsyncSession, skill_id: int) -> None:
    """Remove a skill that no rule and no open item asks for, from its agents too.

    Raises:
        Conflict: an item that asked for a skill nobody can have would wait for ever.
    """
    skill = await _skill(session, skill_id)
    key = str(skill_id)
    rules = (await session.scalars(select(Rule.name).where(Rule.requirements.has_key(key)))).all()
    if rules:
        raise Conflict(
            _("The rule %(rules)s asks for %(skill)s. Change the rule first.")
            % {"rules": rules[0], "skill": skill.name}
        )
    items = await session.scalar(
        select(func.count()).where(Item.state.in_(OPEN_STATES), Item.requirements.has_key(key))
    )
    if items:
        raise Conflict(
            _("%(items)s open items ask for %(skill)s. Close them first, then remove the skill.")
            % {"items": items, "skill": skill.name}
        )
    await session.execute(delete(AgentSkill).where(AgentSkill.skill_id == skill_id))
    await session.delete(skill)
    await session.flush()


async def _skill(session: AsyncSession, skill_id: int) -> Skill:
    skill = await session.get(Skill, skill_id, with_for_update=UPDATE_LOCK)
    if skill is None:
        raise NotFound(_("There is no such skill. Somebody may have removed it."))
    return skill


def _refusals(settings: SkillSettings) -> dict[str, tuple[str, str]]:
    return {
        "uq_skill_name": (
            "name",
            _("There is a skill named %(name)s already. Choose another name.") % {"name": settings.name},
        )
    }
