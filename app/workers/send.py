"""Sending one reply: each step of `app.flow.outbox` in its own transaction, the call between two of them."""

import asyncio
from dataclasses import dataclass
from enum import StrEnum

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import OutgoingReply, Sent
from app.errors import CarelineError, ConnectorError, MaybeSent, RateLimited, Refused
from app.flow import outbox
from app.flow.allowance import keep_rate_limit, wait_to_reply
from app.flow.budget import keep_told
from app.flow.link import Wire, wire
from app.i18n import N_
from app.models.feed import Feed
from app.models.reply import Reply, ReplyState
from app.telemetry import replies
from app.workers.runtime import Runtime

log = structlog.get_logger(__name__)

GONE = N_("The feed that brought the post was removed, so there is no way back to its author.")
CALL_SECONDS = 45  # shorter than the lease of `sending`
BROKEN = N_("Careline could not send this because of an error of its own (%(error)s); the log has the details.")


class Answer(StrEnum):
    """What looking for a reply came to, when it was not found."""

    NOT_THERE = "not_there"
    NOBODY_KNOWS = "nobody_knows"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call that is about to be made; its number is committed."""

    reply: Reply
    number: int
    line: Wire
    going: OutgoingReply
    looking: bool  # the reply's fate is unknown: find out, do not simply send


async def send_reply(runtime: Runtime, reply_id: int) -> None:
    """Take a reply as far as it goes now; its row says what comes next, and when."""
    while await _step(runtime, reply_id):
        pass


async def _step(runtime: Runtime, reply_id: int) -> bool:
    """One step; False when nothing is due any more."""
    before = asyncio.get_running_loop().time()  # the lease counts from the commit: a call must not outlive it
    async with runtime.sessions.begin() as session:
        errand = await outbox.errand(session, reply_id)
        if errand is None:
            return False
        attempt = await _begin(runtime, session, errand)
    if attempt is not None:
        await _call(runtime, attempt, before + CALL_SECONDS)
    return True


async def _begin(runtime: Runtime, session: AsyncSession, errand: outbox.Errand) -> Attempt | None:
    """Do what needs no call (freeze, doubt, wait), or begin an attempt."""
    reply = errand.reply
    if reply.state == ReplyState.SENDING:
        await outbox.doubt(session, reply)
        return None
    try:
        feed, chosen = _way_back(errand), reply.account_id
        line = await wire(session, feed, runtime.vault, runtime.http, runtime.sessions, account_id=chosen)
        if reply.state == ReplyState.HELD:
            await outbox.enqueue(session, errand, line.connector, line.link)
            return None
    except CarelineError as error:
        await outbox.give_up(session, reply, error)
        return None
    except DBAPIError:
        raise
    except Exception as error:
        # A bug in the connector before anything left: failed with words, instead of being tried every second for ever.
        log.exception("prepare_broke", reply=reply.id)
        await outbox.give_up(session, reply, ConnectorError(BROKEN % {"error": type(error).__name__}))
        return None
    wait = await wait_to_reply(session, line.budget, line.purse)
    if wait is not None:
        await outbox.postpone(session, reply, wait)
        return None
    looking = reply.state == ReplyState.UNKNOWN
    going = outbox.outgoing(errand)  # before `take` stamps the try: the first one has no earlier try to look for
    number = await outbox.look(session, reply) if looking else await outbox.take(session, reply)
    return Attempt(reply, number, line, going, looking)


def _way_back(errand: outbox.Errand) -> Feed:
    if errand.feed is None:
        raise Refused(GONE)
    return errand.feed


async def _call(runtime: Runtime, attempt: Attempt, deadline: float) -> None:
    try:
        async with asyncio.timeout_at(deadline):
            sent = await (_find_out(attempt) if attempt.looking else _send(attempt))
    except TimeoutError:
        await _failed(
            runtime,
            attempt,
            MaybeSent(N_("The channel did not answer within %(call_seconds)s s.") % {"call_seconds": CALL_SECONDS}),
        )
    except ConnectorError as error:
        await _failed(runtime, attempt, error)
    except Exception as error:
        # A bug in the connector, perhaps after the channel took the reply: nobody knows what arrived.
        log.exception("send_broke", reply=attempt.reply.id)
        await _failed(runtime, attempt, MaybeSent(BROKEN % {"error": type(error).__name__}))
    else:
        await _succeeded(runtime, attempt, sent)


async def _send(attempt: Attempt) -> Sent:
    return await attempt.line.connector.send(attempt.line.link, attempt.going)


async def _find_out(attempt: Attempt) -> Sent | Answer:
    """Settle an unknown reply: repeat it where the channel makes that safe, else look among our own posts."""
    connector = attempt.line.connector
    able = connector.able(attempt.going.to, attempt.going.visibility)
    if able.idempotent:
        return await connector.send(attempt.line.link, attempt.going)
    if able.find_sent:
        return await connector.find_sent(attempt.line.link, attempt.going) or Answer.NOT_THERE
    return Answer.NOBODY_KNOWS


async def _succeeded(runtime: Runtime, attempt: Attempt, sent: Sent | Answer) -> None:
    """The call came back: the reply stands there, or it does not, or this channel cannot say."""
    reply_id, number = attempt.reply.id, attempt.number
    async with runtime.sessions.begin() as session:
        if isinstance(sent, Sent):
            await keep_told(session, attempt.line.budget, sent.budget)
            await outbox.succeed(session, reply_id, number, sent)
        elif sent is Answer.NOT_THERE:
            await outbox.not_found(session, reply_id, number)
        else:
            why = N_("This channel cannot be asked whether a reply arrived.")
            await outbox.leave_to_person(session, reply_id, number, why)
    _count(attempt, "sent" if isinstance(sent, Sent) else sent)


async def _failed(runtime: Runtime, attempt: Attempt, error: ConnectorError) -> None:
    async with runtime.sessions.begin() as session:
        if isinstance(error, RateLimited):
            await keep_rate_limit(session, attempt.line.budget, error)
        if attempt.looking:
            await outbox.look_later(session, attempt.reply.id, attempt.number, error)
        else:
            await outbox.fail(session, attempt.reply.id, attempt.number, error)
    log.warning("send_failed", reply=attempt.reply.id, attempt=attempt.number, cause=error.message)
    _count(attempt, "failed" if error.permanent else "unknown" if error.delivered is None else "again")


def _count(attempt: Attempt, state: str) -> None:
    replies.labels(channel=attempt.reply.channel, state=state).inc()
