"""Pictures on a reply."""

import json
from dataclasses import replace
from datetime import timedelta

from app.connectors.testing.checks import check
from app.connectors.testing.fake import FOREVER, FakeChannel, Trouble
from app.connectors.testing.steps import (
    PICTURES,
    answer,
    asked,
    carried,
    raises,
    send,
    through_json,
    tried,
)
from app.errors import ConnectorError


@check("asks", "reply", "pictures")
async def a_reply_carries_its_pictures_in_order_with_their_descriptions(fake: FakeChannel) -> None:
    post = await asked(fake)
    pictures = carried(fake)
    await send(fake, answer(fake, post, pictures=pictures))
    (standing,) = fake.ledger()
    assert standing.pictures == tuple((one.alt, one.content) for one in pictures)


@check("asks", "reply", "pictures")
async def what_was_prepared_with_pictures_is_small_and_the_same_every_time(fake: FakeChannel) -> None:
    post = await asked(fake)
    heavy = replace(PICTURES[0], content=PICTURES[0].content + bytes(500_000))
    reply = answer(fake, post, pictures=(heavy,))
    assert through_json(fake.connector.prepare(fake.link(), replace(reply, prepared={}))) == reply.prepared
    assert len(json.dumps(reply.prepared)) < 10_000


@check("asks", "reply", "pictures", "idempotent")
async def a_send_with_pictures_whose_answer_was_lost_is_repeated_safely(fake: FakeChannel) -> None:
    post = await asked(fake)
    reply = answer(fake, post, pictures=carried(fake))
    fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
    with raises(ConnectorError):
        await send(fake, reply)
    fake.tick(timedelta(minutes=2))
    await send(fake, tried(fake, reply))
    (standing,) = fake.ledger()
    assert len(standing.pictures) == len(PICTURES)


@check("asks", "reply", "pictures", "uploads")
async def a_send_that_breaks_off_while_its_pictures_are_brought_was_not_delivered(fake: FakeChannel) -> None:
    post = await asked(fake)
    for trouble in (Trouble.RESET, Trouble.SLOW, Trouble.DOWN, Trouble.ANSWER_LOST, Trouble.HTML):
        fake.calm()
        fake.trouble(trouble, times=FOREVER)
        with raises(ConnectorError) as caught:
            await send(fake, answer(fake, post, pictures=carried(fake)))
        assert caught.value.delivered is False
    assert not fake.ledger()
