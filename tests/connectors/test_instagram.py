"""What is Instagram's own: mentions that deliveries only name, story replies, answers, limits of comments."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from app.connectors.base import Batch, KnownPost, PostKind, Visibility
from app.connectors.instagram import InstagramConnector
from app.connectors.testing.steps import answer, asked, drain, fetch, send, tried
from app.errors import MaybeSent, Refused, Unauthorized
from tests.connectors.fakes.instagram import FakeIgComments, FakeIgTags, FakeInstagram
from tests.connectors.fakes.meta import IG, VERIFY, Entry

INSTAGRAM = InstagramConnector()


def received(fake: FakeInstagram, *entries: Entry) -> Batch:
    """What a delivery of these entries brings, before it is completed."""
    delivery = fake.signed(json.dumps({"object": "instagram", "entry": [fake.entry(one) for one in entries]}).encode())
    return INSTAGRAM.receive(fake.link(), delivery.headers, delivery.body)


async def test_a_mention_that_a_delivery_names_is_asked_for() -> None:
    fake = FakeIgTags()
    batch = await INSTAGRAM.complete(fake.link(), received(fake, fake.told("@northwindgear where is my tent?")))
    (post,) = batch.posts
    assert (post.text, post.author.handle, post.kind) == ("@northwindgear where is my tent?", "ada", PostKind.MENTION)
    await INSTAGRAM.send(fake.link(), answer(fake, post))
    assert fake.ledger()[0].parent == post.external_id


async def test_a_mention_that_is_gone_by_then_is_no_news() -> None:
    fake = FakeIgTags()
    batch = received(fake, fake.told("oops"))
    fake.mentions.clear()
    assert not (await INSTAGRAM.complete(fake.link(), batch)).posts


async def test_who_wrote_a_message_is_asked_for() -> None:
    fake = FakeInstagram()
    batch = await INSTAGRAM.complete(fake.link(), received(fake, fake.told("hello")))
    (post,) = batch.posts
    assert (post.author.handle, post.author.name) == ("ada", "Ada Lovelace")


async def test_an_answer_to_our_story_shows_the_story() -> None:
    fake = FakeInstagram()
    told_of = fake.told("How much is it?")
    told_of["messaging"][0]["message"]["reply_to"] = {"story": {"url": "https://cdn.example/story.jpg", "id": "1"}}
    (post,) = received(fake, told_of).posts
    assert [one.url for one in post.media] == ["https://cdn.example/story.jpg"]


async def test_a_message_that_its_writer_took_back_is_deleted() -> None:
    fake = FakeInstagram()
    told_of = fake.told("never mind")
    told_of["messaging"][0]["message"] |= {"is_deleted": True}
    (change,) = received(fake, told_of).changes
    assert change.deleted


async def test_a_delivery_and_a_poll_give_a_comment_the_same_name_and_place() -> None:
    fake = FakeIgComments()
    told_of = fake.told("Where is my tent?")
    (pushed,) = received(fake, told_of).posts
    listed = (await drain(fake, {}))[0][pushed.external_id]
    assert (pushed.thread_id, pushed.author, pushed.text) == (listed.thread_id, listed.author, listed.text)


async def test_answers_under_an_older_comment_are_brought() -> None:
    fake = FakeIgComments()
    root = fake.arrive("it is broken")
    fake.tick(timedelta(hours=3))
    fake.arrive("another comment", by="bob")
    _, cursor = await drain(fake, {})
    fake.tick(timedelta(hours=1))
    late = fake.arrive("still broken", under=root)
    found, _ = await drain(fake, cursor)
    assert found[late].thread_id == root
    assert found[late].in_reply_to == root


async def test_a_quiet_account_costs_one_call_for_its_comments() -> None:
    fake = FakeIgComments()
    fake.arrive("hello")
    _, cursor = await drain(fake, {})
    fake.requests.clear()
    assert not (await fetch(fake, cursor)).posts
    assert len(fake.requests) == 1


async def test_a_comment_has_at_most_four_hashtags_and_one_link() -> None:
    fake = FakeIgComments()
    post = await asked(fake)
    for text in ("#a #b #c #d #e", "https://a.example and https://b.example"):
        with pytest.raises(Refused, match="four hashtags and one link"):
            answer(fake, post, text)


async def test_a_message_is_counted_in_bytes() -> None:
    fake = FakeInstagram()
    post = await asked(fake)
    answer(fake, post, "é" * 500)
    with pytest.raises(Refused, match="2 too long"):
        answer(fake, post, "é" * 501)


async def test_a_tag_cannot_be_answered_by_program() -> None:
    fake = FakeIgTags()
    post = await asked(fake)
    assert not INSTAGRAM.able(post.ref).reply
    with pytest.raises(Refused, match="answer there"):
        answer(fake, post)


async def test_an_answer_to_a_mention_that_broke_off_is_left_to_a_person() -> None:
    fake = FakeIgTags()
    (post,) = (await INSTAGRAM.complete(fake.link(), received(fake, fake.told("hey")))).posts
    with pytest.raises(MaybeSent, match="does not show us"):
        await INSTAGRAM.find_sent(fake.link(), tried(fake, answer(fake, post)))


async def test_a_comment_is_hidden_and_answered_in_private() -> None:
    fake = FakeIgComments()
    post = await asked(fake)
    await INSTAGRAM.hide(fake.link(), KnownPost(post.external_id, post.ref), hidden=True)
    assert fake.things[post.external_id]["hidden"] is True
    await send(fake, answer(fake, post, visibility=Visibility.DIRECT))
    assert fake.ledger()[0].visibility is Visibility.DIRECT


async def test_a_page_without_an_account_is_said_so() -> None:
    fake = FakeIgComments()
    bare = fake.credentials().model_copy(update={"instagram_id": ""})
    with pytest.raises(Refused, match="No professional Instagram account"):
        await INSTAGRAM.check(replace(fake.link(), credentials=bare))


def test_meta_proves_the_address_with_the_verify_token() -> None:
    query = {"hub.mode": "subscribe", "hub.challenge": "42", "hub.verify_token": VERIFY}
    assert INSTAGRAM.challenge(FakeInstagram().link(), query) == "42"
    with pytest.raises(Unauthorized):
        INSTAGRAM.challenge(FakeInstagram().link(), query | {"hub.verify_token": IG})
