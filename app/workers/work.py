"""The worker process: jobs on procrastinate, and the sweep that feeds it. `careline work`."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import procrastinate
import psycopg
import psycopg_pool
import structlog
from procrastinate import App, JobContext, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from sqlalchemy.exc import DBAPIError

from app import jobs
from app.db import libpq_url
from app.flow.enter_search import AT_ONCE, enter_search
from app.flow.rehear import rehear
from app.flow.tidy import tidy
from app.settings import Settings
from app.workers.aside import Aside
from app.workers.change import change_reply
from app.workers.hide import hide_post
from app.workers.import_file import import_job
from app.workers.listen import Streams
from app.workers.parents import fetch_parents
from app.workers.poll import poll_feed
from app.workers.rehearse import rehearse_job
from app.workers.runtime import Runtime, runtime
from app.workers.send import send_reply
from app.workers.sweep import sweep
from app.workers.thread import Thread

log = structlog.get_logger(__name__)

LOOK_EVERY = 1.0  # seconds between looks at the streams
SWEEP_EVERY = 1.0  # seconds
TIDY_EVERY = 60.0  # seconds
REHEAR_EVERY = 5.0  # seconds
BREATH = 0.1  # seconds between two steps through posts of before: polls and sends come between
RESTART_AFTER = 2.0  # seconds
MOST_READS = 64  # polls, and looks upward, that wait for slow channels beside the worker's places
MOST_WRITES = 32  # sends, changes and hidings
MOST_OLD = 24  # first syncs and imports; few of them store anything at a time (`Runtime.storing_old`)
DRAIN = 15.0  # seconds that running jobs get to finish after the signal to stop


def job_app(run: Runtime, reads: Aside, writes: Aside, old: Aside) -> App:
    """The procrastinate app with our tasks. Jobs are nudges: none is retried, the sweep makes new ones."""
    url = libpq_url(run.settings.database_url)
    connector = PsycopgConnector(conninfo=url, min_size=1, max_size=max(2, run.settings.worker_concurrency // 2))
    app = App(connector=connector)

    @app.task(name=jobs.POLL, pass_context=True)
    async def poll(context: JobContext, feed_id: int) -> None:
        await (old if context.job.queue == jobs.Lane.BACKLOG else reads).run(poll_feed(run, feed_id))

    @app.task(name=jobs.SEND)
    async def send(reply_id: int) -> None:
        await writes.run(send_reply(run, reply_id))

    @app.task(name=jobs.CHANGE)
    async def change(change_id: int) -> None:
        await writes.run(change_reply(run, change_id))

    @app.task(name=jobs.HIDE)
    async def hide(post_id: int) -> None:
        await writes.run(hide_post(run, post_id))

    @app.task(name=jobs.PARENTS)
    async def parents(post_id: int) -> None:
        await reads.run(fetch_parents(run, post_id))

    @app.task(name=jobs.REHEARSE)
    async def rehearse(rehearsal_id: int) -> None:
        await rehearse_job(run, rehearsal_id)

    @app.task(name=jobs.IMPORT)
    async def import_(import_id: int) -> None:
        await old.run(import_job(run, import_id))

    return app


async def work(settings: Settings, stop: asyncio.Event) -> None:
    """Run jobs until `stop`; then take no more, and give those that run 15 s."""
    reads, writes, old = Aside(MOST_READS), Aside(MOST_WRITES), Thread(lambda ending: _work_old(settings, ending))
    async with runtime(settings, "careline work") as run, job_app(run, reads, writes, reads).open_async() as app:
        tidier = asyncio.create_task(every(TIDY_EVERY, stop, lambda: _tidy(run, app)))
        sweeper = asyncio.create_task(every(SWEEP_EVERY, stop, lambda: sweep(run)))
        finder = asyncio.create_task(every(SWEEP_EVERY, stop, lambda: _enter_search(run, stop)))
        hearer = asyncio.create_task(every(REHEAR_EVERY, stop, lambda: _rehear(run, stop)))
        listener = asyncio.create_task(_hold_streams(run, stop))
        worker = asyncio.create_task(_run_jobs(app, jobs.Lane.FRESH, settings.worker_concurrency, stop))
        beside = asyncio.create_task(old.run())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait(
            {sweeper, tidier, finder, hearer, listener, worker, beside, stopping}, return_when=asyncio.FIRST_COMPLETED
        )
        stop.set()
        old.end()
        worker.cancel()
        aside = asyncio.gather(reads.end(DRAIN), writes.end(DRAIN))
        with contextlib.suppress(asyncio.CancelledError):
            await worker
        await asyncio.gather(aside, beside, sweeper, tidier, finder, hearer, listener)


async def _work_old(settings: Settings, stop: asyncio.Event) -> None:
    """Run the jobs of what is old until `stop`: to read and to hear thousands of posts is computing, not waiting."""
    old = Aside(MOST_OLD)
    async with runtime(settings, "careline work, old") as run, job_app(run, old, old, old).open_async() as app:
        worker = asyncio.create_task(_run_jobs(app, jobs.Lane.BACKLOG, settings.backlog_concurrency, stop))
        await asyncio.wait({worker, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        worker.cancel()
        aside = asyncio.gather(old.end(DRAIN))
        with contextlib.suppress(asyncio.CancelledError):
            await worker
        await aside


async def _hold_streams(run: Runtime, stop: asyncio.Event) -> None:
    """Hold the streams of feeds until `stop`, and give them back."""
    streams = Streams(run)
    try:
        await every(LOOK_EVERY, stop, streams.look)
    finally:
        with contextlib.suppress(DBAPIError, OSError):  # the database is away: the leases run out by themselves
            await streams.end()


async def _enter_search(run: Runtime, stop: asyncio.Event) -> None:
    """Enter all that is listed for the search, some at a time."""
    entered = AT_ONCE
    while entered == AT_ONCE and not stop.is_set():
        async with run.sessions.begin() as session:
            entered = await enter_search(session)


async def _rehear(run: Runtime, stop: asyncio.Event) -> None:
    """Go over the posts that were not heard by this version, some at a time, breathing between."""
    heard = 1
    while heard and not stop.is_set():
        async with run.sessions.begin() as session:
            heard = await rehear(session)
        await asyncio.sleep(BREATH)


async def _run_jobs(app: App, lane: jobs.Lane, concurrency: int, stop: asyncio.Event) -> None:
    """Run a lane's jobs; when the database goes away the worker of procrastinate ends, and a new one waits for it."""
    while not stop.is_set():
        try:
            await app.run_worker_async(
                queues=[lane],
                name=lane,
                concurrency=concurrency,
                install_signal_handlers=False,
                fetch_job_polling_interval=1.0,
                shutdown_graceful_timeout=DRAIN,
                delete_jobs="always",
            )
        except (ConnectorException, psycopg.Error, psycopg_pool.PoolTimeout, OSError) as error:
            log.warning("database_away", cause=type(error).__name__)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), RESTART_AFTER)


async def _tidy(run: Runtime, app: procrastinate.App) -> None:
    async with run.sessions.begin() as session:
        await tidy(session, run.settings.why_days, run.settings.wipe_deleted_days)
    await _forget_dead_workers(app)


async def _forget_dead_workers(app: procrastinate.App) -> None:
    """Jobs of workers that died are dropped: the sweep has made, or will make, new ones."""
    for job in await app.job_manager.get_stalled_jobs():
        await app.job_manager.finish_job(job, procrastinate.jobs.Status.FAILED, delete_job=True)


async def every(seconds: float, stop: asyncio.Event, do: Callable[[], Awaitable[None]]) -> None:
    """Do something again and again until `stop`. A database that is away is waited for; other errors end it."""
    while not stop.is_set():
        try:
            await do()
        except (DBAPIError, OSError, psycopg_pool.PoolTimeout) as error:
            log.warning("database_away", cause=type(error).__name__)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)
