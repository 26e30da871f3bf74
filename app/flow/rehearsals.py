"""Asking for a rehearsal, what becomes of it, and publishing the file that was rehearsed."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import jobs
from app.errors import Conflict, NotFound
from app.flow.config_file import apply, plan
from app.flow.rehearse import Stretch
from app.i18n import N_, _
from app.models.agent import Agent
from app.models.rehearsal import Rehearsal, RehearsalState

KEPT = 20  # rehearsals; older ones go when a new one is asked for
SILENT = timedelta(minutes=2)  # a worker that says nothing for so long is gone
ALIVE = (RehearsalState.WAITING, RehearsalState.RUNNING)


async def start_rehearsal(session: AsyncSession, agent: Agent, document: str, stretch: Stretch) -> Rehearsal:
    """Ask for a rehearsal; a worker does it.

    Raises:
        Invalid: the file cannot be read.
        Conflict: another one is running, or see `app.flow.config_file.plan`.
    """
    await plan(session, document)
    await _end_lost(session)
    if await session.scalar(select(Rehearsal.id).where(Rehearsal.state.in_(ALIVE)).limit(1)):
        raise Conflict(_("Another rehearsal is running. Wait until it is done."))
    asked = Rehearsal(agent_id=agent.id, document=document, stretch=stretch.model_dump(mode="json"))
    session.add(asked)
    await session.flush()
    newest = select(Rehearsal.id).order_by(Rehearsal.id.desc()).limit(KEPT)
    await session.execute(delete(Rehearsal).where(Rehearsal.id.not_in(newest)))
    await jobs.defer(session, jobs.REHEARSE, "rehearsal_id", [asked.id])
    return asked


async def _end_lost(session: AsyncSession) -> None:
    lost = update(Rehearsal).where(Rehearsal.state.in_(ALIVE), Rehearsal.told_at < func.now() - SILENT)
    words = N_("The worker that should have done it is gone. Start it again.")
    await session.execute(lost.values(state=RehearsalState.FAILED, error=words))


async def take_rehearsal(session: AsyncSession, rehearsal_id: int) -> tuple[str, Stretch] | None:
    """Begin the work: the file and the stretch; None when somebody else did, or it is gone."""
    taken = (
        update(Rehearsal)
        .where(Rehearsal.id == rehearsal_id, Rehearsal.state == RehearsalState.WAITING)
        .values(state=RehearsalState.RUNNING, told_at=func.now())
        .returning(Rehearsal.document, Rehearsal.stretch)
    )
    row = (await session.execute(taken)).one_or_none()
    return None if row is None else (row.document, Stretch.model_validate(row.stretch))


async def tell_progress(session: AsyncSession, rehearsal_id: int, percent: int) -> None:
    """Say how far it is."""
    await _change(session, rehearsal_id, {"progress": percent})


async def end_rehearsal(
    session: AsyncSession, rehearsal_id: int, result: Mapping[str, Any] | None, error: str = ""
) -> None:
    """Keep what came out, or, with `result` None, why nothing did."""
    if result is None:
        await _change(session, rehearsal_id, {"state": RehearsalState.FAILED, "error": error})
    else:
        done = {"state": RehearsalState.DONE, "progress": 100, "result": dict(result)}
        await _change(session, rehearsal_id, done)


async def _change(session: AsyncSession, rehearsal_id: int, values: Mapping[str, Any]) -> None:
    mine = update(Rehearsal).where(Rehearsal.id == rehearsal_id, Rehearsal.state == RehearsalState.RUNNING)
    await session.execute(mine.values(told_at=func.now(), **values))


async def publish_rehearsal(session: AsyncSession, rehearsal_id: int) -> None:
    """Apply the file that was rehearsed.

    Raises:
        NotFound: it is gone.
        Conflict: it is not done, or the configuration is no longer the one that it was compared with.
        Invalid: see `app.flow.config_file.apply`.
    """
    found = await session.get(Rehearsal, rehearsal_id)
    if found is None:
        raise NotFound(_("This rehearsal is gone: only the newest are kept."))
    if found.result is None:
        raise Conflict(_("This rehearsal is not done, so its file cannot be applied yet."))
    planned = await plan(session, found.document)
    if list(planned.lines) != found.result["lines"]:
        raise Conflict(_("Somebody changed the configuration since this was rehearsed. Rehearse it again, then apply."))
    await apply(session, planned)
