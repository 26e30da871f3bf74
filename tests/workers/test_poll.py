from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, text, update

from app.connectors.base import Batch
from app.connectors.testing.fake import Trouble
from app.flow.configure_feed import poll_now
from app.flow.ingest import Ingested
from app.flow.look import EVERY
from app.flow.poll import JITTER, LONGEST_PAUSE, back_off, due_feeds, jittered, keep_batch, next_wait, take_feed
from app.jobs import Lane
from app.models.account import Account
from app.models.change import PostLook
from app.models.feed import Feed, FeedBacklog, Health, Quarantine
from app.models.item import Disposition, Item, State
from app.models.post import Post
from app.queries.feeds import Backlogs, backlogs, feeds
from app.queries.said import Said
from app.queries.said import posts as posts_of
from app.workers.poll import poll_feed
from tests.postoffice import Office


async def texts(office: Office) -> list[str]:
    async with office.sessions() as session:
        return list(await session.scalars(select(Post.text).order_by(Post.id)))


async def states(office: Office) -> list[tuple[str, str | None]]:
    async with office.sessions() as session:
        rows = await session.execute(select(Item.state, Item.disposition).order_by(Item.id))
        return [(state, disposition) for state, disposition in rows]


async def change(office: Office, **values: Any) -> None:
    async with office.sessions.begin() as session:
        await session.execute(update(Feed).values(values))


async def due(office: Office) -> list[int]:
    async with office.sessions() as session:
        return [feed_id for lane in Lane for feed_id in await due_feeds(session, lane)]


async def test_posts_and_cursor_are_kept_together_and_the_feed_is_well(keyed: Office) -> None:
    await keyed.ask("One")
    feed = await keyed.poll()
    assert (await texts(keyed), feed.cursor, feed.health, feed.trouble) == (["One"], {"after": 1}, Health.OK, "")
    assert feed.leased_until is None
    assert feed.ok_at is not None


async def test_a_feed_that_somebody_polls_is_not_taken_by_another(keyed: Office) -> None:
    async with keyed.sessions.begin() as session:
        taken = await take_feed(session, keyed.company.feed.id)
        assert taken is not None
    async with keyed.sessions.begin() as session:
        assert await take_feed(session, keyed.company.feed.id) is None
    assert await due(keyed) == []


async def test_a_worker_that_comes_back_after_its_lease_stores_nothing(keyed: Office) -> None:
    async with keyed.sessions.begin() as session:
        slow = await take_feed(session, keyed.company.feed.id)
    assert slow is not None
    await change(keyed, leased_until=func.now())
    await keyed.ask("Brought by the second")
    late = Batch(posts=(), cursor={"after": 99})
    async with keyed.sessions() as session:
        polled = await keep_batch(session, slow, late)
        await session.rollback()
    assert polled.lost
    assert (await keyed.feed()).cursor == {"after": 1}


async def test_a_poll_that_was_overtaken_while_it_read_stores_nothing(
    keyed: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyed.fake.arrive("Read by the slow one")
    wire = keyed.runtime.http._transport
    answer = wire.handle_async_request

    async def answered_late(request: httpx.Request) -> httpx.Response:
        response = await answer(request)
        await change(keyed, attempt=Feed.attempt + 1)
        return response

    monkeypatch.setattr(wire, "handle_async_request", answered_late)
    feed = await keyed.poll()
    assert (await texts(keyed), feed.cursor) == ([], {})


async def test_the_first_sync_is_silent_over_all_its_pages(keyed: Office) -> None:
    await change(keyed, synced_at=None)
    keyed.fake.world.page = 2
    for number in range(5):
        keyed.fake.arrive(f"Old {number}")
    first = await keyed.poll()
    assert (first.synced_at, await keyed.seconds_until(first.next_poll_at) <= 0) == (None, True)
    await keyed.poll()
    assert (await keyed.poll()).synced_at is not None
    assert await states(keyed) == [(State.CLOSED, Disposition.BACKLOG)] * 5
    await keyed.ask("New")
    assert (await states(keyed))[-1] == (State.QUEUED, None)


async def test_a_first_sync_can_be_asked_to_queue_its_backlog(keyed: Office) -> None:
    await change(keyed, synced_at=None, import_backlog=True)
    await keyed.ask("Old, and still to be answered")
    assert await states(keyed) == [(State.QUEUED, None)]


def test_the_interval_shrinks_when_something_comes_and_grows_when_not_within_its_bounds() -> None:
    feed = Feed(interval=100, min_interval=15, max_interval=300)
    waits = []
    for posts in (1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0):
        feed.interval = next_wait(feed, Ingested(posts=posts))
        waits.append(feed.interval)
    assert waits == [50, 25, 15, 15, 22, 33, 49, 73, 109, 163, 244, 300, 300]


def test_a_wait_grows_even_from_a_second() -> None:
    feed = Feed(interval=1, min_interval=1, max_interval=5)
    assert next_wait(feed, Ingested()) == 2


def test_the_pause_after_failures_doubles_up_to_half_an_hour() -> None:
    pauses = [back_off(Feed(min_interval=15, failures=n)) for n in range(12)]
    assert pauses[:4] == [timedelta(seconds=s) for s in (15, 30, 60, 120)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE


def test_jitter_is_a_tenth_at_most() -> None:
    waits = [jittered(100) for _ in range(500)]
    assert 100 * (1 - JITTER) <= min(waits) < max(waits) <= 100 * (1 + JITTER)
    assert max(waits) - min(waits) > 10


async def test_failures_in_a_row_make_the_pause_longer_and_success_forgets_them(keyed: Office) -> None:
    keyed.fake.trouble(Trouble.DOWN, times=3)
    for failures, pause in ((1, 15), (2, 30), (3, 60)):
        feed = await keyed.poll()
        assert (feed.health, feed.failures) == (Health.FAILING, failures)
        assert pause * 0.9 - 2 < await keyed.seconds_until(feed.next_poll_at) <= pause * 1.1
    assert "trouble of its own" in feed.trouble
    well = await keyed.poll()
    assert (well.health, well.failures, well.trouble) == (Health.OK, 0, "")


async def test_a_feed_waits_as_long_as_its_channel_asks(keyed: Office) -> None:
    keyed.fake.trouble(Trouble.RATE_LIMITED)
    feed = await keyed.poll()
    assert 137 * 0.9 - 2 < await keyed.seconds_until(feed.next_poll_at) <= 137 * 1.1
    calls = len(keyed.fake.requests)
    waiting = await keyed.poll()
    assert (len(keyed.fake.requests), waiting.health) == (calls, Health.DEGRADED)
    assert "polling goes on in" in waiting.trouble


async def test_refused_credentials_stop_the_feed_with_words_until_a_person_acts(mastodon: Office) -> None:
    mastodon.fake.trouble(Trouble.EXPIRED, times=10)
    feed = await mastodon.poll()
    assert feed.health == Health.STOPPED
    assert feed.trouble
    async with mastodon.sessions() as session:
        account = (await session.scalars(select(Account))).one()
    assert (account.needs_reconnect, account.trouble) == (True, feed.trouble)
    await change(mastodon, next_poll_at=func.now())
    assert await due(mastodon) == []
    calls = len(mastodon.fake.requests)
    await mastodon.poll()
    assert len(mastodon.fake.requests) == calls


async def test_a_stopped_feed_goes_on_when_a_person_wakes_it(mastodon: Office) -> None:
    mastodon.fake.trouble(Trouble.EXPIRED)
    await mastodon.poll()
    async with mastodon.sessions.begin() as session:
        await poll_now(session, mastodon.company.feed.id)
    feed = await mastodon.poll()
    async with mastodon.sessions() as session:
        account = (await session.scalars(select(Account))).one()
    assert (feed.health, account.needs_reconnect) == (Health.OK, False)


async def test_a_login_page_instead_of_an_answer_fails_with_words_and_leaves_the_cursor(keyed: Office) -> None:
    await keyed.ask("Before")
    keyed.fake.arrive("Behind the login page")
    keyed.fake.trouble(Trouble.HTML)
    feed = await keyed.poll()
    assert (feed.health, feed.cursor) == (Health.FAILING, {"after": 1})
    assert "no JSON" in feed.trouble
    await keyed.poll()
    assert await texts(keyed) == ["Before", "Behind the login page"]


POISON: dict[str, dict[str, Any]] = {
    "a name with NUL in it": {"id": "p\x00oison"},
    "a number no column holds": {"followers": 2**40},
    "a name that no index holds": {"id": "".join(chr(33 + n * 7919 % 20000) for n in range(9000))},
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
async def test_a_post_that_the_database_refuses_stands_apart_and_the_others_arrive(
    keyed: Office, poison: dict[str, Any]
) -> None:
    keyed.fake.world.write("One")
    keyed.fake.world.write("Poison", by="mallory", **poison)
    keyed.fake.world.write("Two")
    feed = await keyed.poll()
    assert (await texts(keyed), feed.health, feed.cursor) == (["One", "Two"], Health.OK, {"after": 3})
    async with keyed.sessions() as session:
        [kept] = (await session.scalars(select(Quarantine))).all()
    assert kept.reason.startswith("The database did not take this post")
    assert (kept.payload["text"], "Poison" in kept.reason) == ("Poison", False)


async def test_an_unreadable_entry_is_quarantined_once_with_its_tries_counted(keyed: Office) -> None:
    keyed.fake.world.write(None)
    keyed.fake.world.write("Fine")
    await keyed.poll()
    await change(keyed, cursor={})
    await keyed.poll()
    async with keyed.sessions() as session:
        [kept] = (await session.scalars(select(Quarantine))).all()
    assert (kept.external_id, kept.reason, kept.tries, kept.resolved_at) == ("p1", "It has no text.", 2, None)
    assert await texts(keyed) == ["Fine"]


async def test_a_bug_in_a_connector_fails_its_feed_alone(keyed: Office) -> None:
    keyed.fake.trouble(Trouble.NULL)
    feed = await keyed.poll()
    assert feed.health == Health.FAILING
    assert "because of an error of its own: TypeError" in feed.trouble
    async with keyed.sessions.begin() as session:
        other = Feed(name="Other", channel="parcels-keyed", settings=keyed.company.feed.settings, synced_at=func.now())
        session.add(other)
    keyed.fake.arrive("For both")
    await poll_feed(keyed.runtime, other.id)
    assert await texts(keyed) == ["For both"]


async def test_a_notice_of_the_channel_stands_in_the_feeds_health(keyed: Office) -> None:
    keyed.fake.world.extra = {"notice": "The search is off there."}
    feed = await keyed.poll()
    assert (feed.health, feed.trouble) == (Health.DEGRADED, "The search is off there.")


async def test_a_feed_that_is_switched_off_is_not_polled(keyed: Office) -> None:
    await change(keyed, enabled=False)
    keyed.fake.arrive("Unheard")
    await keyed.poll()
    assert (keyed.fake.requests, await due(keyed)) == ([], [])


async def test_two_feeds_that_see_the_same_post_keep_it_once(keyed: Office) -> None:
    async with keyed.sessions.begin() as session:
        other = Feed(name="Other", channel="parcels-keyed", settings=keyed.company.feed.settings, synced_at=func.now())
        session.add(other)
    await keyed.ask("Seen twice")
    await poll_feed(keyed.runtime, other.id)
    assert (await texts(keyed), await states(keyed)) == (["Seen twice"], [(State.QUEUED, None)])


async def test_a_poll_looks_again_at_posts_of_open_items_once_their_time_has_come(mastodon: Office) -> None:
    item = await mastodon.ask("My tent is torn")
    [name] = mastodon.fake.toots
    mastodon.fake.rewrite(f"https://other.example/users/ada/statuses/{name}", "My tent and my bag are torn")
    await mastodon.poll()
    assert (await shown(mastodon, item)).earlier == ()  # looked at a moment ago, when it came
    await make_older(mastodon)
    await mastodon.poll()
    assert "my bag" in (await shown(mastodon, item)).text
    mastodon.fake.toots.clear()
    await make_older(mastodon)
    feed = await mastodon.poll()
    assert (feed.health, (await mastodon.item(item.id)).disposition) == (Health.OK, Disposition.WITHDRAWN)


async def test_trouble_while_looking_again_leaves_the_poll_as_good_as_it_was(mastodon: Office) -> None:
    item = await mastodon.ask("My tent is torn")
    await make_older(mastodon)
    mastodon.fake.trouble(Trouble.DOWN, after=2)  # who we are, and the list, are read before
    feed = await mastodon.poll()
    assert (feed.health, feed.failures) == (Health.OK, 0)
    assert (await shown(mastodon, item)).deleted_at is None


async def make_older(office: Office) -> None:
    async with office.sessions.begin() as session:
        await session.execute(update(Post).values(received_at=func.now() - 2 * EVERY))
        await session.execute(update(PostLook).values(looked_at=func.now() - 2 * EVERY))


async def shown(office: Office, item: Item) -> Said:
    async with office.sessions() as session:
        [(one, _)], _, _ = await posts_of(session, item, None)
        return one


async def lanes_of_jobs(office: Office) -> list[str]:
    async with office.sessions() as session:
        queued = text("SELECT queue_name FROM procrastinate_jobs WHERE task_name = 'poll_feed' AND status = 'todo'")
        return list(await session.scalars(queued))


async def backlog_of(office: Office) -> FeedBacklog:
    async with office.sessions() as session:
        return (await session.scalars(select(FeedBacklog))).one()


async def test_a_first_sync_runs_in_a_lane_of_its_own_and_what_comes_afterwards_does_not(keyed: Office) -> None:
    async def dues() -> dict[Lane, list[int]]:
        async with keyed.sessions() as session:
            return {lane: await due_feeds(session, lane) for lane in Lane}

    mine = [keyed.company.feed.id]
    await change(keyed, synced_at=None, next_poll_at=func.now())
    assert await dues() == {Lane.FRESH: [], Lane.BACKLOG: mine}
    async with keyed.sessions.begin() as session:
        await poll_now(session, mine[0])
    assert await lanes_of_jobs(keyed) == ["backlog"]
    await change(keyed, synced_at=func.now())
    assert await dues() == {Lane.FRESH: mine, Lane.BACKLOG: []}


async def test_the_rest_of_a_first_sync_is_asked_for_at_once_and_its_progress_is_kept(keyed: Office) -> None:
    await change(keyed, synced_at=None)
    keyed.fake.world.page = 2
    for number in range(5):
        keyed.fake.arrive(f"Old {number}")
    await keyed.poll()
    first = await backlog_of(keyed)
    assert (await lanes_of_jobs(keyed), first.posts, first.ended_at) == (["backlog"], 2, None)
    await keyed.poll()
    await keyed.poll()
    last = await backlog_of(keyed)
    assert (last.posts, last.left, last.ended_at is not None) == (5, 0, True)


async def test_a_long_first_sync_is_stored_some_at_a_time_with_the_cursor_at_its_end(
    keyed: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.workers.poll.AT_ONCE", 2)
    await change(keyed, synced_at=None)
    for number in range(5):
        keyed.fake.arrive(f"Old {number}")

    feed = await keyed.poll()

    assert (await texts(keyed), feed.cursor) == ([f"Old {n}" for n in range(5)], {"after": 5})
    assert ((await backlog_of(keyed)).posts, feed.synced_at is not None) == (5, True)
    assert await states(keyed) == [(State.CLOSED, Disposition.BACKLOG)] * 5


async def test_a_first_sync_that_was_overtaken_stops_and_leaves_the_cursor(
    keyed: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.workers.poll.AT_ONCE", 2)
    await change(keyed, synced_at=None)
    for number in range(5):
        keyed.fake.arrive(f"Old {number}")
    wire = keyed.runtime.http._transport
    answer = wire.handle_async_request

    async def answered_late(request: httpx.Request) -> httpx.Response:
        response = await answer(request)
        await change(keyed, attempt=Feed.attempt + 1)
        return response

    monkeypatch.setattr(wire, "handle_async_request", answered_late)
    assert ((await keyed.poll()).cursor, await texts(keyed)) == ({}, [])


async def test_the_feeds_page_tells_how_far_all_first_syncs_are(keyed: Office) -> None:
    await change(keyed, synced_at=None)
    async with keyed.sessions.begin() as session:
        assert await backlogs(session, await feeds(session)) is None
        for name in ("Done", "Half"):
            session.add(Feed(name=name, channel="rss", synced_at=func.now() if name == "Done" else None, health="ok"))
        await session.flush()
        ids = {feed.name: feed.id for feed in await session.scalars(select(Feed))}
        session.add(FeedBacklog(feed_id=ids["Half"], posts=30, left=30))
        session.add(FeedBacklog(feed_id=ids["Done"], posts=100, left=0, ended_at=func.now()))
        await session.flush()
        told = await backlogs(session, await feeds(session))
        await session.rollback()
    assert told == Backlogs(feeds=2, done=1, posts=130, percent=50)  # one is done, one half, one has not begun
