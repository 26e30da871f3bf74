"""Polling one feed: lease, fetch, store, look again. No HTTP inside a transaction."""

from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app import jobs
from app.connectors.base import Batch
from app.errors import CarelineError, ConnectorError, RateLimited
from app.flow.allowance import Rest, keep_rate_limit, poll_rest
from app.flow.budget import keep_told, wait_for
from app.flow.change import keep_changes
from app.flow.link import Wire, wire
from app.flow.look import to_look_at
from app.flow.poll import keep_ahead, keep_batch, keep_failure, lane_of, postpone, put_off, take_feed
from app.i18n import N_
from app.models.feed import Feed
from app.telemetry import posts_ingested
from app.workers.runtime import Runtime

log = structlog.get_logger(__name__)

AT_ONCE = 100  # posts of a first sync in one transaction

BROKEN = N_("Careline could not read this feed because of an error of its own: %(error)s. The log has the details.")


async def poll_feed(runtime: Runtime, feed_id: int) -> None:
    """Poll a feed if it is due. Whatever goes wrong stays with this feed and stands in its health."""
    async with runtime.sessions.begin() as session:
        feed = await take_feed(session, feed_id)
    if feed is None:
        return
    try:
        line = await _wired(runtime, feed)
        if line is not None:
            batch = await line.connector.fetch(line.link, feed.cursor)
            async with runtime.turn_of_the_old() if feed.synced_at is None else nullcontext():
                await _keep(runtime, feed, line, await _keep_ahead(runtime, feed, batch))
            await _look_again(runtime, feed, line)
    except CarelineError as error:
        log.warning("poll_failed", feed=feed_id, cause=error.message)
        await _fail(runtime, feed, error)
    except Exception as error:
        # A bug in one connector fails its feed alone; it is logged with its trace and shown in the feed's health.
        log.exception("poll_broke", feed=feed_id)
        await _fail(runtime, feed, ConnectorError(BROKEN % {"error": type(error).__name__}))


async def _wired(runtime: Runtime, feed: Feed) -> Wire | None:
    """The feed's line, or None when its credential has to rest (the feed is postponed)."""
    async with runtime.sessions.begin() as session:
        line = await wire(session, feed, runtime.vault, runtime.http, runtime.sessions, base=runtime.settings.base_url)
        wait = await wait_for(session, line.budget, replying=False)
        rest = await poll_rest(session, line.purse)
        if wait is None and not rest.wait:
            return replace(line, link=replace(line.link, room=rest.room))
        if wait is None or rest.wait > wait:
            await postpone(session, feed, rest.wait, rest.reason)
            return None
        reason = N_("The channel's allowance is used up but for replies; polling goes on in %(seconds)s s.") % {
            "seconds": int(wait.total_seconds())
        }
        await postpone(session, feed, wait, reason)
        return None


async def _keep_ahead(runtime: Runtime, feed: Feed, batch: Batch) -> Batch:
    """What is left to keep of a batch: a first sync's is stored some at a time, so that other work gets its turns."""
    while feed.synced_at is None and len(batch.posts) > AT_ONCE:
        some = Batch(
            posts=batch.posts[:AT_ONCE], left=None if batch.left is None else batch.left + len(batch.posts) - AT_ONCE
        )
        async with runtime.sessions() as session:
            polled = await keep_ahead(session, feed, some)
            if polled.lost:
                await session.rollback()
                break
            await session.commit()
        posts_ingested.labels(channel=feed.channel).inc(polled.ingested.posts)
        batch = replace(batch, posts=batch.posts[AT_ONCE:])
    return batch


async def _keep(runtime: Runtime, feed: Feed, line: Wire, batch: Batch) -> None:
    async with runtime.sessions() as session:
        await keep_told(session, line.budget, batch.budget)
        polled = await keep_batch(session, feed, batch)
        if polled.lost:
            await session.rollback()
            log.warning("poll_lost_its_lease", feed=feed.id)
            return
        rest = await poll_rest(session, line.purse)
        await _spread(session, feed, batch, rest)
        if batch.more and not rest.wait:
            await jobs.defer(session, jobs.POLL, "feed_id", [feed.id], lane=lane_of(feed))
        await session.commit()
    posts_ingested.labels(channel=feed.channel).inc(polled.ingested.posts)
    if polled.ingested.posts or polled.quarantined:
        log.info("polled", feed=feed.id, posts=polled.ingested.posts, quarantined=polled.quarantined)


async def _spread(session: AsyncSession, feed: Feed, batch: Batch, rest: Rest) -> None:
    """Slow the polls before an allowance is used up. Within the feed's own interval that needs no words."""
    apart = rest.wait if batch.more else max(rest.wait, rest.apart)
    if apart:
        told = apart > timedelta(seconds=feed.max_interval) and not batch.notice
        await put_off(session, feed, apart, rest.reason if told else "")


async def _look_again(runtime: Runtime, feed: Feed, line: Wire) -> None:
    """What became of posts that came earlier. The poll is done: trouble here waits for the next look."""
    most = line.connector.capabilities.looks
    if not most:
        return
    async with runtime.sessions.begin() as session:
        slowed = (await poll_rest(session, line.purse)).wait
        posts = [] if slowed else await to_look_at(session, feed, most)
    if not posts:
        return
    try:
        changes = await line.connector.look_again(line.link, posts)
    except ConnectorError as error:
        log.warning("look_failed", feed=feed.id, cause=error.message)
        if isinstance(error, RateLimited):
            async with runtime.sessions.begin() as session:
                await keep_rate_limit(session, line.budget, error)
        return
    async with runtime.sessions.begin() as session:
        await keep_changes(session, feed, changes)


async def _fail(runtime: Runtime, feed: Feed, error: CarelineError) -> None:
    async with runtime.sessions.begin() as session:
        await keep_failure(session, feed, error)
        if isinstance(error, RateLimited):
            key = f"account:{feed.account_id}" if feed.account_id is not None else f"feed:{feed.id}"
            await keep_rate_limit(session, key, error)
