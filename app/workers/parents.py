"""Fetching the posts above one that came to us. Ingest is long done: trouble here delays nothing."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import structlog

from app.connectors.base import IncomingPost
from app.errors import CarelineError, ConnectorError, RateLimited, Unreachable
from app.flow.allowance import keep_rate_limit, poll_rest
from app.flow.budget import wait_for
from app.flow.link import Wire, wire
from app.flow.parents import Errand, fail_parents, keep_parents, postpone_parents, take_errand
from app.i18n import N_
from app.workers.poll import BROKEN
from app.workers.runtime import Runtime
from app.workers.send import CALL_SECONDS

log = structlog.get_logger(__name__)

NO_TIME = timedelta(0)


async def fetch_parents(runtime: Runtime, post_id: int) -> None:
    """Make one try, if one is due; its row says what comes next."""
    async with runtime.sessions.begin() as session:
        errand = await take_errand(session, post_id)
    if errand is None:
        return
    try:
        line = await _wired(runtime, errand)
        if line is not None:
            posts = await _fetched(line, errand)
            async with runtime.sessions.begin() as session:
                await keep_parents(session, errand, posts)
    except CarelineError as error:
        await _fail(runtime, errand, error)
    except Exception as error:
        log.exception("parents_broke", post=post_id)
        await _fail(runtime, errand, ConnectorError(BROKEN % {"error": type(error).__name__}))


async def _wired(runtime: Runtime, errand: Errand) -> Wire | None:
    """The feed's line, or None when its credential has to rest."""
    async with runtime.sessions.begin() as session:
        line = await wire(session, errand.feed, runtime.vault, runtime.http, runtime.sessions)
        rest = await poll_rest(session, line.purse)
        wait = max(await wait_for(session, line.budget, replying=False) or NO_TIME, rest.wait)
        if wait > NO_TIME:
            await postpone_parents(session, errand, wait)
            return None
        return replace(line, link=replace(line.link, room=rest.room))


async def _fetched(line: Wire, errand: Errand) -> tuple[IncomingPost, ...]:
    try:
        async with asyncio.timeout(CALL_SECONDS):
            return await line.connector.parents(line.link, errand.known)
    except TimeoutError as error:
        told = N_("The channel did not answer within %(call_seconds)s s.") % {"call_seconds": CALL_SECONDS}
        raise Unreachable(told) from error


async def _fail(runtime: Runtime, errand: Errand, error: CarelineError) -> None:
    log.warning("parents_failed", post=errand.post.id, feed=errand.feed.id, cause=error.message)
    async with runtime.sessions.begin() as session:
        await fail_parents(session, errand, error)
        if isinstance(error, RateLimited):
            account = errand.feed.account_id
            key = f"account:{account}" if account is not None else f"feed:{errand.feed.id}"
            await keep_rate_limit(session, key, error)
