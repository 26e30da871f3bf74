"""Sends whose outcome nobody knows: they are left open, found by looking, and never believed without proof."""

from datetime import timedelta

from app.connectors.testing.checks import check
from app.connectors.testing.fake import FOREVER, FakeChannel, Trouble
from app.connectors.testing.gives import Gives
from app.connectors.testing.steps import answer, asked, drain, raises, send, tried, unanswered, uncertain
from app.errors import ConnectorError


@check("asks", "reply", "find_sent", gives=Gives.ONCE)
async def a_send_whose_answer_was_lost_is_found_by_looking(fake: FakeChannel) -> None:
    reply = await uncertain(fake, Trouble.ANSWER_LOST)
    sent = await fake.connector.find_sent(fake.link(), reply)
    (standing,) = fake.ledger()
    assert sent is not None
    assert sent.external_id == standing.external_id


@check("asks", "reply", "find_sent")
async def a_send_that_broke_off_before_it_was_done_is_not_found(fake: FakeChannel) -> None:
    for trouble in (Trouble.RESET, Trouble.SLOW):
        reply = await uncertain(fake, trouble)
        assert await fake.connector.find_sent(fake.link(), reply) is None
    assert not fake.ledger()


@check("asks", "reply", gives=(Gives.HTML, Gives.STORMS))
async def a_send_answered_with_an_error_page_leaves_its_outcome_open(fake: FakeChannel) -> None:
    for trouble in unanswered(fake, Trouble.DOWN, Trouble.HTML, Trouble.NULL):
        await uncertain(fake, trouble)


@check("asks", "reply", "find_sent", gives=(Gives.CUT, Gives.ONCE))
async def a_send_whose_answer_was_cut_is_found_by_looking(fake: FakeChannel) -> None:
    reply = await uncertain(fake, Trouble.TRUNCATED)
    sent = await fake.connector.find_sent(fake.link(), reply)
    assert sent is not None


@check("asks", "reply", "find_sent", "parents")
async def looking_is_not_fooled_by_the_same_text_under_another_post(fake: FakeChannel) -> None:
    other = await asked(fake)
    reply = await uncertain(fake, Trouble.RESET)
    await send(fake, answer(fake, other, reply.text))
    assert await fake.connector.find_sent(fake.link(), reply) is None


@check("asks", "reply", "find_sent")
async def looking_is_not_fooled_by_another_text_under_the_same_post(fake: FakeChannel) -> None:
    reply = await uncertain(fake, Trouble.RESET)
    post = (await drain(fake, {}))[0][reply.to_external_id]
    await send(fake, answer(fake, post, "Something else entirely."))
    assert await fake.connector.find_sent(fake.link(), reply) is None


@check("asks", "reply", "find_sent")
async def looking_is_not_fooled_by_the_same_text_of_an_earlier_reply(fake: FakeChannel) -> None:
    post = await asked(fake)
    await send(fake, answer(fake, post, "Thank you!"))
    fake.tick(timedelta(hours=2))
    reply = tried(fake, answer(fake, post, "Thank you!"))
    assert await fake.connector.find_sent(fake.link(), reply) is None


@check("asks", "reply", "find_sent")
async def looking_while_the_channel_is_in_trouble_raises_and_never_says_no(fake: FakeChannel) -> None:
    reply = await uncertain(fake, Trouble.ANSWER_LOST)
    for trouble in (Trouble.DOWN, Trouble.HTML, Trouble.RATE_LIMITED, Trouble.TRUNCATED, Trouble.NO_CONNECTION):
        fake.calm()
        fake.trouble(trouble, times=FOREVER)
        with raises(ConnectorError):
            await fake.connector.find_sent(fake.link(), reply)


@check("asks", "reply", "shaped", gives=Gives.CUT)
async def a_send_whose_answer_was_cut_leaves_its_outcome_open(fake: FakeChannel) -> None:
    await uncertain(fake, Trouble.TRUNCATED)
