"""A send that crashes at any point: settled as the outbox settles it, it stands once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from app.connectors.base import IncomingPost, OutgoingReply, Sent
from app.connectors.testing.checks import check
from app.connectors.testing.fake import FakeChannel, Trouble
from app.connectors.testing.gives import Gives
from app.connectors.testing.steps import PICTURES, answer, asked, drain, raises, send, tried
from app.connectors.wire import CLOCKS_APART
from app.errors import ConnectorError

MOST_REQUESTS = 40  # of one send


async def _settled(fake: FakeChannel, reply: OutgoingReply) -> Sent:
    """The reply after a crash: nobody knows whether it was sent, so it is repeated where that is safe, else looked for."""
    again = tried(fake, reply)
    fake.tick(timedelta(minutes=1))
    if not fake.connector.able(reply.to).idempotent:
        found = await fake.connector.find_sent(fake.link(), again)
        if found is not None:
            return found
    sent: Sent = await send(fake, again)
    return sent


async def _crashes_everywhere(fake: FakeChannel, trouble: Trouble, **more: Any) -> None:
    """A send for each of its requests, which meets this trouble at that one; each stands once in the end."""
    post = await asked(fake)
    for request in range(MOST_REQUESTS):
        reply = answer(fake, post, f"Answer number {request}.", **more)
        fake.requests.clear()
        fake.trouble(trouble, after=request)
        try:
            sent = await send(fake, reply)
        except ConnectorError as error:
            fake.calm()
            if error.permanent:
                raise
            sent = await _settled(fake, reply)
        met = len(fake.requests) > request
        fake.calm()
        standing = [one for one in fake.ledger() if f"number {request}." in one.text]
        assert [one.external_id for one in standing] == [sent.external_id], f"crashed at request {request}"
        fake.tick()
        if not met:
            return


@check("asks", "reply", "settles", gives=Gives.ONCE)
async def a_send_that_crashes_before_any_of_its_requests_was_taken_stands_once(fake: FakeChannel) -> None:
    await _crashes_everywhere(fake, Trouble.RESET)


@check("asks", "reply", "settles", gives=Gives.ONCE)
async def a_send_that_crashes_after_any_of_its_requests_was_taken_stands_once(fake: FakeChannel) -> None:
    await _crashes_everywhere(fake, Trouble.ANSWER_LOST)


@check("asks", "reply", "settles", "pictures", gives=Gives.ONCE)
async def a_send_with_pictures_that_crashes_anywhere_stands_once(fake: FakeChannel) -> None:
    rules = fake.connector.capabilities.pictures
    assert rules is not None
    pictures = tuple(replace(one, alt=one.alt[: rules.alt]) for one in PICTURES[: rules.most])
    await _crashes_everywhere(fake, Trouble.ANSWER_LOST, pictures=pictures)


@check("asks", "reply", "settles", gives=Gives.SKEW)
async def a_send_is_settled_once_though_our_clock_and_the_channels_disagree(fake: FakeChannel) -> None:
    for ahead in (timedelta(seconds=5) - CLOCKS_APART, CLOCKS_APART - timedelta(seconds=5)):
        post = await asked(fake)
        reply = replace(answer(fake, post, f"Answered {ahead}."), attempted_at=fake.now + ahead)
        fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
        with raises(ConnectorError):
            await send(fake, reply)
        fake.calm()
        sent = await _settled(fake, reply)
        standing = [one for one in fake.ledger() if f"{ahead}" in one.text]
        assert [one.external_id for one in standing] == [sent.external_id]
        fake.tick(timedelta(minutes=20))


@check("asks", "reply", gives=Gives.ECHOES)
async def our_reply_comes_back_as_our_own_or_not_at_all(fake: FakeChannel) -> None:
    post = await asked(fake)
    _, cursor = await drain(fake, {})
    reply = answer(fake, post, "An answer that must not be queued.")
    sent = await send(fake, reply)
    for begin in ({}, cursor):
        found, _ = await drain(fake, begin)
        for one in found.values():
            assert one.own or not _is_ours(one, sent, reply), "our own reply came back as news"


def _is_ours(post: IncomingPost, sent: Sent, reply: OutgoingReply) -> bool:
    return post.external_id == sent.external_id or reply.text in post.text
