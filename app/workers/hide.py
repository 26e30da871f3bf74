"""Hiding one post on its channel, or showing it: the attempt is committed before the call, its outcome after it."""

import asyncio
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import KnownPost
from app.errors import CarelineError, Refused
from app.flow import hide
from app.flow.budget import wait_for
from app.flow.link import Wire, wire
from app.models.feed import Feed
from app.workers.calling import called
from app.workers.runtime import Runtime
from app.workers.send import BROKEN, CALL_SECONDS, GONE

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call that is about to be made; its number is committed."""

    post_id: int
    number: int
    line: Wire
    post: KnownPost
    hidden: bool


async def hide_post(runtime: Runtime, post_id: int) -> None:
    """Make one attempt, if one is due; its row says what comes next, and when."""
    before = asyncio.get_running_loop().time()  # the lease counts from the commit: a call must not outlive it
    async with runtime.sessions.begin() as session:
        errand = await hide.errand(session, post_id)
        attempt = await _begin(runtime, session, errand) if errand else None
    if attempt is not None:
        await _call(runtime, attempt, before + CALL_SECONDS)


async def _begin(runtime: Runtime, session: AsyncSession, errand: hide.Errand) -> Attempt | None:
    hiding = errand.hiding
    try:
        line = await wire(session, _way_back(errand), runtime.vault, runtime.http, runtime.sessions)
    except CarelineError as error:
        await hide.fail(session, hiding.post_id, hiding.attempt, Refused(error.message))
        return None
    except DBAPIError:
        raise
    except Exception as error:
        log.exception("hide_broke", post=hiding.post_id)
        broken = Refused(BROKEN % {"error": type(error).__name__})
        await hide.fail(session, hiding.post_id, hiding.attempt, broken)
        return None
    wait = await wait_for(session, line.budget, replying=True)
    if wait is not None:
        await hide.postpone(session, hiding.post_id, wait)
        return None
    number = await hide.take(session, hiding)
    return Attempt(hiding.post_id, number, line, errand.known, bool(hiding.wanted))


def _way_back(errand: hide.Errand) -> Feed:
    if errand.feed is None:
        raise Refused(GONE)
    return errand.feed


async def _call(runtime: Runtime, attempt: Attempt, deadline: float) -> None:
    change = attempt.line.connector.hide(attempt.line.link, attempt.post, hidden=attempt.hidden)
    error = await called(change, deadline, post=attempt.post_id)
    async with runtime.sessions.begin() as session:
        if error is None:
            await hide.done(session, attempt.post_id, attempt.number)
        else:
            await hide.fail(session, attempt.post_id, attempt.number, error)
            log.warning("hide_failed", post=attempt.post_id, attempt=attempt.number, cause=error.message)
