"""What is pushed to us: signed, read once, refused when it is not what it says."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from app.connectors.base import Batch
from app.connectors.testing.checks import check
from app.connectors.testing.fake import FakeChannel, with_unknown_fields
from app.connectors.testing.gives import Gives
from app.connectors.testing.steps import SCRIPTS, assert_sound, plain, raises
from app.errors import Malformed, Unauthorized


def _received(fake: FakeChannel, *texts: str, **more: Any) -> Batch:
    """All that these deliveries bring, under the first one's name."""
    told = [fake.connector.receive(fake.link(), sent.headers, sent.body) for sent in fake.deliveries(*texts, **more)]
    posts, rejected = (tuple(one for batch in told for one in getattr(batch, part)) for part in ("posts", "rejected"))
    return replace(told[0], posts=posts, rejected=rejected)


@check("receive")
async def a_signed_delivery_is_read(fake: FakeChannel) -> None:
    batch = _received(fake, "hello", "are you there?")
    assert [post.text for post in batch.posts] == ["hello", "are you there?"]
    assert batch.delivery_id
    for post in batch.posts:
        assert_sound(post)


@check("receive", "signed")
async def a_delivery_whose_body_was_changed_is_refused(fake: FakeChannel) -> None:
    sent = fake.delivery("refund me 10 dollars")
    with raises(Unauthorized):
        fake.connector.receive(fake.link(), sent.headers, sent.body.replace(b"10", b"99"))


@check("receive")
async def a_delivery_without_a_signature_is_refused(fake: FakeChannel) -> None:
    sent = fake.delivery("trust me")
    with raises(Unauthorized):
        fake.connector.receive(fake.link(), {"content-type": "application/json"}, sent.body)
    garbled = {name: "é=,;" if name.lower() != "content-type" else value for name, value in sent.headers.items()}
    with raises(Unauthorized):
        fake.connector.receive(fake.link(), garbled, sent.body)


@check("receive", "dated")
async def a_delivery_recorded_long_ago_is_refused(fake: FakeChannel) -> None:
    sent = fake.delivery("again")
    fake.tick(timedelta(hours=6))
    with raises(Unauthorized):
        fake.connector.receive(fake.link(), sent.headers, sent.body)


@check("receive", gives=Gives.DUPLICATES)
async def a_repeated_delivery_has_the_same_name_and_the_same_posts(fake: FakeChannel) -> None:
    sent = fake.delivery("once")
    first = fake.connector.receive(fake.link(), sent.headers, sent.body)
    second = fake.connector.receive(fake.link(), sent.headers, sent.body)
    assert first.delivery_id == second.delivery_id
    assert [p.external_id for p in first.posts] == [p.external_id for p in second.posts]
    assert _received(fake, "another").delivery_id != first.delivery_id


@check("receive")
async def one_unreadable_post_in_a_delivery_is_set_aside_and_the_others_arrive(fake: FakeChannel) -> None:
    batch = _received(fake, "fine", "fine, too", broken=1)
    assert [post.text for post in batch.posts] == ["fine", "fine, too"]
    (rejected,) = batch.rejected
    assert rejected.reason


@check("receive")
async def a_signed_delivery_of_bad_content_is_malformed(fake: FakeChannel) -> None:
    for body in (b"", b"<html>", b'{"posts": [', b"\xff\xfe", b"null", b"[" * 100_000, b'"text"', b"17"):
        sent = fake.signed(body)
        with raises(Malformed):
            fake.connector.receive(fake.link(), sent.headers, sent.body)


@check("receive")
async def delivered_text_of_any_script_arrives_verbatim_but_for_what_cannot_be_stored(fake: FakeChannel) -> None:
    batch = _received(fake, *SCRIPTS.values())
    assert [plain(post.text) for post in batch.posts] == [plain(text) for text in SCRIPTS.values()]
    for post in batch.posts:
        assert_sound(post)


@check("receive", "pushes", gives=Gives.UNKNOWN)
async def a_delivery_with_fields_that_nobody_documented_is_read(fake: FakeChannel) -> None:
    name = fake.arrive("hello")
    (sent, *_) = fake.pushed()
    strange = fake.signed(json.dumps(with_unknown_fields(json.loads(sent.body))).encode())
    batch = fake.connector.receive(fake.link(), sent.headers | strange.headers, strange.body)
    assert name in {post.external_id for post in batch.posts}
