"""Changing one sent reply on its channel: the attempt is committed before the call, its outcome after it."""

import asyncio
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import Standing
from app.errors import CarelineError, Refused
from app.flow import reply_change
from app.flow.allowance import wait_to_reply
from app.flow.link import Wire, wire
from app.models.feed import Feed
from app.models.reply import ChangeKind, ReplyChange
from app.workers.calling import called
from app.workers.runtime import Runtime
from app.workers.send import BROKEN, CALL_SECONDS, GONE

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call that is about to be made; its number is committed."""

    change: ReplyChange
    number: int
    line: Wire
    reply: Standing


async def change_reply(runtime: Runtime, change_id: int) -> None:
    """Make one attempt, if one is due; its row says what comes next, and when."""
    before = asyncio.get_running_loop().time()  # the lease counts from the commit: a call must not outlive it
    async with runtime.sessions.begin() as session:
        errand = await reply_change.errand(session, change_id)
        attempt = await _begin(runtime, session, errand) if errand else None
    if attempt is not None:
        await _call(runtime, attempt, before + CALL_SECONDS)


async def _begin(runtime: Runtime, session: AsyncSession, errand: reply_change.Errand) -> Attempt | None:
    change = errand.change
    try:
        feed, by = _way_back(errand), errand.reply.account_id
        line = await wire(session, feed, runtime.vault, runtime.http, runtime.sessions, account_id=by)
    except CarelineError as error:
        await reply_change.fail(session, change.id, change.attempt, Refused(error.message))
        return None
    except DBAPIError:
        raise
    except Exception as error:
        log.exception("change_broke", change=change.id)
        broken = Refused(BROKEN % {"error": type(error).__name__})
        await reply_change.fail(session, change.id, change.attempt, broken)
        return None
    wait = await wait_to_reply(session, line.budget, line.purse)
    if wait is not None:
        await reply_change.postpone(session, change.id, wait)
        return None
    return Attempt(change, await reply_change.take(session, change), line, errand.placed)


def _way_back(errand: reply_change.Errand) -> Feed:
    if errand.feed is None:
        raise Refused(GONE)
    return errand.feed


async def _carry_out(attempt: Attempt) -> None:
    connector, link = attempt.line.connector, attempt.line.link
    if attempt.change.kind == ChangeKind.EDIT:
        await connector.edit(link, attempt.reply, attempt.change.text or "")
    else:
        await connector.delete(link, attempt.reply)


async def _call(runtime: Runtime, attempt: Attempt, deadline: float) -> None:
    error = await called(_carry_out(attempt), deadline, change=attempt.change.id)
    async with runtime.sessions.begin() as session:
        if error is None:
            await reply_change.done(session, attempt.change.id, attempt.number)
        else:
            # A channel's wait is for this change alone: some have an allowance of their own for deletions (Mastodon
            # 30 in half an hour), and replies must not wait for it.
            await reply_change.fail(session, attempt.change.id, attempt.number, error)
            log.warning("change_failed", change=attempt.change.id, attempt=attempt.number, cause=error.message)
