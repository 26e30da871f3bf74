"""Walking through a channel's pages: forward, back, after a restart, with clocks that disagree; nothing missed or doubled."""

import json
from datetime import timedelta

from app.connectors.base import Connector, IncomingPost, Json
from app.connectors.testing.checks import check
from app.connectors.testing.fake import FakeChannel
from app.connectors.testing.gives import Gives
from app.connectors.testing.steps import drain, fetch, fill, many, through_json


@check("pull", gives=Gives.FORWARD)
async def every_page_is_brought_after_a_pause(fake: FakeChannel) -> None:
    fill(fake, 2)
    _, cursor = await drain(fake, {})
    arrived = fill(fake, many(fake))
    found, _ = await drain(fake, cursor)
    assert set(arrived) <= set(found)


@check("pull", gives=Gives.FORWARD)
async def nothing_is_missed_when_posts_arrive_between_two_fetches(fake: FakeChannel) -> None:
    fill(fake, 1)
    _, cursor = await drain(fake, {})
    arrived = fill(fake, many(fake) // 2)
    late = iter(range(2))

    def one_more() -> None:
        if next(late, None) is not None:
            arrived.append(fake.arrive("just now"))

    found, cursor = await drain(fake, cursor, one_more)
    more, _ = await drain(fake, cursor)
    assert set(arrived) <= set(found | more)


@check("pull", gives=Gives.FORWARD)
async def nothing_is_missed_when_posts_arrive_between_two_pages(fake: FakeChannel) -> None:
    fill(fake, 1)
    _, cursor = await drain(fake, {})
    arrived = fill(fake, many(fake) - 5)
    late = iter(range(5))

    def one_more() -> None:
        if next(late, None) is not None:
            arrived.append(fake.arrive("in the middle of your paging"))

    fake.between_requests = one_more
    found, cursor = await drain(fake, cursor)
    fake.between_requests = None
    more, _ = await drain(fake, cursor)
    assert set(arrived) <= set(found | more)


@check("pull", gives=Gives.FORWARD)
async def nothing_is_missed_when_posts_arrive_during_the_first_sync(fake: FakeChannel) -> None:
    arrived = fill(fake, 3)
    late = iter(range(3))

    def one_more() -> None:
        if next(late, None) is not None:
            arrived.append(fake.arrive("while you were starting"))

    fake.between_requests = one_more
    found, cursor = await drain(fake, {})
    fake.between_requests = None
    more, _ = await drain(fake, cursor)
    assert set(arrived) <= set(found | more)


@check("pull", gives=Gives.DUPLICATES)
async def a_post_keeps_its_identity_and_its_conversation_over_fetches(fake: FakeChannel) -> None:
    fill(fake, 4)
    first, _ = await drain(fake, {})
    second, _ = await drain(fake, {})
    assert first.keys() == second.keys()
    for external_id, post in first.items():
        again = second[external_id]
        assert (again.thread_id, again.author.external_id, again.posted_at, again.text) == (
            post.thread_id,
            post.author.external_id,
            post.posted_at,
            post.text,
        )


@check("pull", gives=Gives.RESTARTS)
async def a_cursor_is_small_json(fake: FakeChannel) -> None:
    fill(fake, many(fake))
    _, cursor = await drain(fake, {})
    assert len(json.dumps(cursor)) < 100_000


@check("pull", "backlog", gives=Gives.BACKWARD)
async def the_backlog_is_brought_to_its_end_while_new_posts_arrive(fake: FakeChannel) -> None:
    arrived = fill(fake, many(fake))
    late = iter(range(4))

    def one_more() -> None:
        if next(late, None) is not None:
            arrived.append(fake.arrive("while you were reading what is old"))

    fake.between_requests = one_more
    found, cursor = await drain(fake, {})
    fake.between_requests = None
    more, _ = await drain(fake, cursor)
    assert set(arrived) <= set(found | more)


@check("pull", gives=Gives.RESTARTS)
async def another_process_goes_on_from_the_stored_cursor(fake: FakeChannel) -> None:
    fill(fake, 2)
    found, cursor = await drain(fake, {})
    arrived = fill(fake, many(fake))
    more = True
    while more:
        batch = await _restarted(fake).fetch(fake.link(), cursor)
        found |= {post.external_id: post for post in batch.posts}
        cursor, more = through_json(batch.cursor), batch.more
    late = fake.arrive("after the restart")
    last, _ = await drain(fake, cursor)
    assert set(arrived) <= set(found)
    assert late in last


def _restarted(fake: FakeChannel) -> Connector:
    """The connector as a new process has it: it remembers nothing."""
    return type(fake.connector)()


@check("pull", gives=Gives.DUPLICATES)
async def each_post_has_one_name_however_often_its_page_is_read(fake: FakeChannel) -> None:
    arrived = fill(fake, many(fake) - 3)
    late = iter(range(3))

    def one_more() -> None:
        if next(late, None) is not None:
            arrived.append(fake.arrive("in the middle"))

    before, _ = await drain(fake, {})
    fake.between_requests = one_more
    found, cursor = await drain(fake, {})
    fake.between_requests = None
    more, _ = await drain(fake, cursor)
    known = before | found | more
    texts = [(post.author.external_id, post.text, post.posted_at) for post in known.values()]
    assert set(arrived) >= set(known)
    assert len(texts) == len(set(texts)), "one post came under two names"


@check("pull", gives=Gives.DUPLICATES)
async def a_post_has_the_same_name_in_every_feed_that_shows_it(fake: FakeChannel) -> None:
    arrived = fill(fake, 3)
    here, _ = await drain(fake, {})
    for settings in (fake.settings(), *fake.elsewhere()):
        batch = await fake.connector.fetch(fake.link(settings=settings), {})
        there = {post.external_id: post for post in batch.posts}
        assert set(arrived) <= set(there)
        assert all(there[name].thread_id == here[name].thread_id for name in arrived)


@check("pull", "receive", "asks", "pushes", gives=Gives.DUPLICATES)
async def what_is_delivered_has_the_name_that_a_poll_gives_it(fake: FakeChannel) -> None:
    name = fake.arrive("both ways")
    pushed = [fake.connector.receive(fake.link(), one.headers, one.body) for one in fake.pushed()]
    fetched = await fetch(fake, {})
    assert name in {post.external_id for batch in pushed for post in batch.posts}
    assert name in {post.external_id for post in fetched.posts}


async def _walked(fake: FakeChannel, ahead: timedelta) -> None:
    """Our clock is ahead of the channel's, or behind it: nothing is missed, nothing is given a second name."""
    arrived = fill(fake, 3)
    found: dict[str, IncomingPost] = {}
    cursor: Json = {}
    for _ in range(3):
        more = True
        while more:
            batch = await fake.connector.fetch(fake.link(now=fake.now + ahead), cursor)
            found |= {post.external_id: post for post in batch.posts}
            cursor, more = through_json(batch.cursor), batch.more
        arrived += fill(fake, 2)
        fake.tick(timedelta(minutes=1))
    last, _ = await drain(fake, cursor)
    assert set(arrived) == set(found | last)


@check("pull", gives=Gives.SKEW)
async def nothing_is_missed_while_our_clock_is_behind_the_channels(fake: FakeChannel) -> None:
    await _walked(fake, timedelta(minutes=-7))


@check("pull", gives=Gives.SKEW)
async def nothing_is_missed_while_our_clock_is_ahead_of_the_channels(fake: FakeChannel) -> None:
    await _walked(fake, timedelta(minutes=7))
