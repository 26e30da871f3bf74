"""What is Telegram's own: groups and channels, files only the bot may ask for, updates confirmed by offset, webhooks, blocks."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app.connectors import registry
from app.connectors.base import IncomingPost, Json, PostKind, Visibility
from app.connectors.telegram_settings import Groups, TelegramCredentials, TelegramSettings
from app.connectors.testing.fake import Trouble, Wire
from app.connectors.testing.steps import PICTURES, answer, asked, carried, drain, placed, send
from app.errors import ChannelDown, ConnectorError, MaybeSent, Refused, Unauthorized
from tests.connectors.botapi import BotApi
from tests.connectors.fakes.telegram import (
    BOT,
    CHANNEL,
    GROUP,
    HOOK,
    OURSELVES,
    PEOPLE,
    TOKEN,
    US,
    FakeTelegram,
    name_of,
)

TELEGRAM = registry.get("telegram")
SIDE = "connection-1"
ALL = TelegramSettings(groups=Groups.EVERYTHING, channels=True)


@pytest.fixture
def chat() -> FakeTelegram:
    return FakeTelegram()


@pytest.fixture
def group() -> FakeTelegram:
    return FakeTelegram(grouped=True)


@pytest.fixture
def pushed() -> FakeTelegram:
    return FakeTelegram(delivered=True)


async def brought(fake: FakeTelegram, settings: TelegramSettings | None = None) -> list[IncomingPost]:
    """What a feed with these settings brings."""
    return list((await TELEGRAM.fetch(fake.link(settings=settings or TelegramSettings()), {})).posts)


async def shown(fake: FakeTelegram, said: Json) -> IncomingPost:
    """A private message that says this, as it is brought."""
    fake.write(said)
    return (await brought(fake))[-1]


class Checked(Wire):
    """The way to Telegram, with every request and answer held against its description."""

    def __init__(self, fake: FakeTelegram) -> None:
        super().__init__(fake)
        self.known, self.methods = BotApi(), set[str]()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if "/file/" not in request.url.path:
            await request.aread()
            self.methods.add(self.known.check_request(request))
            if response.is_success:
                self.known.check_answer(request, response)
        return response


@pytest.mark.parametrize("grouped", [False, True])
async def test_requests_and_answers_are_what_telegram_describes(grouped: bool) -> None:
    fake = FakeTelegram(grouped=grouped)
    wire = Checked(fake)

    def link(**more: Any) -> Any:
        return fake.link(http=httpx.AsyncClient(transport=wire), **more)

    fake.arrive("hello", direct=True)
    fake.files["pole"] = b"\xff\xd8\xff"
    sizes = [{"file_id": "pole", "file_unique_id": "upole", "width": 9, "height": 9}]
    fake.write({"photo": sizes, "caption": "look"})
    await TELEGRAM.check(link(account=None))
    post = await asked(fake)
    fake.write({"text": "hello", "business_connection_id": SIDE}, update="business_message")
    business = (await TELEGRAM.fetch(link(), {})).posts[-1]
    for one, pictures in ((post, ()), (post, PICTURES[:1]), (post, PICTURES), (business, ()), (business, PICTURES)):
        reply = answer(fake, one, pictures=pictures)
        sent = placed(await TELEGRAM.send(link(), reply), reply, fake)
        await TELEGRAM.edit(link(), sent, "We looked again.")
        await TELEGRAM.delete(link(), sent)
    fake.webhook = HOOK
    await TELEGRAM.fetch(link(), {})
    await TELEGRAM.fetch(link(settings=TelegramSettings(delivered=True)), {})
    assert wire.methods == {
        "getMe", "getUpdates", "getFile", "sendMessage", "sendPhoto", "sendMediaGroup", "editMessageText",
        "editMessageCaption", "deleteMessage", "deleteMessages", "deleteBusinessMessages", "getWebhookInfo", "deleteWebhook", "setWebhook",
    }  # fmt: skip


# Who is meant


async def test_of_a_group_only_what_is_meant_for_the_bot_is_brought(group: FakeTelegram) -> None:
    ours = group.write({"text": "We are open on Sunday."}, chat=GROUP)
    ours["from"] = OURSELVES
    said: list[Json] = [
        {"text": "Good morning all"},
        {"text": f"Dear @{US.upper()}, where is it?"},
        {"text": f"write to me@{US} please"},
        {"text": "Thank you!", "reply_to_message": ours},
        {"text": "/help", "entities": [{"type": "bot_command", "offset": 0, "length": 5}]},
        {"text": "/help@other_bot", "entities": [{"type": "bot_command", "offset": 0, "length": 15}]},
        {
            "text": "Northwind, hello",
            "entities": [{"type": "text_mention", "offset": 0, "length": 9, "user": OURSELVES}],
        },
        {"new_chat_members": [OURSELVES]},
    ]
    group.updates.clear()
    for one in said:
        group.write(one, chat=GROUP)
    found = await brought(group)
    assert [(post.text, post.kind) for post in found] == [
        (f"Dear @{US.upper()}, where is it?", PostKind.MENTION),
        ("Thank you!", PostKind.REPLY),
        ("/help", PostKind.MENTION),
        ("Northwind, hello", PostKind.MENTION),
    ]
    assert {post.visibility for post in found} == {Visibility.PUBLIC}
    assert [len(await brought(group, ALL))] == [7]


async def test_a_channels_posts_and_the_comments_under_them_are_brought_when_asked_for(group: FakeTelegram) -> None:
    post = group.write({"text": "New tents are here"}, chat=CHANNEL, update="channel_post")
    copied = group.write(
        {"text": "New tents are here", "is_automatic_forward": True, "sender_chat": CHANNEL}, chat=GROUP
    )
    group.write({"text": "In green, too?", "reply_to_message": copied}, chat=GROUP)
    assert await brought(group) == []
    first, second = await brought(group, TelegramSettings(channels=True))
    assert (first.external_id, first.kind, first.author.name) == (name_of(post), PostKind.POST, "Northwind news")
    assert (second.kind, second.in_reply_to) == (PostKind.COMMENT, name_of(copied))
    assert first.url == f"https://t.me/northwind/{post['message_id']}"


async def test_two_bots_have_messages_of_their_own_in_private_and_the_same_in_a_group(group: FakeTelegram) -> None:
    private, shared = group.arrive("hello", direct=True), group.arrive("hello")
    assert private.startswith(f"{BOT}:{PEOPLE['ada']}:")
    assert shared.startswith(f"{GROUP['id']}:")
    assert {post.external_id for post in await brought(group)} == {private, shared}


async def test_a_topic_of_a_group_is_one_conversation_and_answers_stay_in_it(group: FakeTelegram) -> None:
    opening = group.write({"forum_topic_created": {"name": "Tents", "icon_color": 1}}, chat=GROUP)
    topic = {"message_thread_id": opening["message_id"], "is_topic_message": True, "reply_to_message": opening}
    for text in ("where is it?", "and mine?"):
        group.write({"text": f"@{US} {text}", **topic}, chat=GROUP)
    one, two = await brought(group)
    assert (one.in_reply_to, one.thread_id) == (None, two.thread_id)
    assert answer(group, one).prepared["message_thread_id"] == opening["message_id"]


async def test_the_button_that_opens_a_chat_asks_for_nothing(chat: FakeTelegram) -> None:
    assert (await shown(chat, {"text": "/start"})).kind is PostKind.NOTICE
    assert (await shown(chat, {"text": "/start order-17"})).kind is PostKind.DIRECT


async def test_privacy_mode_is_told_where_a_feed_wants_everything(group: FakeTelegram) -> None:
    assert (await TELEGRAM.check(group.link())).notices == ()
    [notice] = (await TELEGRAM.check(group.link(settings=ALL))).notices
    assert "privacy mode" in notice


# What a message holds


async def test_a_photos_largest_size_is_kept_with_the_message_and_no_address_has_the_token(chat: FakeTelegram) -> None:
    chat.files = {"small": b"s", "large": b"\xff\xd8\xff large"}
    sizes = [
        {"file_id": name, "file_unique_id": name, "width": w, "height": w}
        for name, w in (("small", 90), ("large", 1280))
    ]
    post = await shown(chat, {"photo": sizes, "caption": "The pole is bent"})
    [media] = post.media
    assert (post.text, media.kind, media.content) == ("The pole is bent", "image", b"\xff\xd8\xff large")
    assert "secret" not in str(post.media) + str(post.payload)


async def test_a_file_that_telegram_does_not_give_stays_a_name(chat: FakeTelegram) -> None:
    film = {
        "file_id": "film",
        "file_unique_id": "film",
        "file_name": "storm.mp4",
        "width": 1,
        "height": 1,
        "duration": 600,
    }
    post = await shown(chat, {"video": film})
    [media] = post.media
    assert (media.kind, media.title, media.content) == ("video", "storm.mp4", None)


@pytest.mark.parametrize(
    ("said", "kinds"),
    [
        ({"voice": {"file_id": "v", "file_unique_id": "v", "duration": 3}}, ["audio"]),
        ({"document": {"file_id": "d", "file_unique_id": "d", "file_name": "bill.pdf"}}, ["file"]),
        ({"animation": {"file_id": "a"}, "document": {"file_id": "a"}}, ["video"]),
        ({"sticker": {"file_id": "s", "emoji": "👍", "is_animated": False, "is_video": False}}, ["image"]),
        ({"sticker": {"file_id": "s", "emoji": "👍", "is_animated": True, "is_video": False}}, []),
    ],
)
async def test_files_of_other_kinds_hang_on_a_message(chat: FakeTelegram, said: Json, kinds: list[str]) -> None:
    assert [media.kind for media in (await shown(chat, said)).media] == kinds


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"contact": {"phone_number": "+1555", "first_name": "Ada"}}, "Ada +1555"),
        (
            {"venue": {"title": "Shop", "address": "Main St 1", "location": {"latitude": 1.5, "longitude": 2.5}}},
            "Shop Main St 1",
        ),
        ({"dice": {"emoji": "🎲", "value": 4}}, "🎲 4"),
        ({"story": {"id": 4}}, "[story]"),
        ({"sticker": {"file_id": "s", "emoji": "👍", "is_animated": True, "is_video": False}}, "👍"),
    ],
)
async def test_what_has_no_words_is_told_in_some(chat: FakeTelegram, said: Json, text: str) -> None:
    assert (await shown(chat, said)).text == text


async def test_a_poll_is_shown_with_its_votes(chat: FakeTelegram) -> None:
    options = [{"text": "Red", "voter_count": 3}, {"text": "Green", "voter_count": 1}]
    post = await shown(chat, {"poll": {"question": "Which?", "options": options, "allows_multiple_answers": True}})
    poll = post.media[0].poll
    assert poll is not None
    assert (post.text, poll.options, poll.votes, poll.multiple) == ("Which?", ("Red", "Green"), (3, 1), True)


async def test_an_answer_to_a_stranger_in_a_group_shows_what_it_answers(group: FakeTelegram) -> None:
    strangers = group.write({"text": "Mine leaks at the seam"}, by="bob", chat=GROUP)
    group.write({"text": f"Mine, too, @{US}!", "reply_to_message": strangers}, chat=GROUP)
    [post] = await brought(group)
    [quote] = post.media
    assert (quote.kind, quote.description, quote.title) == ("quote", "Mine leaks at the seam", "Bob")
    assert (post.in_reply_to, quote.url) == (name_of(strangers), f"https://t.me/tents/{strangers['message_id']}")


async def test_the_part_that_a_customer_quotes_is_shown(chat: FakeTelegram) -> None:
    ours = chat.write({"text": "It comes on Monday or Tuesday."})
    ours["from"] = OURSELVES
    post = await shown(
        chat, {"text": "Which?", "reply_to_message": ours, "quote": {"text": "Monday or Tuesday", "position": 12}}
    )
    assert post.media[0].description == "Monday or Tuesday"


async def test_an_edit_is_told_once_it_concerns_us(group: FakeTelegram) -> None:
    name = group.arrive("My tent is torn", direct=True)
    _, cursor = await drain(group, {})
    group.rewrite(name, "My tent and my bag are torn")
    group.tell("edited_message", {"message_id": 3, "date": 1, "chat": GROUP, "from": group.person("bob"), "text": "hm"})
    batch = await TELEGRAM.fetch(group.link(), cursor)
    [change] = batch.changes
    assert (change.external_id, change.text) == (name, "My tent and my bag are torn")


async def test_a_block_is_a_word_in_the_conversation_and_asks_for_nothing(chat: FakeTelegram) -> None:
    before = (await shown(chat, {"text": "hello"})).thread_id
    place = {"id": PEOPLE["ada"], "type": "private", "first_name": "Ada"}
    told = {"chat": place, "from": chat.person("ada"), "date": int(chat.now.timestamp())}
    chat.tell("my_chat_member", {**told, "new_chat_member": {"status": "kicked", "user": OURSELVES, "until_date": 0}})
    chat.tell("my_chat_member", {**told, "new_chat_member": {"status": "member", "user": OURSELVES}})
    post = (await brought(chat))[-1]
    assert (post.kind, post.thread_id, post.author.handle) == (PostKind.NOTICE, before, "ada")


# Fetching and being told


async def test_nothing_is_forgotten_at_telegram_before_it_was_stored(chat: FakeTelegram) -> None:
    for n in range(60):
        chat.arrive(f"hello {n}")
    first = await TELEGRAM.fetch(chat.link(), {})
    again = await TELEGRAM.fetch(chat.link(), {})
    assert [post.external_id for post in first.posts] == [post.external_id for post in again.posts]
    assert (len(first.posts), first.more, len(chat.updates)) == (50, True, 60)
    await TELEGRAM.fetch(chat.link(), first.cursor)
    assert len(chat.updates) == 10


async def test_a_stream_brings_messages_one_wait_after_the_other(chat: FakeTelegram) -> None:
    chat.arrive("hello")
    stream = TELEGRAM.listen(chat.link(), {})
    first = await anext(stream)
    chat.arrive("are you there?")
    second = await anext(stream)
    await stream.aclose()
    assert [post.text for batch in (first, second) for post in batch.posts] == ["hello", "are you there?"]
    assert len(chat.updates) == 1


async def test_a_wait_that_a_poll_ended_goes_on_and_one_that_another_program_ends_is_told(chat: FakeTelegram) -> None:
    stream = TELEGRAM.listen(chat.link(), {})
    await anext(stream)
    chat.arrive("hello")
    chat.busy = 2
    assert len((await anext(stream)).posts) == 1
    chat.busy = 3
    with pytest.raises(ChannelDown, match="other getUpdates"):
        await anext(stream)


async def test_a_bot_whose_messages_are_delivered_has_no_stream(pushed: FakeTelegram) -> None:
    assert [batch async for batch in TELEGRAM.listen(pushed.link(), {})] == []


async def test_deliveries_are_arranged_by_themselves_and_looked_after(pushed: FakeTelegram) -> None:
    first = await TELEGRAM.fetch(pushed.link(), {})
    assert (pushed.webhook, first.notice) == (HOOK, "")
    asked_so_far = len(pushed.requests)
    await TELEGRAM.fetch(pushed.link(), first.cursor)
    assert len(pushed.requests) == asked_so_far
    at = int(pushed.tick(timedelta(minutes=16)).timestamp())
    pushed.trouble_delivering = {"last_error_date": at - 60, "last_error_message": "SSL error"}
    assert "SSL error" in (await TELEGRAM.fetch(pushed.link(), first.cursor)).notice


async def test_deliveries_need_an_https_address(pushed: FakeTelegram) -> None:
    with pytest.raises(Refused, match="https"):
        await TELEGRAM.fetch(pushed.link(hook="http://localhost:8000/hooks/x"), {})


async def test_a_feed_that_fetches_ends_its_own_deliveries_and_leaves_those_of_others(chat: FakeTelegram) -> None:
    chat.arrive("hello")
    chat.webhook = HOOK
    assert len(await brought(chat)) == 1
    chat.webhook = "https://shop.example/bot"
    with pytest.raises(Refused, match=r"delivered to shop\.example"):
        await brought(chat)
    assert chat.webhook == "https://shop.example/bot"


async def test_files_of_what_is_delivered_are_fetched_before_it_is_stored(pushed: FakeTelegram) -> None:
    pushed.files["pole"] = b"\xff\xd8\xff"
    pushed.write({"photo": [{"file_id": "pole", "file_unique_id": "u", "width": 9, "height": 9}]})
    sent = pushed.deliver(pushed.updates[-1])
    batch = TELEGRAM.receive(pushed.link(), sent.headers, sent.body)
    whole = await TELEGRAM.complete(pushed.link(), batch)
    assert whole.posts[0].media[0].content == b"\xff\xd8\xff"


# Answering


@pytest.mark.parametrize(
    "said", ["Forbidden: bot was blocked by the user", "Forbidden: user is deactivated", "Forbidden: bot was kicked"]
)
async def test_whom_the_bot_cannot_reach_is_said_in_telegrams_words(chat: FakeTelegram, said: str) -> None:
    post = await asked(chat)
    chat.blocked[PEOPLE["ada"]] = said
    with pytest.raises(Refused, match=said) as caught:
        await send(chat, answer(chat, post))
    assert (caught.value.permanent, caught.value.delivered) == (True, False)


async def test_a_private_answer_to_a_message_in_a_group_reaches_who_has_written_to_the_bot(group: FakeTelegram) -> None:
    post = await asked(group)
    reply = answer(group, post, visibility=Visibility.DIRECT)
    with pytest.raises(Refused, match="initiate"):
        await send(group, reply)
    group.arrive("hello", direct=True)
    await send(group, reply)
    [standing] = group.ledger()
    assert (standing.visibility, standing.parent) == (Visibility.DIRECT, None)
    assert standing.external_id.startswith(f"{BOT}:{PEOPLE['ada']}:")


async def test_a_caption_is_shorter_than_a_message(chat: FakeTelegram) -> None:
    post = await asked(chat)
    await send(chat, answer(chat, post, "x" * 4096))
    with pytest.raises(Refused, match="1 characters too long"):
        answer(chat, post, "x" * 1025, pictures=carried(chat))


async def test_what_telegram_counts_are_code_points(chat: FakeTelegram) -> None:
    post = await asked(chat)
    await send(chat, answer(chat, post, "🏕" * 4096))
    assert len(chat.ledger()) == 1


async def test_an_album_is_deleted_whole(chat: FakeTelegram) -> None:
    post = await asked(chat)
    reply = answer(chat, post, pictures=PICTURES)
    sent = await send(chat, reply)
    assert len(sent.ref["ids"]) == 2
    await TELEGRAM.delete(chat.link(), placed(sent, reply, chat))
    assert not [message for message in chat.messages.values() if message["from"]["id"] == BOT]


async def test_a_message_cannot_be_taken_back_after_two_days(chat: FakeTelegram) -> None:
    post = await asked(chat)
    reply = answer(chat, post)
    sent = await send(chat, reply)
    chat.tick(timedelta(hours=49))
    with pytest.raises(Refused, match="can't be deleted"):
        await TELEGRAM.delete(chat.link(), placed(sent, reply, chat))
    await TELEGRAM.edit(chat.link(), placed(sent, reply, chat), "We looked again.")


async def test_a_send_whose_answer_was_lost_is_left_to_a_person(chat: FakeTelegram) -> None:
    assert not TELEGRAM.capabilities.idempotent
    assert not TELEGRAM.capabilities.find_sent
    post = await asked(chat)
    chat.trouble(Trouble.ANSWER_LOST, sends_only=True)
    with pytest.raises(MaybeSent):
        await send(chat, answer(chat, post, pictures=carried(chat)))


# Business accounts


@pytest.fixture
def business(chat: FakeTelegram) -> FakeTelegram:
    chat.write({"text": "Is the shop open?", "business_connection_id": SIDE}, update="business_message")
    return chat


async def test_a_customer_of_a_business_account_is_answered_in_its_name(business: FakeTelegram) -> None:
    [post] = await brought(business)
    assert (post.thread_id, post.kind, post.own) == (f"{SIDE}:{PEOPLE['ada']}", PostKind.DIRECT, False)
    reply = answer(business, post)
    sent = await send(business, reply)
    [standing] = business.ledger()
    assert sent.external_id == standing.external_id
    assert standing.external_id.startswith(f"{SIDE}:")
    await TELEGRAM.edit(business.link(), placed(sent, reply, business), "We looked again.")
    await TELEGRAM.delete(business.link(), placed(sent, reply, business))
    assert business.ledger() == []


async def test_what_the_business_account_writes_itself_is_our_own(business: FakeTelegram) -> None:
    owners = {"id": 99, "is_bot": False, "first_name": "Northwind"}
    theirs = business.write({"text": "Until six."})
    business.updates[-1] = {
        "update_id": 9999,
        "business_message": {**theirs, "from": owners, "business_connection_id": SIDE},
    }
    assert [post.own for post in await brought(business)] == [False, True]


async def test_messages_that_were_deleted_in_a_business_account_are_told(business: FakeTelegram) -> None:
    [post] = await brought(business)
    place = {"id": PEOPLE["ada"], "type": "private", "first_name": "Ada"}
    business.tell(
        "deleted_business_messages", {"business_connection_id": SIDE, "chat": place, "message_ids": [post.ref["id"]]}
    )
    [change] = (await TELEGRAM.fetch(business.link(), {})).changes
    assert (change.external_id, change.deleted) == (post.external_id, True)


async def test_a_business_account_is_answered_for_within_a_day(business: FakeTelegram) -> None:
    [post] = await brought(business)
    window = TELEGRAM.window(None, post.ref, post.visibility, business.now)
    assert window is not None
    assert window.until == post.posted_at + timedelta(hours=24)
    business.tick(timedelta(hours=25))
    with pytest.raises(Refused, match="24 hours"):
        answer(business, post)


async def test_the_bots_own_chats_can_be_answered_at_any_time(chat: FakeTelegram) -> None:
    assert TELEGRAM.window(None, (await asked(chat)).ref, Visibility.DIRECT, chat.now) is None


# The token


@pytest.mark.parametrize("trouble", [one for one in Trouble if one is not Trouble.ANSWER_LOST])
async def test_the_token_stands_in_no_message(chat: FakeTelegram, trouble: Trouble) -> None:
    chat.trouble(trouble)
    with pytest.raises(ConnectorError) as caught:
        await TELEGRAM.fetch(chat.link(), {})
    assert "secret" not in str(caught.value)


async def test_a_token_that_telegram_does_not_know_asks_for_a_person(chat: FakeTelegram) -> None:
    chat.token = "1:another"
    with pytest.raises(Unauthorized, match="BotFather"):
        await TELEGRAM.check(chat.link())


@pytest.mark.parametrize("value", ["", "abc", "12:", ":abc", "12:ab/../getMe", "12:ab?x", "x12:abc"])
def test_what_is_no_token_is_not_taken(value: str) -> None:
    with pytest.raises(ValueError, match="token"):
        TelegramCredentials(token=SecretStr(value))


def test_all_feeds_of_a_bot_share_one_address() -> None:
    assert TELEGRAM.app_of(TelegramCredentials(token=SecretStr(TOKEN))) == str(BOT)
