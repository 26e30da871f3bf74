"""Configure reason codes: what agents choose from when they are not ready."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import SettingsModel
from app.db import announce
from app.errors import Conflict, NotFound
from app.flow.configured import UPDATE_LOCK, must_be_fresh, naming
from app.i18n import N_, _
from app.models.agent import NotReadyReason, Presence, ReasonCode

KNOWN = frozenset(NotReadyReason)


def reason_name(name: str) -> str:
    """A reason's name as it is kept: those that Careline has words for are known by their code, whatever its case.

    Raises:
        ValueError: it is the router's own.
    """
    if name.lower() == NotReadyReason.MISSED:
        raise ValueError(_("Careline sets “missed” itself, when somebody missed offers. Choose another name."))
    return name.lower() if name.lower() in KNOWN else name


class ReasonSettings(SettingsModel):
    """What an admin sets of a reason code."""

    name: Annotated[str, AfterValidator(reason_name)] = Field(
        title=N_("Name"), min_length=1, max_length=40, examples=["Coaching"]
    )


async def create_reason(session: AsyncSession, settings: ReasonSettings) -> ReasonCode:
    """Make a reason; it stands last in the menu. Raises Invalid when the name is taken."""
    reason = ReasonCode(name=settings.name)
    async with naming(session, _refusals(settings)):
        session.add(reason)
    return reason


async def change_reason(
    session: AsyncSession, reason_id: int, settings: ReasonSettings, seen: str | None = None
) -> ReasonCode:
    """Rename a reason, for who is away because of it too. Raises NotFound, Conflict (stale), Invalid (name taken)."""
    reason = await _reason(session, reason_id)
    must_be_fresh(ReasonSettings(name=reason.name), seen, _("the reason %s") % reason.name)
    before = reason.name
    async with naming(session, _refusals(settings)):
        reason.name = settings.name
    away = select(Presence.agent_id).where(Presence.reason == before).order_by(Presence.agent_id).with_for_update()
    ids = list(await session.scalars(away))
    renamed = update(Presence).where(Presence.agent_id.in_(ids)).values(reason=settings.name)
    await session.execute(renamed.execution_options(synchronize_session=False))
    announce(session, "agents", ids)
    return reason


async def remove_reason(session: AsyncSession, reason_id: int) -> None:
    """Take a reason out of the menu; who is away because of it stays so. Raises NotFound, Conflict when it is the last."""
    reason = await _reason(session, reason_id)
    if await session.scalar(select(func.count()).select_from(ReasonCode)) == 1:
        raise Conflict(_("It is the last reason, and nobody could take a break without one. Add another one first."))
    await session.delete(reason)
    await session.flush()


async def arrange_reasons(session: AsyncSession, wanted: Sequence[str]) -> None:
    """Make the menu exactly these, in their order. Raises Conflict when they are none, Invalid when two are alike."""
    if not wanted:
        raise Conflict(_("Nobody could take a break without a reason. Name one at least."))
    names = list(dict.fromkeys(wanted))
    if names == list(await session.scalars(select(ReasonCode.name).order_by(ReasonCode.id))):
        return
    await session.execute(delete(ReasonCode))
    for name in names:
        await create_reason(session, ReasonSettings(name=name))


async def _reason(session: AsyncSession, reason_id: int) -> ReasonCode:
    reason = await session.get(ReasonCode, reason_id, with_for_update=UPDATE_LOCK)
    if reason is None:
        raise NotFound(_("There is no such reason. Somebody may have removed it."))
    return reason


def _refusals(settings: ReasonSettings) -> dict[str, tuple[str, str]]:
    taken = _("There is a reason named %s already. Choose another name.") % settings.name
    return {"uq_reason_code_name": ("name", taken)}
