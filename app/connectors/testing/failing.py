"""What goes wrong while fetching, or testing the connection: each failure has its own error, and nothing is lost."""

from datetime import timedelta

from app.connectors.testing.checks import check
from app.connectors.testing.fake import FOREVER, FakeChannel, Trouble
from app.connectors.testing.gives import Gives
from app.connectors.testing.steps import assert_sound, drain, fetch, fill, many, raises
from app.errors import ChannelDown, ConnectorError, Malformed, RateLimited, Unauthorized, Unreachable


async def _fails(fake: FakeChannel, trouble: Trouble, kind: type[ConnectorError]) -> ConnectorError:
    """A fetch that meets nothing but this trouble raises that error, and later nothing is lost."""
    fill(fake, 2)
    _, cursor = await drain(fake, {})
    arrived = fill(fake, 2)
    fake.trouble(trouble, times=FOREVER)
    with raises(kind) as caught:
        await fetch(fake, cursor)
    fake.calm()
    found, _ = await drain(fake, cursor)
    assert set(arrived) <= set(found)
    return caught.value


@check("pull", gives=Gives.LIMITS)
async def a_rate_limit_says_how_long_the_channel_wants_us_to_wait(fake: FakeChannel) -> None:
    error = await _fails(fake, Trouble.RATE_LIMITED, RateLimited)
    assert isinstance(error, RateLimited)
    assert abs(error.retry_after - fake.rate_wait) <= timedelta(seconds=2)
    assert not error.permanent


@check("pull", "account")
async def refused_credentials_ask_for_a_person(fake: FakeChannel) -> None:
    error = await _fails(fake, Trouble.EXPIRED, Unauthorized)
    assert error.permanent


@check("pull", gives=Gives.STORMS)
async def a_channel_in_trouble_is_down_and_not_our_fault(fake: FakeChannel) -> None:
    error = await _fails(fake, Trouble.DOWN, ChannelDown)
    assert not error.permanent


@check("pull", gives=Gives.HTML)
async def a_page_of_html_with_status_200_is_malformed(fake: FakeChannel) -> None:
    await _fails(fake, Trouble.HTML, Malformed)


@check("pull", "strict", gives=Gives.CUT)
async def an_answer_cut_in_the_middle_is_malformed(fake: FakeChannel) -> None:
    await _fails(fake, Trouble.TRUNCATED, Malformed)


@check("pull", "strict")
async def json_of_another_shape_is_malformed(fake: FakeChannel) -> None:
    await _fails(fake, Trouble.NULL, Malformed)


@check("pull")
async def no_connection_is_unreachable(fake: FakeChannel) -> None:
    await _fails(fake, Trouble.NO_CONNECTION, Unreachable)


@check("pull")
async def a_broken_connection_while_reading_is_unreachable(fake: FakeChannel) -> None:
    await _fails(fake, Trouble.RESET, Unreachable)


@check("pull")
async def an_answer_that_takes_too_long_while_reading_is_unreachable(fake: FakeChannel) -> None:
    await _fails(fake, Trouble.SLOW, Unreachable)


@check("pull", gives=Gives.FORWARD)
async def a_failure_in_the_middle_of_paging_loses_nothing(fake: FakeChannel) -> None:
    fill(fake, 1)
    found, cursor = await drain(fake, {})
    arrived = set(fill(fake, many(fake)))
    for kind in (Trouble.DOWN, Trouble.TRUNCATED, Trouble.RATE_LIMITED, Trouble.RESET, Trouble.HTML):
        fake.calm()
        fake.trouble(kind, after=1)
        try:
            batch = await fetch(fake, cursor)
        except ConnectorError:
            continue
        found |= {post.external_id: post for post in batch.posts}
        cursor = batch.cursor
    fake.calm()
    more, _ = await drain(fake, cursor)
    assert arrived <= set(found | more)


@check("pull", "account", gives=Gives.EXPIRY)
async def credentials_that_expire_in_the_middle_of_paging_lose_nothing(fake: FakeChannel) -> None:
    fill(fake, 1)
    found, cursor = await drain(fake, {})
    arrived = set(fill(fake, many(fake)))
    fake.trouble(Trouble.EXPIRED, after=1)
    try:
        batch = await fetch(fake, cursor)
        found |= {post.external_id: post for post in batch.posts}
        cursor = batch.cursor
    except Unauthorized:
        pass
    fake.calm()
    more, _ = await drain(fake, cursor)
    assert arrived <= set(found | more)


@check("pull")
async def testing_the_connection_says_what_was_found_and_changes_nothing(fake: FakeChannel) -> None:
    fill(fake, 2)
    before = fake.ledger()
    said = await fake.connector.check(fake.link())
    assert said.message
    assert said.sample is not None
    assert_sound(said.sample)
    assert fake.ledger() == before
    assert not [request for request in fake.requests if fake.is_send(request)]


@check("pull", "account")
async def testing_the_connection_names_our_account(fake: FakeChannel) -> None:
    said = await fake.connector.check(fake.link(account=None))
    expected = fake.account()
    assert said.account is not None
    assert expected is not None
    assert (said.account.external_id, said.account.handle) == (expected.external_id, expected.handle)


@check("pull", "account")
async def testing_the_connection_with_a_refused_login_says_so(fake: FakeChannel) -> None:
    fake.trouble(Trouble.EXPIRED, times=FOREVER)
    with raises(Unauthorized):
        await fake.connector.check(fake.link())


@check("pull")
async def testing_the_connection_to_a_wrong_address_says_so(fake: FakeChannel) -> None:
    fake.trouble(Trouble.HTML, times=FOREVER)
    with raises(Malformed):
        await fake.connector.check(fake.link())
    fake.calm()
    fake.trouble(Trouble.NO_CONNECTION, times=FOREVER)
    with raises(Unreachable):
        await fake.connector.check(fake.link())


@check("pull", gives=Gives.STORMS)
async def a_storm_of_server_errors_is_the_channels_own_and_loses_nothing(fake: FakeChannel) -> None:
    fill(fake, 1)
    found, cursor = await drain(fake, {})
    arrived = set(fill(fake, many(fake)))
    for page, status in enumerate((500, 502, 503, 504, 520, 500)):
        fake.calm()
        fake.down_status = status
        fake.trouble(Trouble.DOWN, times=FOREVER, after=page // 2)
        try:
            batch = await fetch(fake, cursor)
        except ChannelDown:  # and nothing else: it is the channel's trouble
            continue
        found |= {post.external_id: post for post in batch.posts}
        cursor = batch.cursor
    fake.calm()
    more, _ = await drain(fake, cursor)
    assert arrived <= set(found | more)


@check("pull", gives=(Gives.CUT, Gives.HTML))
async def a_bad_answer_in_mid_page_loses_nothing(fake: FakeChannel) -> None:
    fill(fake, 1)
    found, cursor = await drain(fake, {})
    arrived = set(fill(fake, many(fake)))
    for kind in (Trouble.HTML, Trouble.TRUNCATED, Trouble.NULL):
        fake.calm()
        fake.trouble(kind, after=1)
        try:
            batch = await fetch(fake, cursor)
        except ConnectorError:
            continue
        found |= {post.external_id: post for post in batch.posts}
        cursor = batch.cursor
    fake.calm()
    more, _ = await drain(fake, cursor)
    assert arrived <= set(found | more)
