"""What is X's own: what a read costs, tokens that rotate, messages, edits, the stream, deliveries, its description."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app.connectors import registry
from app.connectors.base import (
    Batch,
    Budget,
    IncomingPost,
    Json,
    KnownPost,
    Length,
    Picture,
    Poll,
    PostKind,
    Quote,
    Sent,
    Spent,
    Visibility,
)
from app.connectors.length import count as length_of
from app.connectors.oauth import Places
from app.connectors.testing.fake import Trouble, Wire
from app.connectors.testing.steps import answer, asked, drain, fetch, placed, send, through_json, tried
from app.connectors.x_activity import answer_of
from app.connectors.x_posts import Included, name_at, read_post
from app.connectors.x_settings import Source, XSettings
from app.errors import MaybeSent, RateLimited, Refused, Unauthorized
from tests.connectors import openapi
from tests.connectors.fakes.x import BEARER, CONSUMER, NAME, US, FakeX

X = registry.get("x")
PICTURE = Picture("image/png", 2, 1, "Two pixels", b"\x89PNG\r\n\x1a\nfirst")


class Notes:
    """What a connector noted of its allowances."""

    def __init__(self) -> None:
        self.spent: list[Spent] = []
        self.told: dict[str, Budget] = {}

    async def __call__(self, said: Budget | Spent) -> None:
        if isinstance(said, Spent):
            self.spent.append(said)
        else:
            self.told[said.name] = said

    @property
    def posts(self) -> list[str]:
        return [name for one in self.spent for name in one.once]


@pytest.fixture
def mentions() -> FakeX:
    return FakeX()


@pytest.fixture
def messages() -> FakeX:
    return FakeX(Source.MESSAGES)


async def ask_directly(fake: FakeX, text: str = "Where is my parcel?") -> IncomingPost:
    name = fake.arrive(text, direct=True)
    found, _ = await drain(fake, {})
    return found[name]


# What is paid for


async def test_each_post_is_read_once(mentions: FakeX) -> None:
    for n in range(7):
        mentions.arrive(f"hello {n}")
    _, cursor = await drain(mentions, {})
    mentions.tick(timedelta(minutes=30))
    for n in range(25):
        mentions.arrive(f"again {n}")
    mentions.tick(timedelta(minutes=30))
    found, cursor = await drain(mentions, cursor)
    await drain(mentions, cursor)
    assert len(found) == 25
    assert set(mentions.reads.values()) == {1}


async def test_a_post_that_is_listed_late_is_still_found(mentions: FakeX) -> None:
    mentions.arrive("first")
    slow = mentions.tweets.pop(mentions.arrive("in the same minute, listed late"))
    mentions.arrive("third")
    _, cursor = await drain(mentions, {})
    mentions.tweets[slow.id] = slow
    found, _ = await drain(mentions, cursor)
    assert slow.id in found


async def test_what_was_read_is_counted_by_its_ids_so_that_a_day_counts_each_once(mentions: FakeX) -> None:
    names = {mentions.arrive("one"), mentions.arrive("two")}
    notes = Notes()
    await X.fetch(mentions.link(note=notes), {})
    assert set(notes.posts) == names


async def test_a_page_is_no_larger_than_the_room_that_is_left(mentions: FakeX) -> None:
    for n in range(30):
        mentions.arrive(f"hello {n}")
    batch = await X.fetch(mentions.link(room={"reads": 6}), {})
    assert mentions.requests[-1].url.params["max_results"] == "6"
    assert len(batch.posts) == 6
    assert batch.more
    found, _ = await drain(mentions, through_json(batch.cursor))
    assert len(found) == 24


async def test_what_was_paid_for_is_kept_when_the_next_page_fails(mentions: FakeX) -> None:
    mentions.arrive("before")
    _, cursor = await drain(mentions, {})
    mentions.tick(timedelta(hours=1))
    for n in range(25):
        mentions.arrive(f"hello {n}")
    mentions.tick(timedelta(hours=1))
    mentions.trouble(Trouble.DOWN, after=1)
    batch = await X.fetch(mentions.link(), cursor)
    assert len(batch.posts) == 10
    mentions.calm()
    found, _ = await drain(mentions, through_json(batch.cursor))
    assert len(found) == 15
    assert set(mentions.reads.values()) == {1}


async def test_the_first_fetch_reads_no_more_than_the_admin_said(mentions: FakeX) -> None:
    for n in range(30):
        mentions.arrive(f"hello {n}")
    batch = await X.fetch(mentions.link(settings=XSettings(backlog=5)), {})
    assert len(batch.posts) == 5
    assert not batch.more


async def test_the_windows_of_endpoints_are_told_by_name(mentions: FakeX) -> None:
    notes = Notes()
    await X.fetch(mentions.link(note=notes), {})
    assert notes.told["mentions"].limit == 300
    assert notes.told["mentions"].remaining == 299
    assert notes.told["mentions"].resets_at is not None


async def test_a_limit_names_the_endpoint_that_is_used_up(mentions: FakeX) -> None:
    mentions.trouble(Trouble.RATE_LIMITED)
    with pytest.raises(RateLimited) as caught:
        await X.fetch(mentions.link(), {})
    assert caught.value.allowance == "mentions"


def test_polls_draw_from_their_endpoint_and_the_month_and_replies_from_writing(mentions: FakeX) -> None:
    credentials = mentions.credentials()
    told = {
        source: [one.name for one in X.allowances(XSettings(source=source, value="x"), credentials)]
        for source in Source
    }
    assert told == {
        Source.MENTIONS: ["mentions", "reads"],
        Source.SEARCH: ["search", "reads"],
        Source.REPLIES: ["search", "reads"],
        Source.MESSAGES: ["messages"],
    }
    assert [one.name for one in X.allowances(XSettings(), credentials, replying=True)] == ["post", "post-day"]


async def test_a_search_that_slept_for_more_than_a_week_goes_on_where_x_still_can() -> None:
    fake = FakeX(Source.SEARCH)
    fake.arrive("long ago")
    _, cursor = await drain(fake, {})
    fake.tick(timedelta(days=9))
    new = fake.arrive("hello again")
    found, _ = await drain(fake, cursor)
    assert set(found) == {new}


async def test_our_own_newest_posts_are_asked_for_once_an_hour() -> None:
    fake = FakeX(Source.REPLIES)
    _, cursor = await drain(fake, {})
    await drain(fake, cursor)
    assert len([one for one in fake.requests if one.url.path.endswith("/tweets")]) == 1
    later = fake.tweet(NAME, "New in the shop").id
    fake.tick(timedelta(hours=1))
    answered = fake.tweet("ada", "How much?", parent=later).id
    found, _ = await drain(fake, cursor)
    assert answered in found
    assert fake.requests[-2].url.params["since_id"]


# Signing in


async def test_a_token_that_ends_is_refreshed_and_the_new_pair_is_kept(mentions: FakeX) -> None:
    mentions.lifetime = timedelta(seconds=30)
    await X.fetch(mentions.link(), {})
    [kept] = mentions.kept
    assert kept.refresh_token.get_secret_value() == mentions.spare  # type: ignore[attr-defined]
    assert mentions.requests[0].headers["authorization"].startswith("Basic ")


async def test_a_token_that_is_refused_before_its_time_is_refreshed_once(mentions: FakeX) -> None:
    mentions.token = "another"
    await X.fetch(mentions.link(), {})
    assert len(mentions.kept) == 1


def test_the_guide_names_the_addresses_to_paste() -> None:
    steps = X.guide(Places(redirect="https://desk.example/oauth/callback", hook="https://desk.example/hooks/7"))
    pasted = [paste.value for step in steps for paste in step.paste]
    assert pasted == ["https://desk.example/oauth/callback", "https://desk.example/hooks/7"]


# Posts


async def test_short_addresses_are_resolved_and_markup_is_text(mentions: FakeX) -> None:
    post = await asked(mentions, text="see https://northwind.example/a?b=1 <b> & co")
    assert post.text == f"@{NAME} see https://northwind.example/a?b=1 <b> & co"


async def test_a_reply_to_us_a_mention_and_a_repost_are_told_apart() -> None:
    fake = FakeX(Source.SEARCH)
    ours = fake.tweet(NAME, "northwind is open").id
    under = fake.tweet("ada", "great, northwind", parent=ours).id
    named = fake.tweet("bob", f"hello @{NAME} northwind").id
    passed = fake.tweet("bob", "RT @northwindhelp: northwind is o…", retweets=ours).id
    link = fake.link(settings=XSettings(source=Source.SEARCH, value="northwind", include_reposts=True))
    found = {post.external_id: post for post in (await X.fetch(link, {})).posts}
    assert found[under].kind is PostKind.REPLY
    assert found[named].kind is PostKind.MENTION
    assert found[passed].repost
    assert found[passed].text == "northwind is open"
    assert ours not in found, "what we wrote is not paid for unless the feed asks for it"


async def test_an_edited_post_keeps_its_name_and_is_answered_at_its_newest_version(mentions: FakeX) -> None:
    name = mentions.arrive("My tent is torn")
    mentions.rewrite(name, f"@{NAME} My tent and my bag are torn")
    found, _ = await drain(mentions, {})
    await send(mentions, answer(mentions, found[name]))
    [standing] = mentions.ledger()
    assert standing.parent == mentions.tweets[name].versions[-1][0]


# Replies


async def test_the_same_text_again_means_that_it_may_stand_and_is_found(mentions: FakeX) -> None:
    mentions.same = timedelta(minutes=10)
    post = await asked(mentions)
    reply = answer(mentions, post, "See https://northwind.example/help & wait.")
    first = await send(mentions, reply)
    with pytest.raises(MaybeSent, match="duplicate content"):
        await send(mentions, reply)
    found = await X.find_sent(mentions.link(), tried(mentions, reply))
    assert found is not None
    assert found.external_id == first.external_id


async def test_a_post_is_answered_for_all_to_read_and_never_offered_as_a_private_answer(mentions: FakeX) -> None:
    post = await asked(mentions)
    assert X.able(post.ref).visibilities == (Visibility.PUBLIC,)


async def test_xs_own_words_say_why_a_reply_is_refused(mentions: FakeX) -> None:
    post = await asked(mentions)
    reply = answer(mentions, post)
    mentions.remove(post.external_id)
    with pytest.raises(Refused, match="deleted or not visible to you"):
        await send(mentions, reply)


async def test_a_large_picture_goes_in_parts(mentions: FakeX) -> None:
    post = await asked(mentions)
    large = replace(PICTURE, content=bytes(range(256)) * 10_000)
    await send(mentions, answer(mentions, post, pictures=(large,)))
    [standing] = mentions.ledger()
    assert standing.pictures == ((large.alt, large.content),)
    assert len([one for one in mentions.requests if one.url.path.endswith("/append")]) == 3


# Messages


async def test_messages_are_for_us_alone_and_belong_to_their_conversation(messages: FakeX) -> None:
    first = await ask_directly(messages)
    second = await ask_directly(messages, "Hello?")
    other = messages.arrive("I am somebody else", by="bob", direct=True)
    found, _ = await drain(messages, {})
    assert first.visibility is Visibility.DIRECT
    assert first.thread_id == second.thread_id != found[other].thread_id


async def test_messages_of_many_pages_are_all_brought_once(messages: FakeX) -> None:
    await ask_directly(messages)
    _, cursor = await drain(messages, {})
    names = {messages.arrive(f"message {n}", direct=True) for n in range(33)}
    found, cursor = await drain(messages, cursor)
    assert set(found) == names
    assert not (await fetch(messages, cursor)).posts


async def test_a_message_is_answered_in_its_conversation_at_length_with_one_picture(messages: FakeX) -> None:
    post = await ask_directly(messages)
    text = "We looked into it. " * 40
    sent = await send(messages, answer(messages, post, text, pictures=(PICTURE,)))
    [standing] = messages.ledger()
    assert (standing.external_id, standing.text) == (sent.external_id, text)
    assert standing.pictures == ((PICTURE.alt, PICTURE.content),)
    with pytest.raises(Refused, match="one picture"):
        answer(messages, post, pictures=(PICTURE, PICTURE))
    assert (X.able(post.ref).length_limit, X.able(post.ref).visibilities) == (10_000, (Visibility.DIRECT,))


async def test_a_message_whose_answer_was_lost_is_found_and_deleted(messages: FakeX) -> None:
    post = await ask_directly(messages)
    reply = answer(messages, post)
    messages.trouble(Trouble.ANSWER_LOST, sends_only=True)
    with pytest.raises(MaybeSent):
        await send(messages, reply)
    sent = await X.find_sent(messages.link(), tried(messages, reply))
    assert sent is not None
    for _ in range(2):
        await X.delete(messages.link(), placed(sent, reply, messages))
    assert not messages.ledger()


async def test_a_message_that_is_gone_is_told(messages: FakeX) -> None:
    post = await ask_directly(messages)
    stays = await ask_directly(messages)
    messages.remove(post.external_id)
    known = [KnownPost(one.external_id, through_json(one.ref)) for one in (post, stays)]
    [change] = await X.look_again(messages.link(), known)
    assert (change.external_id, change.deleted) == (post.external_id, True)


# The stream


async def streamed(fake: FakeX, cursor: Json, **settings: Any) -> list[Batch]:
    link = fake.link(settings=XSettings(stream=True, **settings))
    return [batch async for batch in X.listen(link, cursor)]


async def test_the_stream_brings_posts_of_its_rule_and_leaves_the_cursor_to_the_polls() -> None:
    fake = FakeX(Source.SEARCH)
    fake.streamed = [fake.arrive("at once"), fake.arrive("and again")]
    cursor = {"scope": "kept as it is"}
    batches = await streamed(fake, cursor, source=Source.SEARCH, value="northwind")
    assert [post.external_id for batch in batches for post in batch.posts] == fake.streamed
    assert all(batch.cursor == cursor for batch in batches)
    [rule] = fake.rules.values()
    assert rule["value"] == f"(northwind) -is:retweet -from:{US}"
    await streamed(fake, cursor, source=Source.SEARCH, value="northwind")
    assert len(fake.rules) == 1


async def test_posts_of_another_rule_of_the_app_are_left_alone() -> None:
    fake = FakeX(Source.SEARCH)
    fake.streamed = [fake.arrive("for another feed")]
    await streamed(fake, {}, source=Source.SEARCH, value="elsewhere")
    fake.rules = {"1": {"id": "1", "value": "(other)"}}
    link = fake.link(settings=XSettings(stream=True, source=Source.SEARCH, value="northwind"))
    listening = X.listen(link, {})
    fake.rules |= {"7": {"id": "7", "value": f"(northwind) -is:retweet -from:{US}"}}
    matched = [one async for one in listening]
    assert sum(len(batch.posts) for batch in matched) == 1


async def test_a_feed_without_a_bearer_token_says_that_it_cannot_stream(mentions: FakeX) -> None:
    bare = mentions.credentials().model_copy(update={"bearer_token": SecretStr("")})
    with pytest.raises(Refused, match="bearer token"):
        await anext(aiter(X.listen(mentions.link(credentials=bare, settings=XSettings(stream=True)), {})))


async def test_a_plan_without_the_stream_says_so_in_xs_words(mentions: FakeX) -> None:
    refused = {"title": "Client Forbidden", "detail": "Upgrade.", "reason": "client-not-enrolled", "status": 403}
    body = refused | {"type": "https://api.twitter.com/2/problems/client-forbidden"}

    def closed(_: httpx.Request) -> httpx.Response:
        return httpx.Response(403, json=body)

    http = httpx.AsyncClient(transport=httpx.MockTransport(closed))
    with pytest.raises(Unauthorized, match="Upgrade"):
        await anext(aiter(X.listen(mentions.link(http=http, settings=XSettings(stream=True)), {})))


# Deliveries


def test_the_check_of_our_address_is_answered_under_the_apps_key() -> None:
    told = json.loads(answer_of(CONSUMER, {"crc_token": "challenge", "nonce": "x"}))
    expected = base64.b64encode(hmac.digest(CONSUMER.encode(), b"challenge", hashlib.sha256)).decode()
    assert told == {"response_token": f"sha256={expected}"}


def test_a_delivery_for_another_account_of_the_app_brings_nothing(mentions: FakeX) -> None:
    sent = mentions.delivery("hello")
    body = sent.body.replace(US.encode(), b"999")
    other = mentions.signed(body)
    assert not X.receive(mentions.link(), other.headers, other.body).posts


def test_a_delivered_message_and_a_deletion_are_read(messages: FakeX) -> None:
    message = {
        "type": "message_create",
        "id": name_at(messages.now),
        "created_timestamp": str(int(messages.now.timestamp() * 1000)),
        "message_create": {
            "target": {"recipient_id": US},
            "sender_id": "20000001",
            "message_data": {"text": "Hello &amp; welcome", "entities": {"urls": []}},
        },
    }
    users = {"20000001": {"id": "20000001", "name": "Ada", "screen_name": "ada", "followers_count": 3}}
    told = {"for_user_id": US, "direct_message_events": [message], "users": users}
    sent = messages.signed(json.dumps(told).encode())
    [post] = X.receive(messages.link(), sent.headers, sent.body).posts
    assert (post.text, post.author.handle, post.thread_id) == ("Hello & welcome", "ada", f"dm:20000001-{US}")
    deleted = {
        "for_user_id": US,
        "tweet_delete_events": [{"status": {"id": "77", "user_id": "1"}, "timestamp_ms": "1"}],
    }
    sent = messages.signed(json.dumps(deleted).encode())
    [change] = X.receive(messages.link(), sent.headers, sent.body).changes
    assert (change.external_id, change.deleted) == ("77", True)


async def test_a_delivered_post_has_the_name_under_which_a_poll_brings_it(mentions: FakeX) -> None:
    sent = mentions.delivery(f"@{NAME} hello")
    [pushed] = X.receive(mentions.link(), sent.headers, sent.body).posts
    found, _ = await drain(mentions, {})
    assert (found[pushed.external_id].text, found[pushed.external_id].thread_id) == (pushed.text, pushed.thread_id)


# X's own description


class Checked(Wire):
    """The wire, with each request and answer held against the description."""

    def __init__(self, fake: FakeX, described: openapi.Description) -> None:
        super().__init__(fake)
        self.described = described
        self.used: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        response = await super().handle_async_request(request)
        if request.url.path != "/2/oauth2/token":  # described nowhere but in words
            self.used.add(self.described.check_request(request))
            if response.is_success and not request.url.path.endswith("/stream"):
                self.described.check_answer(request, response)
        return response


async def test_requests_are_what_the_description_promises() -> None:
    described = openapi.Description(openapi.description("x.openapi.json"))
    used: set[str] = set()
    for source in Source:
        fake = FakeX(source)
        wire = Checked(fake, described)
        await exercise(fake, wire)
        used |= wire.used
    assert used >= {
        "getUsersMe", "getUsersMentions", "searchPostsRecent", "getUsersPosts", "getPostsByIds", "createPosts",
        "deletePosts", "getDirectMessagesEvents", "createDirectMessagesByConversationId", "deleteDirectMessagesEvents",
        "getDirectMessagesEventsByConversationId", "getDirectMessagesEventsById", "mediaUpload", "createMediaMetadata",
        "initializeMediaUpload", "appendMediaUpload", "finalizeMediaUpload", "getRules", "updateRules", "streamPosts",
    }  # fmt: skip


async def exercise(fake: FakeX, wire: Checked) -> None:
    """Everything that a feed of this source does."""

    def link(**more: Any) -> Any:
        return fake.link(http=httpx.AsyncClient(transport=wire), **more)

    direct = fake.source is Source.MESSAGES
    for n in range(13):
        fake.arrive(f"hello {n}", direct=direct)
    first = await X.fetch(link(account=None), {})
    fake.arrive("one more", direct=direct)
    await X.fetch(link(), through_json(first.cursor))
    await X.check(link(account=None))
    post = first.posts[-1]
    large = replace(PICTURE, content=bytes(1_500_000))
    for pictures in ((PICTURE,), (large,)):
        reply = answer(fake, post, f"An answer with {len(pictures[0].content)} bytes", pictures=pictures)
        sent = await X.send(link(), reply)
        found = await X.find_sent(link(), tried(fake, reply))
        assert isinstance(found, Sent)
        await X.delete(link(), placed(sent, reply, fake))
    await X.look_again(link(), [KnownPost(one.external_id, through_json(one.ref)) for one in first.posts])
    if fake.source in {Source.MENTIONS, Source.SEARCH}:
        settings = XSettings(source=fake.source, value="northwind", stream=True)
        assert [one async for one in X.listen(link(settings=settings), {})] == [Batch()]


def test_the_stream_signs_in_as_the_app(mentions: FakeX) -> None:
    assert mentions.credentials().bearer_token.get_secret_value() == BEARER  # type: ignore[attr-defined]


def test_a_reply_of_280_weighted_characters_goes_and_one_more_does_not(mentions: FakeX) -> None:
    assert length_of("字" * 140, Length.X) == 280
    post = IncomingPost("1", "1", mentions.account(), "x", mentions.now, ref={"id": "1"})
    answer(mentions, post, "字" * 140)
    with pytest.raises(Refused, match="1 too long"):
        answer(mentions, post, "字" * 140 + "!")


def test_a_quoted_post_and_a_poll_come_with_their_words() -> None:
    at = "2026-11-02T09:00:00.000Z"
    told = {
        "users": [{"id": "1", "username": "ada", "name": "Ada"}, {"id": "2", "username": "carol", "name": "Carol"}],
        "polls": [{"id": "9", "options": [{"position": 1, "label": "yes", "votes": 3}, {"label": "no", "votes": 0}]}],
        "tweets": [
            {"id": "50", "text": "Boots &amp; socks recalled", "author_id": "2", "created_at": at, "lang": "en"}
        ],
    }
    raw: Json = {"id": "70", "text": "true?", "author_id": "1", "created_at": at, "attachments": {"poll_ids": ["9"]}}
    raw["referenced_tweets"] = [{"type": "quoted", "id": "50"}]
    poll, quoted = read_post(raw, Included({"includes": told}), None).media
    assert poll.poll == Poll(("yes", "no"), (3, 0))
    assert (quoted.kind, quoted.title, quoted.description) == ("quote", "Carol", "Boots & socks recalled")
    assert quoted.url.endswith("/carol/status/50")
    assert quoted.quote == Quote("carol", datetime.fromisoformat(at), "en")
    assert read_post(raw, Included({}), None).media == ()
