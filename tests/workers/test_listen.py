"""Streams: one holder each, what they bring is kept like a poll's, and polls stay the net beneath."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from app.connectors import registry
from app.connectors.base import Batch, Json, Link, Rejected
from app.connectors.x_settings import Source, XSettings
from app.errors import CarelineError, RateLimited, Unauthorized, Unreachable
from app.flow.configure_feed import change_feed, enable_feed, feed_settings
from app.flow.listen import LEASE, Held, keep_streamed, take_stream
from app.flow.poll import LONGEST_PAUSE, beneath
from app.models.feed import Feed, FeedStream, Quarantine
from app.models.item import Item, State
from app.models.post import Post
from app.queries.feeds import Condition, FeedLine, feeds
from app.settings import Settings
from app.vault import new_key
from app.workers.listen import Streams
from app.workers.poll import poll_feed
from app.workers.work import work
from tests import parcels
from tests.connectors.fakes.x import FakeX
from tests.parcels import FakeParcels, Keyed
from tests.postoffice import Office, post_office


@dataclass
class Tap:
    """What the stream gives: batches, an error, or None for its end. The next is asked for once the last is kept."""

    given: asyncio.Queue[Batch | CarelineError | None] = field(default_factory=asyncio.Queue)
    opened: asyncio.Queue[Json] = field(default_factory=asyncio.Queue)  # the cursor of each opening
    standing: int = 0

    async def bring(self, *batches: Batch) -> None:
        for batch in batches:
            self.given.put_nowait(batch)
        await self.given.join()


class Tapped(Keyed):
    """Parcels with a stream, which the test feeds."""

    name: ClassVar[str] = "parcels-tapped"
    capabilities: ClassVar = replace(Keyed.capabilities, streams=True)
    tap: ClassVar[Tap]

    async def listen(self, link: Link, cursor: Json) -> AsyncGenerator[Batch, None]:
        tap = self.tap
        tap.standing += 1
        tap.opened.put_nowait(cursor)
        try:
            while True:
                given = await tap.given.get()
                try:
                    if isinstance(given, CarelineError):
                        raise given
                    if given is None:
                        return
                    yield given
                finally:
                    tap.given.task_done()
        finally:
            tap.standing -= 1


@pytest.fixture
def tap(monkeypatch: pytest.MonkeyPatch) -> Tap:
    Tapped.tap = Tap()
    return Tapped.tap


@pytest.fixture
async def office(engine: AsyncEngine, tap: Tap, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    monkeypatch.setitem(registry.BUILT_IN, Tapped.name, f"{__name__}:Tapped")
    async with post_office(engine, FakeParcels("parcels-keyed"), Tapped.name) as opened:
        yield opened


@pytest.fixture
async def streams(office: Office) -> AsyncIterator[Streams]:
    """This process's streams, its feed's one open."""
    held = Streams(office.runtime)
    await held.look()
    await Tapped.tap.opened.get()
    yield held
    await held.end()


def told(text: str, name: str = "s1", **more: Any) -> Batch:
    post = parcels._read({"id": name, "text": text})
    return Batch((post,), **more)  # type: ignore[arg-type]


async def ended(streams: Streams) -> None:
    """Wait until what is open has ended, and look."""
    await asyncio.wait([one.task for one in streams.open.values()])
    await streams.look()


async def row(office: Office) -> FeedStream:
    async with office.sessions() as session:
        return await session.get_one(FeedStream, office.company.feed.id)


async def line(office: Office) -> FeedLine:
    async with office.sessions() as session:
        [found] = await feeds(session, office.company.feed.id)
        return found


async def texts(office: Office) -> list[str]:
    async with office.sessions() as session:
        return list(await session.scalars(select(Post.text).order_by(Post.id)))


async def change(office: Office, **values: Any) -> None:
    async with office.sessions.begin() as session:
        await session.execute(update(Feed).values(values))


async def test_what_comes_is_queued_with_its_cursor_and_the_feed_is_told_live(
    office: Office, streams: Streams, tap: Tap
) -> None:
    await office.poll()
    assert (await line(office)).condition == Condition.OK
    await tap.bring(
        told("Help me", cursor={"after": 7}), Batch(cursor={"after": 7}, rejected=(Rejected("bad", "?", {}),))
    )
    async with office.sessions() as session:
        assert list(await session.scalars(select(Item.state))) == [State.QUEUED]
        assert list(await session.scalars(select(Quarantine.external_id))) == ["bad"]
    feed = await office.feed()
    assert (feed.post_at is not None, (await line(office)).condition) == (True, Condition.STREAMS)


async def test_the_cursor_is_the_streams_until_a_poll_moves_it(office: Office, streams: Streams, tap: Tap) -> None:
    await tap.bring(Batch(cursor={"after": 1}))
    assert (await office.feed()).cursor == {"after": 1}
    await change(office, cursor={"after": 5})
    await tap.bring(told("Known to the stream alone", cursor={"after": 2}))
    assert ((await office.feed()).cursor, await texts(office)) == ({"after": 5}, ["Known to the stream alone"])


async def test_two_processes_hold_one_stream_of_a_feed(office: Office, streams: Streams, tap: Tap) -> None:
    other = Streams(office.runtime)
    await other.look()
    assert (other.open, tap.standing) == ({}, 1)


async def test_what_a_frozen_process_brings_late_is_refused(office: Office, streams: Streams, tap: Tap) -> None:
    async with office.sessions.begin() as session:
        await session.execute(update(FeedStream).values(leased_until=func.now()))
    async with office.sessions.begin() as session:
        taken = await take_stream(session, office.company.feed.id)
    assert taken is not None
    await tap.bring(told("Too late", cursor={"after": 9}))
    await ended(streams)
    assert (await texts(office), (await office.feed()).cursor, streams.open) == ([], {}, {})
    assert (await row(office)).epoch == taken.epoch
    assert (await row(office)).leased_until is not None


async def test_a_process_that_ends_gives_its_streams_back_at_once(office: Office, streams: Streams, tap: Tap) -> None:
    await streams.end()
    assert (streams.open, tap.standing) == ({}, 0)
    other = Streams(office.runtime)
    await other.look()
    await tap.opened.get()
    assert list(other.open) == [office.company.feed.id]
    await other.end()


async def test_a_stream_whose_lease_could_not_be_renewed_is_closed(office: Office, streams: Streams, tap: Tap) -> None:
    [stream] = streams.open.values()
    stream.good_until = 0.0
    await streams.look()
    await asyncio.wait([stream.task])
    assert tap.standing == 0


async def test_a_lease_is_renewed_while_the_stream_stands(office: Office, streams: Streams) -> None:
    async with office.sessions.begin() as session:
        await session.execute(update(FeedStream).values(leased_until=func.now() + timedelta(seconds=1)))
    streams._renewed = 0.0
    await streams.look()
    assert await office.seconds_until((await row(office)).leased_until) > LEASE.total_seconds() - 10


async def test_a_feed_that_is_switched_off_loses_its_stream(office: Office, streams: Streams, tap: Tap) -> None:
    async with office.sessions.begin() as session:
        await enable_feed(session, office.company.feed.id, False)
    await streams.look()
    await ended(streams)
    assert (streams.open, tap.standing) == ({}, 0)


async def test_nothing_is_stored_of_a_feed_that_was_just_switched_off(
    office: Office, streams: Streams, tap: Tap
) -> None:
    async with office.sessions.begin() as session:
        await enable_feed(session, office.company.feed.id, False)
    await tap.bring(told("Nobody listens"))
    assert await texts(office) == []


async def test_a_feed_that_is_deleted_loses_its_stream(office: Office, streams: Streams, tap: Tap) -> None:
    async with office.sessions.begin() as session:
        await session.execute(delete(Feed).where(Feed.id == office.company.feed.id))
    await streams.look()
    await ended(streams)
    assert (streams.open, tap.standing) == ({}, 0)


async def test_a_feed_that_is_changed_is_listened_to_anew(office: Office, streams: Streams, tap: Tap) -> None:
    async with office.sessions.begin() as session:
        feed = await session.get_one(Feed, office.company.feed.id)
        await change_feed(session, feed.id, feed_settings(feed).model_copy(update={"name": "Renamed"}))
    await streams.look()
    await ended(streams)
    await tap.opened.get()
    assert tap.standing == 1


async def test_an_error_is_told_and_the_stream_is_tried_again_later_and_polled_soon(
    office: Office, streams: Streams, tap: Tap
) -> None:
    await office.poll()
    await change(office, next_poll_at=func.now() + timedelta(hours=1))
    tap.given.put_nowait(Unreachable("The wire is cut."))
    await ended(streams)
    stream, feed, shown = await row(office), await office.feed(), await line(office)
    assert (stream.failures, stream.leased_until, shown.condition) == (1, None, Condition.DEGRADED)
    assert "The wire is cut." in shown.trouble
    assert 0 < await office.seconds_until(stream.next_at) < 2 * feed.min_interval
    assert await office.seconds_until(feed.next_poll_at) <= feed.interval


async def test_a_stream_that_stands_again_forgets_its_failures(office: Office, streams: Streams, tap: Tap) -> None:
    tap.given.put_nowait(Unreachable("The wire is cut."))
    await ended(streams)
    async with office.sessions.begin() as session:
        await session.execute(update(FeedStream).values(next_at=func.now()))
    await streams.look()
    await tap.bring(Batch())
    assert ((await row(office)).failures, (await row(office)).trouble) == (0, "")


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (RateLimited("Slowly.", retry_after=timedelta(seconds=400)), 400),
        (Unauthorized("The token of the stream is wrong."), LONGEST_PAUSE.total_seconds()),
    ],
)
async def test_the_channels_word_says_how_long_to_wait(
    office: Office, streams: Streams, tap: Tap, error: CarelineError, seconds: float
) -> None:
    tap.given.put_nowait(error)
    await ended(streams)
    assert 0.85 * seconds < await office.seconds_until((await row(office)).next_at) < 1.15 * seconds


async def test_a_feed_without_a_stream_is_quietly_polled(office: Office, streams: Streams, tap: Tap) -> None:
    await office.poll()
    tap.given.put_nowait(None)
    await ended(streams)
    assert (await line(office)).condition == Condition.OK
    assert await office.seconds_until((await row(office)).next_at) > 1000


async def test_polls_are_rarer_beneath_a_stream(office: Office, streams: Streams, tap: Tap) -> None:
    before = await office.poll()
    usual = await office.seconds_until(before.next_poll_at)
    await tap.bring(Batch(cursor=before.cursor))
    async with office.sessions.begin() as session:
        await session.execute(update(Feed).values(next_poll_at=func.now(), interval=before.interval))
    await poll_feed(office.runtime, before.id)
    feed = await office.feed()
    assert await office.seconds_until(feed.next_poll_at) > 4 * usual
    assert (beneath(15), beneath(300), beneath(3600)) == (150, 900, 3600)


async def test_a_process_holds_no_more_streams_than_it_may(office: Office, tap: Tap) -> None:
    few = Streams(replace(office.runtime, settings=Settings(max_streams=0)))
    await few.look()
    assert (few.open, tap.standing) == ({}, 0)


async def test_a_feed_has_no_stream_before_its_first_sync_is_over(office: Office) -> None:
    await change(office, synced_at=None)
    async with office.sessions.begin() as session:
        assert await take_stream(session, office.company.feed.id) is None


async def test_no_transaction_is_open_while_a_stream_waits(office: Office, streams: Streams, tap: Tap) -> None:
    await tap.bring(told("One"))
    assert office.sessions.kw["bind"].pool.checkedout() == 0


async def test_a_batch_of_another_epoch_is_told_lost(office: Office) -> None:
    async with office.sessions.begin() as session:
        held = await take_stream(session, office.company.feed.id)
    assert held is not None
    async with office.sessions() as session:
        late = await keep_streamed(session, Held(held.feed, held.epoch - 1, 0), told("Late"), {})
        await session.rollback()
    assert (late.lost, await texts(office)) == (True, [])


async def test_the_worker_process_holds_streams_until_it_is_told_to_stop(
    office: Office, tap: Tap, fresh_database: str, tmp_path: Path
) -> None:
    await change(office, next_poll_at=func.now() + timedelta(hours=1))
    settings = Settings(key=SecretStr(new_key()), data_dir=tmp_path).model_copy(update={"database_url": fresh_database})
    stop = asyncio.Event()
    working = asyncio.create_task(work(settings, stop))
    await tap.opened.get()
    await tap.bring(told("At once"))
    assert await texts(office) == ["At once"]
    stop.set()
    await working
    assert (tap.standing, (await row(office)).leased_until) == (0, None)


async def test_posts_of_xs_stream_are_queued(engine: AsyncEngine) -> None:
    fake = FakeX(Source.SEARCH)
    async with post_office(engine, fake, "x") as office:
        settings = XSettings(stream=True, source=Source.SEARCH, value="northwind")
        await change(office, settings=settings.model_dump(mode="json"))
        fake.streamed = [fake.arrive("at once")]
        held = Streams(office.runtime)
        await held.look()
        await ended(held)
        assert await texts(office) == ["at once northwind"]
        assert (await row(office)).trouble == ""
        await held.end()
