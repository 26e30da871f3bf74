"""Replies stand once, where and for whom they should; what is refused is said to be."""

from dataclasses import replace
from datetime import timedelta

from app.connectors.base import Visibility
from app.connectors.testing.checks import check
from app.connectors.testing.fake import FOREVER, FakeChannel, Trouble
from app.connectors.testing.gives import Gives
from app.connectors.testing.steps import SCRIPTS, answer, asked, drain, plain, raises, send, through_json, tried
from app.errors import ConnectorError, RateLimited, Refused, Unauthorized, Unreachable


@check("asks", "reply")
async def a_reply_stands_once_under_the_right_parent(fake: FakeChannel) -> None:
    await asked(fake)
    post = await asked(fake)
    await asked(fake)
    sent = await send(fake, answer(fake, post))
    (standing,) = fake.ledger()
    assert standing.external_id == sent.external_id
    assert standing.parent == post.external_id or "parents" in fake.cannot
    assert "We are looking into it." in standing.text
    through_json(sent.ref)


@check("asks", "reply", "threads")
async def a_reply_to_an_answer_stands_under_that_answer(fake: FakeChannel) -> None:
    root = fake.arrive("it is broken")
    child = fake.arrive("still broken", under=root)
    found, _ = await drain(fake, {})
    await send(fake, answer(fake, found[child]))
    (standing,) = fake.ledger()
    assert standing.parent == child


@check("asks", "reply", "threads")
async def a_reply_goes_on_under_our_own(fake: FakeChannel) -> None:
    post = await asked(fake)
    first = await send(fake, answer(fake, post, "The first part."))
    fake.tick()
    await send(fake, answer(fake, post, "The second part.", after=through_json(first.ref)))
    one, two = fake.ledger()
    assert (one.parent, two.parent) == (post.external_id, one.external_id)


@check("asks", "reply")
async def a_reply_in_any_script_stands_verbatim(fake: FakeChannel) -> None:
    post = await asked(fake)
    for text in SCRIPTS.values():
        await send(fake, answer(fake, post, plain(text)))
        fake.tick(timedelta(minutes=3))  # two of them are the same but for marks: some channels take that for a repeat
    for text, standing in zip(SCRIPTS.values(), fake.ledger(), strict=True):
        assert plain(text) in standing.text


@check("asks", "reply", "direct")
async def a_reply_to_a_direct_message_is_no_wider_than_it_even_when_asked(fake: FakeChannel) -> None:
    post = await asked(fake, direct=True)
    await send(fake, answer(fake, post, visibility=Visibility.PUBLIC))
    (standing,) = fake.ledger()
    assert standing.visibility is Visibility.DIRECT


@check("asks", "reply")
async def what_was_prepared_is_the_same_every_time(fake: FakeChannel) -> None:
    post = await asked(fake)
    reply = answer(fake, post)
    fake.tick(timedelta(minutes=3))
    again = fake.connector.prepare(fake.link(), replace(reply, prepared={}))
    assert through_json(again) == reply.prepared


@check("asks", "reply", "idempotent", gives=Gives.ONCE)
async def the_same_send_repeated_stands_once(fake: FakeChannel) -> None:
    post = await asked(fake)
    reply = answer(fake, post)
    first = await send(fake, reply)
    again = tried(fake, reply)
    fake.tick(timedelta(minutes=1))
    second = await send(fake, again)
    assert first.external_id == second.external_id
    assert len(fake.ledger()) == 1


@check("asks", "reply", "idempotent")
async def a_send_repeated_hours_later_still_stands_once(fake: FakeChannel) -> None:
    post = await asked(fake)
    reply = answer(fake, post)
    first = await send(fake, reply)
    again = tried(fake, reply)
    fake.tick(timedelta(hours=5))
    second = await send(fake, again)
    assert first.external_id == second.external_id
    assert len(fake.ledger()) == 1


@check("asks", "reply", "idempotent", gives=Gives.ONCE)
async def a_send_whose_answer_was_lost_is_repeated_safely(fake: FakeChannel) -> None:
    post = await asked(fake)
    reply = answer(fake, post)
    fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
    with raises(ConnectorError):
        await send(fake, reply)
    again = tried(fake, reply)
    fake.tick(timedelta(minutes=2))
    sent = await send(fake, again)
    (standing,) = fake.ledger()
    assert sent.external_id == standing.external_id


@check("asks", "reply")
async def two_replies_with_the_same_text_are_two(fake: FakeChannel) -> None:
    post = await asked(fake)
    await send(fake, answer(fake, post, "Thank you!"))
    fake.tick(timedelta(hours=1))
    await send(fake, answer(fake, post, "Thank you!"))
    assert len(fake.ledger()) == 2


@check("asks", "reply")
async def a_send_without_a_connection_was_not_delivered(fake: FakeChannel) -> None:
    post = await asked(fake)
    fake.trouble(Trouble.NO_CONNECTION, times=FOREVER)
    with raises(Unreachable) as caught:
        await send(fake, answer(fake, post))
    assert caught.value.delivered is False
    assert not fake.ledger()


@check("asks", "reply", gives=Gives.LIMITS)
async def a_send_under_a_rate_limit_was_not_delivered_and_says_how_long_to_wait(fake: FakeChannel) -> None:
    post = await asked(fake)
    fake.trouble(Trouble.RATE_LIMITED, times=FOREVER)
    with raises(RateLimited) as caught:
        await send(fake, answer(fake, post))
    assert caught.value.delivered is False
    assert isinstance(caught.value, RateLimited)
    assert abs(caught.value.retry_after - fake.rate_wait) <= timedelta(seconds=2)


@check("asks", "reply", "account")
async def a_send_with_refused_credentials_was_not_delivered(fake: FakeChannel) -> None:
    post = await asked(fake)
    fake.trouble(Trouble.EXPIRED, times=FOREVER)
    with raises(Unauthorized) as caught:
        await send(fake, answer(fake, post))
    assert caught.value.delivered is False
    assert not fake.ledger()


@check("asks", "reply")
async def a_reply_to_a_deleted_post_is_refused_for_good(fake: FakeChannel) -> None:
    post = await asked(fake)
    reply = answer(fake, post)
    fake.remove(post.external_id)
    with raises(Refused) as caught:
        await send(fake, reply)
    assert caught.value.permanent
    assert caught.value.delivered is False
    assert not fake.ledger()


@check("asks", "reply")
async def a_reply_that_is_too_long_is_refused_for_good(fake: FakeChannel) -> None:
    post = await asked(fake)
    limit = fake.connector.able(post.ref).length_limit
    if limit is None:
        return
    with raises(Refused):
        await send(fake, answer(fake, post, "x" * (limit * 20)))
    assert not fake.ledger()
