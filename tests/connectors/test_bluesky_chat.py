"""Direct messages of Bluesky: the chat service behind our own server, its log, its conversations."""

from datetime import timedelta

import pytest

from app.connectors.base import IncomingPost, PostKind, Visibility
from app.connectors.testing.fake import Trouble
from app.connectors.testing.steps import answer, asked, drain, placed
from app.errors import MaybeSent, Refused
from tests.connectors.fakes.bluesky import FakeBluesky, FakeBlueskyMessages, did_of
from tests.connectors.lexicons import Lexicons, lexicons

ADA, US = did_of("ada"), did_of("northwind")


def calls(fake: FakeBluesky) -> list[str]:
    return [request.url.path.rpartition(".")[2] for request in fake.requests]


async def test_a_strangers_request_is_read_as_a_message_between_them_and_us() -> None:
    fake = FakeBlueskyMessages()
    post = await asked(fake, text="my address is private")
    convo = fake.chat.with_(ADA)
    assert (post.kind, post.visibility) == (PostKind.DIRECT, Visibility.DIRECT)
    assert (post.author.external_id, post.author.handle, post.author.name) == (ADA, "ada.bsky.example", "Ada")
    assert post.thread_id == f"chat:{convo.id}"
    assert post.url == f"https://bsky.app/messages/{convo.id}"


async def test_reading_marks_nothing_as_read_and_accepts_no_request() -> None:
    fake = FakeBlueskyMessages()
    await asked(fake)
    await fake.connector.check(fake.link())
    assert {request.method for request in fake.requests if "chat.bsky" in request.url.path} == {"GET"}
    assert fake.chat.with_(ADA).status == "request"


async def test_the_log_brings_what_comes_later_without_the_conversations_being_listed_again() -> None:
    fake = FakeBlueskyMessages()
    fake.arrive("hello")
    _, cursor = await drain(fake, {})
    fake.requests.clear()
    arrived = [fake.arrive(f"and {n}", by=name) for n in range(15) for name in ("ada", "bob")]
    found, _ = await drain(fake, cursor)
    assert list(found) == arrived
    assert not {"listConvos", "listConvoRequests", "getMessages"} & set(calls(fake))


async def test_what_stands_in_a_group_is_left_out() -> None:
    fake = FakeBlueskyMessages()
    fake.names |= {did_of(name): name for name in ("ada", "bob")}
    group = fake.chat.begin([ADA, did_of("bob"), US], kind="groupConvo")
    fake.chat.say(ADA, "before", convo=group)
    found, cursor = await drain(fake, {})
    assert not found
    fake.chat.say(ADA, "after", convo=group)
    found, _ = await drain(fake, cursor)
    assert not found


async def test_a_reaction_is_no_message() -> None:
    fake = FakeBlueskyMessages()
    fake.arrive("thank you")
    _, cursor = await drain(fake, {})
    convo = fake.chat.with_(ADA)
    fake.chat.react(convo, convo.messages[0])
    found, _ = await drain(fake, cursor)
    assert not found


async def test_a_message_of_a_conversation_that_we_have_left_since_is_left_out() -> None:
    fake = FakeBlueskyMessages()
    _, cursor = await drain(fake, {})
    fake.arrive("hello")
    del fake.chat.convos[fake.chat.with_(ADA).id]
    found, _ = await drain(fake, cursor)
    assert not found


async def test_an_answer_to_a_message_and_a_shared_post_are_shown_as_such() -> None:
    fake = FakeBlueskyMessages()
    first = fake.arrive("this one")
    convo = fake.chat.with_(ADA)
    shared = fake.post("tents on sale", by="bob")
    fake.tick()
    kind = "app.bsky.embed.record"
    quoted = fake._embed_view(fake.records[fake.post("look", embed={"$type": kind, "record": {"uri": shared}})])
    fake.chat.say(ADA, "look", convo=convo, embed=quoted, replyTo=fake.chat.view(convo, convo.messages[0]))
    found, _ = await drain(fake, {})
    post = list(found.values())[-1]
    assert post.in_reply_to == first
    assert [(one.kind, one.description) for one in post.media] == [("quote", "tents on sale")]


async def test_an_app_password_without_access_to_messages_is_told_in_plain_words_and_other_feeds_go_on() -> None:
    fake = FakeBlueskyMessages()
    fake.may_chat = False
    with pytest.raises(Refused, match="Allow access to your direct messages") as caught:
        await drain(fake, {})
    assert caught.value.permanent
    assert fake.signed_in == 1
    public = FakeBluesky()
    public.may_chat = False
    public.arrive("hello")
    found, _ = await drain(public, {})
    assert found


async def test_after_a_long_silence_the_conversations_are_looked_through_beside_the_log() -> None:
    fake = FakeBlueskyMessages()
    before = fake.arrive("hello")
    fake.tick(timedelta(hours=1))
    _, cursor = await drain(fake, {})
    fake.tick(timedelta(hours=20))
    missed = [fake.arrive(f"are you there? {n}") for n in range(120)]
    fake.chat.log.clear()  # as if it had not been kept for so long
    cursor["log"] = f"{0:013d}"
    fake.tick(timedelta(hours=6))
    found, _ = await drain(fake, cursor)
    assert set(missed) <= set(found)
    assert before not in found


async def test_a_log_that_no_longer_knows_our_place_begins_anew_and_nothing_is_missed() -> None:
    fake = FakeBlueskyMessages()
    fake.arrive("hello")
    _, cursor = await drain(fake, {})
    missed = [fake.arrive("one"), fake.arrive("two", by="bob")]
    fake.chat.log_starts = len(fake.chat.log)
    found, cursor = await drain(fake, cursor)
    assert set(missed) <= set(found)
    later = fake.arrive("three")
    found, _ = await drain(fake, cursor)
    assert set(found) == {later}


# Answering


def may(post: IncomingPost) -> tuple[Visibility, ...]:
    return FakeBluesky.connector.able(post.ref).visibilities


async def test_a_message_is_answered_there_and_a_post_for_all_to_read() -> None:
    assert may(await asked(FakeBlueskyMessages())) == (Visibility.DIRECT,)
    assert may(await asked(FakeBluesky())) == (Visibility.PUBLIC,)


async def test_answering_a_request_accepts_it_once() -> None:
    fake = FakeBlueskyMessages()
    post = await asked(fake)
    for text in ("one", "two"):
        await fake.connector.send(fake.link(), answer(fake, post, text))
    assert [standing.text for standing in fake.ledger()] == ["one", "two"]
    assert calls(fake).count("acceptConvo") == 1


async def test_an_address_in_a_message_can_be_followed() -> None:
    fake = FakeBlueskyMessages()
    post = await asked(fake)
    await fake.connector.send(fake.link(), answer(fake, post, "See https://northwind.example/help."))
    (facet,) = fake.chat.with_(ADA).messages[-1].more["facets"]
    assert facet["features"][0]["uri"] == "https://northwind.example/help"


async def test_a_message_may_be_longer_than_a_post_up_to_a_thousand_graphemes() -> None:
    fake = FakeBlueskyMessages()
    post = await asked(fake)
    can = fake.connector.able(post.ref)
    assert (can.length_limit, can.byte_limit, can.pictures) == (1000, 10_000, None)
    await fake.connector.send(fake.link(), answer(fake, post, "é" * 1000))
    with pytest.raises(Refused, match="1000"):
        answer(fake, post, "é" * 1001)


async def test_a_conversation_that_takes_no_message_says_why() -> None:
    fake = FakeBlueskyMessages()
    post = await asked(fake)
    reply, convo = answer(fake, post), fake.chat.with_(ADA)
    convo.locked = True
    with pytest.raises(Refused, match="locked"):
        await fake.connector.send(fake.link(), reply)
    fake.chat.disabled.add(ADA)
    with pytest.raises(Refused, match="can take no messages"):
        await fake.connector.send(fake.link(), reply)
    fake.chat.blocked_by.add(ADA)
    with pytest.raises(Refused, match="blocked"):
        await fake.connector.send(fake.link(), reply)
    del fake.chat.convos[convo.id]
    with pytest.raises(Refused, match="gone") as caught:
        await fake.connector.send(fake.link(), reply)
    assert caught.value.delivered is False


async def test_a_request_that_could_not_be_accepted_leaves_no_doubt_that_nothing_was_sent() -> None:
    fake = FakeBlueskyMessages()
    reply = answer(fake, await asked(fake))
    fake.trouble(Trouble.ANSWER_LOST, after=1)
    with pytest.raises(MaybeSent) as caught:
        await fake.connector.send(fake.link(), reply)
    assert calls(fake)[-1] == "acceptConvo"
    assert caught.value.delivered is False


async def test_a_message_cannot_be_taken_back_and_is_never_sent_again_by_itself() -> None:
    fake = FakeBlueskyMessages()
    post = await asked(fake)
    can = fake.connector.able(post.ref)
    assert (can.delete, can.idempotent, can.find_sent) == (False, False, True)
    reply = answer(fake, post)
    sent = await fake.connector.send(fake.link(), reply)
    with pytest.raises(Refused, match="deleted for oneself"):
        await fake.connector.delete(fake.link(), placed(sent, reply, fake))


async def test_a_conversation_too_busy_to_look_through_never_says_that_nothing_stands_there() -> None:
    fake = FakeBlueskyMessages()
    reply = answer(fake, await asked(fake))
    for n in range(600):
        fake.chat.say(ADA, f"hello? {n}")
    with pytest.raises(MaybeSent):
        await fake.connector.find_sent(fake.link(), reply)


# The published description


@pytest.mark.peer
async def test_requests_and_the_fakes_answers_are_as_the_lexicons_say() -> None:
    described = Lexicons(lexicons())
    fake = FakeBlueskyMessages()
    asked_for: set[str] = set()
    link = fake.link()

    async def hold(response: object) -> None:
        await response.aread()  # type: ignore[attr-defined]
        asked_for.add(described.check(response.request, response))  # type: ignore[attr-defined,arg-type]

    link.http.event_hooks["response"].append(hold)
    fake.arrive("hello")
    batch = await fake.connector.fetch(link, {})
    fake.arrive("hello again")
    await fake.connector.fetch(link, batch.cursor)
    reply = answer(fake, batch.posts[0])
    await fake.connector.send(link, reply)
    assert await fake.connector.find_sent(link, reply) is not None
    wanted = {"getLog", "listConvos", "listConvoRequests", "getConvo", "getMessages", "sendMessage", "acceptConvo"}
    assert {f"chat.bsky.convo.{name}" for name in wanted} <= asked_for
