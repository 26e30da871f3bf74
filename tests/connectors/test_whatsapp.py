"""What is WhatsApp's own: its window and templates, files, and what became of messages."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.connectors.base import Batch, Fate, Filled, IncomingPost, OutgoingReply, Visibility
from app.connectors.testing.fake import FOREVER, Trouble
from app.connectors.testing.steps import PICTURES, answer, asked, send
from app.connectors.whatsapp import WhatsAppConnector
from app.connectors.whatsapp_templates import read_template
from app.errors import Malformed, RateLimited, Refused, Unauthorized
from tests.connectors.fakes.meta import VERIFY, Entry
from tests.connectors.fakes.whatsapp import FILES, PEOPLE, TEMPLATES, FakeWhatsApp

WHATSAPP = WhatsAppConnector()
FILLED = Filled("order_update", "en_US", (("1", "Ada"), ("2", "4711")))


def received(fake: FakeWhatsApp, *entries: Entry) -> Batch:
    """What a delivery of these entries brings, before it is completed."""
    body = json.dumps({"object": "whatsapp_business_account", "entry": [fake.entry(one) for one in entries]}).encode()
    delivery = fake.signed(body)
    return WHATSAPP.receive(fake.link(), delivery.headers, delivery.body)


def pushed(fake: FakeWhatsApp) -> tuple[IncomingPost, ...]:
    (delivery,) = fake.pushed()
    return WHATSAPP.receive(fake.link(), delivery.headers, delivery.body).posts


def templated(fake: FakeWhatsApp, post: IncomingPost, filled: Filled = FILLED) -> OutgoingReply:
    """An answer by a template, frozen."""
    reply = OutgoingReply("key", "Hello", post.visibility, post.ref, post.external_id, fake.now, template=filled)
    return replace(reply, prepared=WHATSAPP.prepare(fake.link(), reply))


def test_meta_proves_the_address_with_the_verify_token() -> None:
    query = {"hub.mode": "subscribe", "hub.challenge": "42", "hub.verify_token": VERIFY}
    assert WHATSAPP.challenge(FakeWhatsApp().link(), query) == "42"


def test_a_message_names_its_writer_by_number_and_profile() -> None:
    fake = FakeWhatsApp()
    fake.arrive("Does it come in another colour?")
    (post,) = pushed(fake)
    assert (post.author.external_id, post.author.handle, post.author.name) == (
        PEOPLE["ada"],
        f"+{PEOPLE['ada']}",
        "Ada",
    )


def test_a_delivery_for_another_number_of_the_app_brings_nothing() -> None:
    fake = FakeWhatsApp()
    told_of = fake.told("hello")
    told_of["changes"][0]["value"]["metadata"]["phone_number_id"] = "1"
    assert not received(fake, told_of).posts


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"type": "button", "button": {"text": "Yes, please", "payload": "YES"}}, "Yes, please"),
        ({"type": "interactive", "interactive": {"type": "list_reply", "list_reply": {"id": "1", "title": "Tents"}}}, "Tents"),
        ({"type": "location", "location": {"latitude": 52.5, "longitude": 13.4, "name": "Shop"}}, "Shop"),
        ({"type": "contacts", "contacts": [{"name": {"formatted_name": "Bob"}}]}, "Bob"),
        ({"type": "unsupported", "errors": [{"code": 131051, "title": "Message type unknown"}]}, "Message type unknown (131051)"),
        ({"type": "poll_of_2031", "poll_of_2031": {}}, "[poll_of_2031]"),
    ],
)  # fmt: skip
def test_a_message_of_any_type_says_what_it_says(said: dict[str, Any], text: str) -> None:
    fake = FakeWhatsApp()
    fake.write(said)
    assert [post.text for post in pushed(fake)] == [text]


def test_a_reaction_is_no_message() -> None:
    fake = FakeWhatsApp()
    fake.write({"type": "reaction", "reaction": {"message_id": "wamid.1", "emoji": "👍"}})
    assert not pushed(fake)


async def test_a_customers_picture_is_fetched_and_kept() -> None:
    fake = FakeWhatsApp()
    fake.files["123"] = b"\xff\xd8\xff\xe0tent"
    fake.write({"type": "image", "image": {"id": "123", "caption": "Torn", "mime_type": "image/jpeg"}})
    (post,) = (await WHATSAPP.complete(fake.link(), Batch(posts=pushed(fake)))).posts
    assert (post.text, post.media[0].kind, post.media[0].content) == ("Torn", "image", fake.files["123"])


async def test_a_file_that_whatsapp_does_not_give_leaves_the_message() -> None:
    fake = FakeWhatsApp()
    fake.write({"type": "document", "document": {"id": "404", "filename": "invoice.pdf"}})
    (post,) = (await WHATSAPP.complete(fake.link(), Batch(posts=pushed(fake)))).posts
    assert (post.media[0].title, post.media[0].content) == ("invoice.pdf", None)


async def test_our_token_goes_to_no_host_but_metas() -> None:
    fake = FakeWhatsApp()
    fake.answer_get = lambda path, query: {"url": f"https://{FILES}.evil.example/1"}  # type: ignore[method-assign]
    fake.write({"type": "image", "image": {"id": "123"}})
    await WHATSAPP.complete(fake.link(), Batch(posts=pushed(fake)))
    assert {request.url.host for request in fake.requests} == {"graph.facebook.com"}


# The window and templates


async def test_after_a_day_only_a_template_goes_out() -> None:
    fake = FakeWhatsApp()
    post = await asked(fake)
    window = WHATSAPP.window(None, post.ref, Visibility.DIRECT, fake.now)
    assert window is not None
    assert window.until == post.posted_at + timedelta(hours=24)
    fake.tick(timedelta(hours=25))
    with pytest.raises(Refused, match="choose a template"):
        answer(fake, post)
    await send(fake, templated(fake, post))
    (body,) = fake.sent.values()
    assert [one["text"] for one in body["template"]["components"][0]["parameters"]] == ["Ada", "4711"]


async def test_a_template_with_names_is_filled_by_name() -> None:
    fake = FakeWhatsApp()
    post = await asked(fake)
    await send(fake, templated(fake, post, Filled("come_back", "de", (("name", "Ada"),), named=True)))
    (body,) = fake.sent.values()
    assert body["template"]["components"][0]["parameters"] == [
        {"type": "text", "text": "Ada", "parameter_name": "name"}
    ]


async def test_a_message_that_comes_too_late_all_the_same_is_refused_for_good() -> None:
    fake = FakeWhatsApp()
    reply = answer(fake, await asked(fake))
    fake.tick(timedelta(hours=25))
    with pytest.raises(Refused, match="Re-engagement"):
        await send(fake, reply)


async def test_templates_that_words_can_fill_are_brought_four_times_an_hour() -> None:
    fake = FakeWhatsApp()
    batch = await WHATSAPP.fetch(fake.link(), {})
    assert batch.templates is not None
    assert [(one.name, one.variables, one.named) for one in batch.templates] == [
        ("order_update", ("1", "2"), False),
        ("come_back", ("name",), True),
    ]
    asked_for = len(fake.requests)
    assert (await WHATSAPP.fetch(fake.link(), batch.cursor)).templates is None
    assert len(fake.requests) == asked_for
    fake.tick(timedelta(minutes=16))
    assert (await WHATSAPP.fetch(fake.link(), batch.cursor)).templates is not None


async def test_every_page_of_the_templates_is_read() -> None:
    fake = FakeWhatsApp()
    fake.templates = [{**TEMPLATES[0], "name": f"t{n}"} for n in range(3 * fake.page_size)]
    batch = await WHATSAPP.fetch(fake.link(), {})
    assert len(batch.templates or ()) == 3 * fake.page_size


@pytest.mark.parametrize(
    "change",
    [
        {"status": "PAUSED"},
        {"components": [{"type": "HEADER", "format": "VIDEO"}, {"type": "BODY", "text": "Hi"}]},
        {"components": [{"type": "BODY", "text": "Hi"}, {"type": "BUTTONS", "buttons": [{"type": "URL", "url": "https://a.example/{{1}}"}]}]},
        {"components": [{"type": "FOOTER", "text": "Hi"}]},
    ],
)  # fmt: skip
def test_a_template_that_words_alone_cannot_fill_is_not_offered(change: dict[str, Any]) -> None:
    assert read_template({**TEMPLATES[0], **change}) is None


async def test_testing_the_connection_names_the_number_and_counts_the_templates() -> None:
    said = await WHATSAPP.check(FakeWhatsApp().link())
    assert said.account is not None
    assert said.account.handle == "+1 555-078-3881"
    assert said.notices == (
        "2 templates can be used.",
        "1 more templates need a picture or a button, and cannot be used here.",
    )


async def test_a_dead_token_is_noticed_though_messages_are_pushed() -> None:
    fake = FakeWhatsApp()
    fake.trouble(Trouble.EXPIRED, times=FOREVER)
    with pytest.raises(Unauthorized):
        await WHATSAPP.fetch(fake.link(), {})


# What became of messages


async def test_a_message_that_was_not_delivered_after_all_is_told_with_the_cause() -> None:
    fake = FakeWhatsApp()
    sent = await send(fake, answer(fake, await asked(fake)))
    error = {"code": 131026, "title": "Message undeliverable", "error_data": {"details": "Not on WhatsApp any more."}}
    (fate,) = received(fake, fake.status(sent.external_id, "failed", errors=[error])).fates
    assert fate.external_id == sent.external_id
    assert "Not on WhatsApp any more. (131026)" in fate.reason


async def test_a_message_that_arrived_is_told_under_our_key_and_one_that_was_read_is_no_news() -> None:
    fake = FakeWhatsApp()
    reply = answer(fake, await asked(fake))
    sent = await send(fake, reply)
    told_of = [fake.status(sent.external_id, status) for status in ("delivered", "read")]
    assert received(fake, *told_of).fates == (Fate(sent.external_id, reply.key),)


async def test_a_caption_is_shorter_than_a_message() -> None:
    fake = FakeWhatsApp()
    post = await asked(fake)
    answer(fake, post, "x" * 2000)
    with pytest.raises(Refused, match="976 too long"):
        answer(fake, post, "x" * 2000, pictures=PICTURES[:1])


async def test_a_picture_without_an_id_was_not_sent() -> None:
    fake = FakeWhatsApp()
    reply = answer(fake, await asked(fake), pictures=PICTURES[:1])
    fake.trouble(Trouble.NULL)
    with pytest.raises(Malformed) as caught:
        await send(fake, reply)
    assert caught.value.delivered is False


async def test_too_many_messages_are_sent_later() -> None:
    fake = FakeWhatsApp()
    reply = answer(fake, await asked(fake))
    fake.trouble(Trouble.RATE_LIMITED)
    with pytest.raises(RateLimited):
        await send(fake, reply)
