"""Signed deliveries in, signed replies out; the schema says exactly what is wrong with a bad entry."""

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from app.connectors.base import Batch, Json, OutgoingReply, Picture, Poll, PostKind, Quote, Visibility
from app.connectors.signing import new_secret, sign, verified_id
from app.connectors.testing.fake import START, Trouble
from app.connectors.webhook import WebhookCredentials, WebhookSettings
from app.errors import ChannelDown, Malformed, MaybeSent, RateLimited, Refused, Unauthorized, Unreachable
from tests.connectors.fakes.webhook import SECRET, FakeSender


@pytest.fixture
def fake() -> FakeSender:
    return FakeSender()


def deliver(fake: FakeSender, content: Any) -> Batch:
    sent = fake.signed(json.dumps(content).encode())
    return fake.connector.receive(fake.link(), sent.headers, sent.body)


def post(**more: Any) -> dict[str, Any]:
    return {"id": "7", "text": "hello", "author": {"id": "u1"}} | more


def reason(fake: FakeSender, **more: Any) -> str:
    (rejected,) = deliver(fake, post(**more)).rejected
    return rejected.reason


async def reply_to(fake: FakeSender, text: str = "Thanks!", **more: Any) -> OutgoingReply:
    (asked,) = deliver(fake, post(**more)).posts
    reply = OutgoingReply(
        key="0d6c4a1e-reply",
        text=text,
        visibility=Visibility.PUBLIC,
        to=asked.ref,
        to_external_id=asked.external_id,
        created_at=fake.now,
    )
    return replace(reply, prepared=fake.connector.prepare(fake.link(), reply))


def test_the_example_of_the_specification_verifies() -> None:
    body = b'{"test": 2432232314}'
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    at = datetime.fromtimestamp(1614265330, UTC)
    assert verified_id(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], headers, body, at) == headers["webhook-id"]


def test_one_post_may_come_without_a_list(fake: FakeSender) -> None:
    (found,) = deliver(fake, post()).posts
    assert (found.external_id, found.thread_id, found.text, found.posted_at) == ("shop:7", "shop:7", "hello", START)


def test_every_field_of_the_schema_is_read_and_others_are_kept(fake: FakeSender) -> None:
    full = post(
        author={"id": 9, "handle": "ada", "name": "Ada", "url": "https://a.example/ada", "followers": 12},
        thread="t1",
        in_reply_to="6",
        kind="comment",
        posted_at="2026-11-02T08:00:00+02:00",
        title="Title",
        url="https://a.example/7",
        language="pt-BR",
        media=[{"url": "https://a.example/i.png", "description": "A torn tent"}],
        order={"number": "NW-1"},
    )
    (found,) = deliver(fake, full).posts
    assert found.thread_id == "shop:t1"
    assert found.in_reply_to == "shop:6"
    assert found.kind is PostKind.COMMENT
    assert found.posted_at == datetime(2026, 11, 2, 6, tzinfo=UTC)
    assert found.author.external_id == "shop:9"
    assert found.media[0].description == "A torn tent"
    assert found.language == "pt-BR"
    assert found.payload["order"] == {"number": "NW-1"}


QUOTE = {"text": "Ours never leaked.", "name": "Jo", "handle": "@jo", "url": "https://a.example/q", "language": "en"}
POLL = {"options": [{"text": "Tent", "votes": 3}, {"text": "Bed", "votes": 0}], "ends_at": "2026-11-03T00:00:00Z"}


def test_a_quoted_post_and_a_poll_hang_on_the_post_as_on_other_channels(fake: FakeSender) -> None:
    (found,) = deliver(fake, post(text="", quote=QUOTE, poll=POLL)).posts
    quoted, polled = found.media
    assert (quoted.kind, quoted.url, quoted.title, quoted.description) == (
        "quote",
        "https://a.example/q",
        "Jo",
        "Ours never leaked.",
    )
    assert quoted.quote == Quote("@jo", None, "en")
    assert polled.poll == Poll(("Tent", "Bed"), (3, 0), multiple=False, ends_at=datetime(2026, 11, 3, tzinfo=UTC))


def test_votes_that_are_not_told_of_every_option_are_not_told(fake: FakeSender) -> None:
    (found,) = deliver(fake, post(poll={"options": [{"text": "a", "votes": 1}, {"text": "b"}]})).posts
    assert found.media[0].poll == Poll(("a", "b"))


@pytest.mark.parametrize(
    ("given", "kinds"),
    [({}, None), ({"poll": POLL}, ["poll"]), ({"media": []}, []), ({"media": [], "quote": {}}, ["quote"])],
)
def test_an_edit_tells_all_that_hangs_on_the_post_or_nothing(
    fake: FakeSender, given: dict[str, Any], kinds: list[str] | None
) -> None:
    (edit,) = deliver(fake, {"type": "post.edited", "id": "7", "text": "x", **given}).changes
    assert (None if edit.media is None else [media.kind for media in edit.media]) == kinds


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"author": {}}, "author.id: Field required"),
        ({"text": ["a"]}, "text: Input should be a valid string"),
        ({"text": " "}, "text is empty"),
        ({"id": ""}, "id: String should have at least 1 character"),
        ({"posted_at": "2026-11-02T08:00:00"}, "posted_at: Input should have timezone info"),
        ({"posted_at": "0001-01-01T00:00:00+14:00"}, "posted_at: Input should be greater"),
        ({"kind": "shout"}, "kind: Input should be"),
        ({"url": "javascript:alert(1)"}, "url: an address starts with https://"),
        ({"media": [{"url": "data:text/html,x"}]}, "media.0.url: an address starts"),
        ({"language": "<b>"}, "language: String should match pattern"),
        ({"author": {"id": "u", "followers": -1}}, "author.followers: Input should be greater"),
        ({"text": "x" * 100_001}, "text: String should have at most 100000 characters"),
    ],
)
def test_a_bad_entry_is_set_aside_with_its_field_and_the_reason(fake: FakeSender, change: Json, words: str) -> None:
    assert words in reason(fake, **change)


def test_good_entries_pass_beside_bad_ones_and_each_keeps_its_name(fake: FakeSender) -> None:
    batch = deliver(fake, {"posts": [post(), post(id="8", author=None), "what?", post(id="9")]})
    assert [one.external_id for one in batch.posts] == ["shop:7", "shop:9"]
    assert batch.rejected[0].external_id == "shop:8"
    assert batch.rejected[1].payload == {"entry": "what?"}


def test_a_photo_needs_no_words(fake: FakeSender) -> None:
    assert deliver(fake, post(text="", media=[{"url": "https://a.example/i.png"}])).posts


def test_a_direct_message_is_direct_in_kind_and_visibility_however_it_says_so(fake: FakeSender) -> None:
    for how in ({"kind": "direct"}, {"visibility": "direct"}, {"kind": "direct", "visibility": "public"}):
        (found,) = deliver(fake, post(**how)).posts
        assert (found.kind, found.visibility) == (PostKind.DIRECT, Visibility.DIRECT)


def test_a_time_in_the_future_becomes_now(fake: FakeSender) -> None:
    assert deliver(fake, post(posted_at="2038-01-01T00:00:00Z")).posts[0].posted_at == START


def test_five_hundred_posts_are_taken_and_one_more_is_not(fake: FakeSender) -> None:
    many = [post(id=str(n)) for n in range(501)]
    assert len(deliver(fake, {"posts": many[:500]}).posts) == 500
    with pytest.raises(Malformed, match="501 posts"):
        deliver(fake, {"posts": many})


def test_secrets_rotate_on_either_side(fake: FakeSender) -> None:
    old, new = new_secret(), new_secret()
    body = json.dumps(post()).encode()
    ours = fake.link(credentials=WebhookCredentials.model_validate({"secret": new, "old_secret": old}))
    assert fake.connector.receive(ours, sign(old, "m1", fake.now, body), body).posts
    both = sign(old, "m2", fake.now, body)
    both["webhook-signature"] += " v2,future " + sign(SECRET, "m2", fake.now, body)["webhook-signature"]
    assert fake.connector.receive(fake.link(), both, body).posts


@pytest.mark.parametrize("off", [timedelta(minutes=5, seconds=1), -timedelta(minutes=5, seconds=1)])
def test_a_delivery_signed_more_than_five_minutes_away_is_refused(fake: FakeSender, off: timedelta) -> None:
    sent = fake.signed(b"{}")
    with pytest.raises(Unauthorized, match="clock"):
        fake.connector.receive(fake.link(now=fake.now + off), sent.headers, sent.body)


@pytest.mark.parametrize("stamp", ["", "soon", "9" * 400, "-1", "nan"])
def test_a_time_that_is_none_is_refused(fake: FakeSender, stamp: str) -> None:
    sent = fake.signed(b"{}")
    with pytest.raises(Unauthorized):
        fake.connector.receive(fake.link(), sent.headers | {"Webhook-Timestamp": stamp}, sent.body)


def test_another_id_on_a_recorded_delivery_is_refused(fake: FakeSender) -> None:
    sent = fake.signed(b"{}")
    with pytest.raises(Unauthorized, match="does not fit"):
        fake.connector.receive(fake.link(), sent.headers | {"Webhook-Id": "other"}, sent.body)


def test_a_secret_is_made_when_none_is_given_and_a_bad_one_is_not_taken() -> None:
    made = WebhookCredentials.model_validate({"secret": ""})
    assert made.secret.get_secret_value().startswith("whsec_")
    assert made.secret != WebhookCredentials.model_validate({}).secret
    for bad in ("password", "whsec_%%%", "whsec_YWJj"):
        with pytest.raises(ValidationError, match="secret"):
            WebhookCredentials.model_validate({"secret": bad})


def test_a_source_is_a_short_plain_name() -> None:
    with pytest.raises(ValidationError):
        WebhookSettings(source="My Shop: ?")


async def test_a_reply_arrives_signed_once_however_often_it_is_sent(fake: FakeSender) -> None:
    reply = await reply_to(fake)
    first = await fake.connector.send(fake.link(), reply)
    fake.tick(timedelta(hours=5))
    second = await fake.connector.send(fake.link(), reply)
    (standing,) = fake.ledger()
    assert first.external_id == second.external_id == standing.external_id
    assert (standing.text, standing.parent) == ("Thanks!", "shop:7")
    assert fake.requests[0].content == fake.requests[1].content


async def test_a_reply_to_a_direct_message_is_no_wider_than_it(fake: FakeSender) -> None:
    await fake.connector.send(fake.link(), await reply_to(fake, kind="direct"))
    assert fake.ledger()[0].visibility is Visibility.DIRECT


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (Trouble.NO_CONNECTION, Unreachable),
        (Trouble.RESET, MaybeSent),
        (Trouble.SLOW, MaybeSent),
        (Trouble.ANSWER_LOST, MaybeSent),
        (Trouble.DOWN, ChannelDown),
        (Trouble.HTML, Malformed),
        (Trouble.RATE_LIMITED, RateLimited),
        (Trouble.EXPIRED, Unauthorized),
    ],
)
async def test_trouble_at_the_receiver_says_whether_the_reply_may_stand(
    fake: FakeSender, trouble: Trouble, kind: type[Exception]
) -> None:
    reply = await reply_to(fake)
    fake.trouble(trouble)
    with pytest.raises(kind):
        await fake.connector.send(fake.link(), reply)
    await fake.connector.send(fake.link(), reply)
    assert len(fake.ledger()) == 1


@pytest.mark.parametrize("answer", [b"", b"ok", b"[1]", b'{"id": null, "url": "http://[bad"}', b"\xff"])
async def test_a_receiver_need_not_say_where_the_reply_stands(fake: FakeSender, answer: bytes) -> None:
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(202, content=answer)))
    sent = await fake.connector.send(fake.link(http=client), await reply_to(fake))
    assert (sent.external_id, sent.url) == ("shop:reply:0d6c4a1e-reply", None)


async def test_a_redirect_takes_no_reply_along(fake: FakeSender) -> None:
    moved = httpx.Response(307, headers={"location": "https://elsewhere.example/"})
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: moved))
    with pytest.raises(Refused, match="redirects"):
        await fake.connector.send(fake.link(http=client), await reply_to(fake))


async def test_without_an_address_for_replies_none_is_sent_and_the_check_says_so(fake: FakeSender) -> None:
    only_in = fake.link(credentials=WebhookCredentials.model_validate({"secret": SECRET}))
    with pytest.raises(Refused, match="no address for replies"):
        await fake.connector.send(only_in, await reply_to(fake))
    assert "only be read" in (await fake.connector.check(only_in)).notices[0]


def test_changes_are_read_beside_posts_and_name_the_senders_own_post() -> None:
    fake = FakeSender()
    entries = [
        fake.post("The zip split"),
        {"type": "post.edited", "id": "1042", "text": "The zip split twice", "at": "2026-11-01T09:00:00Z"},
        {"type": "post.deleted", "id": "1043"},
        {"type": "post.deleted"},
    ]
    sent = fake.signed(json.dumps({"posts": entries}).encode())
    batch = fake.connector.receive(fake.link(), sent.headers, sent.body)
    edited, deleted = batch.changes
    assert (edited.external_id, edited.text, edited.title, edited.media) == (
        "shop:1042",
        "The zip split twice",
        None,
        None,
    )
    assert (deleted.external_id, deleted.deleted, deleted.changed_at) == ("shop:1043", True, fake.now)
    assert [(len(batch.posts), len(batch.rejected))] == [(1, 1)]


def test_a_post_with_a_type_of_its_own_is_a_post() -> None:
    fake = FakeSender()
    sent = fake.signed(json.dumps({**fake.post("Nice"), "type": "review"}).encode())
    assert len(fake.connector.receive(fake.link(), sent.headers, sent.body).posts) == 1


async def test_pictures_go_in_the_body_the_same_at_every_try() -> None:
    fake = FakeSender()
    shot = Picture("image/png", 2, 1, "Two pixels", b"\x89PNG\r\n\x1a\nbytes")
    reply = replace(await reply_to(fake), pictures=(shot,))
    reply = replace(reply, prepared=fake.connector.prepare(fake.link(), reply))
    assert base64.b64encode(shot.content).decode() not in reply.prepared["body"]
    for _ in range(2):
        await fake.connector.send(fake.link(), reply)
    first, second = (request.content for request in fake.requests)
    assert first == second
    [told] = fake.events[reply.key]["media"]
    assert base64.b64decode(told.pop("content")) == shot.content
    digest = hashlib.sha256(shot.content).hexdigest()
    assert told == {"type": "image/png", "alt": "Two pixels", "width": 2, "height": 1, "size": 13, "sha256": digest}
