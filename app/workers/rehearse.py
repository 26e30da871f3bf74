"""Rehearsing as a background job: read, compute in a thread beside the other jobs, say how far it is."""

import asyncio

import structlog

from app.errors import CarelineError
from app.flow.rehearsals import end_rehearsal, take_rehearsal, tell_progress
from app.flow.rehearse import Prepared, Stretch, compare, prepare
from app.i18n import N_
from app.workers.runtime import Runtime

log = structlog.get_logger(__name__)

TELL_EVERY = 1.0  # seconds


class Stopped(Exception):
    """The worker ends, so the rehearsal does."""


class Meter:
    """How far the thread is; and how it is told to stop."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.share = 0.0
        self.stopped = False

    def __call__(self, share: float) -> None:
        """Note the share that is done. Raises Stopped when nobody waits for the rest."""
        self.share = share
        if self.stopped:
            raise Stopped


async def rehearse_job(run: Runtime, rehearsal_id: int) -> None:
    """Do one rehearsal, if it still waits to be done."""
    async with run.sessions.begin() as session:
        taken = await take_rehearsal(session, rehearsal_id)
    if taken is None:
        return
    try:
        result = await _computed(run, rehearsal_id, await _prepared(run, *taken))
    except asyncio.CancelledError:
        await _fail(run, rehearsal_id, N_("The worker was stopped. Start it again."))
        raise
    except CarelineError as error:
        await _fail(run, rehearsal_id, error.message)
    except Exception as error:
        log.exception("rehearsal_failed", rehearsal=rehearsal_id)
        await _fail(
            run,
            rehearsal_id,
            N_("It broke off (%(error)s); the worker's log has the details.") % {"error": type(error).__name__},
        )
    else:
        async with run.sessions.begin() as session:
            await end_rehearsal(session, rehearsal_id, result)


async def _prepared(run: Runtime, document: str, stretch: Stretch) -> Prepared:
    async with run.sessions() as session:
        prepared = await prepare(session, document, stretch)
        await session.rollback()
    return prepared


async def _computed(run: Runtime, rehearsal_id: int, prepared: Prepared) -> dict[str, object]:
    meter = Meter()
    work = asyncio.create_task(asyncio.to_thread(compare, prepared, meter))
    try:
        while not (await asyncio.wait({work}, timeout=TELL_EVERY))[0]:
            async with run.sessions.begin() as session:
                await tell_progress(session, rehearsal_id, int(100 * meter.share))
    finally:
        meter.stopped = True
        work.cancel()
    return await work


async def _fail(run: Runtime, rehearsal_id: int, words: str) -> None:
    async with run.sessions.begin() as session:
        await end_rehearsal(session, rehearsal_id, None, words)
