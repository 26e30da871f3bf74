"""What is Facebook's own: deliveries, windows, private replies, hiding, limits, and whose token it is."""

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from app.connectors.base import Batch, Hiding, IncomingPost, KnownPost, OutgoingReply, PostChange, Visibility
from app.connectors.facebook import FacebookConnector, FacebookSettings
from app.connectors.meta_account import PageCredentials
from app.connectors.meta_graph import budget_of, told, wait_of
from app.connectors.testing.fake import START, Trouble
from app.connectors.testing.steps import answer, asked, drain, fetch, fill, send, tried
from app.errors import ChannelDown, Malformed, MaybeSent, RateLimited, Refused, Unauthorized
from tests.connectors.fakes.facebook import (
    NOTHING,
    PEOPLE,
    FakeAll,
    FakeComments,
    FakeMessenger,
    FakePage,
    FakeRatings,
    FakeWall,
    credentials,
)
from tests.connectors.fakes.meta import APP, PAGE, PAGE_NAME, SECRET, TOKEN, USER_TOKEN, VERIFY, Entry

FACEBOOK = FacebookConnector()


def received(fake: FakePage, *entries: Entry) -> Batch:
    """What a delivery of these entries brings."""
    body = json.dumps({"object": "page", "entry": [fake.entry(one) for one in entries]}).encode()
    delivery = fake.signed(body)
    return FACEBOOK.receive(fake.link(), delivery.headers, delivery.body)


def unprepared(fake: FakePage, post: IncomingPost) -> OutgoingReply:
    """An answer to that post that nobody has frozen yet."""
    return OutgoingReply("key", "We are looking into it.", post.visibility, post.ref, post.external_id, fake.now)


# Deliveries


def test_meta_proves_the_address_with_the_verify_token() -> None:
    query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": VERIFY}
    assert FACEBOOK.challenge(FakeAll().link(), query) == "1158201444"
    for wrong in ({"hub.verify_token": "é guess"}, {"hub.mode": "unsubscribe"}, {"hub.verify_token": ""}):
        with pytest.raises(Unauthorized):
            FACEBOOK.challenge(FakeAll().link(), query | wrong)


def test_without_a_verify_token_nobody_proves_anything() -> None:
    link = FakeAll().link(credentials=credentials(verify_token=""))
    with pytest.raises(Unauthorized):
        FACEBOOK.challenge(link, {"hub.mode": "subscribe", "hub.challenge": "1", "hub.verify_token": ""})


def test_a_delivery_for_another_page_of_the_app_brings_nothing() -> None:
    fake = FakeComments()
    told_of = fake.entry(fake.told("hello")) | {"id": "555"}
    delivery = fake.signed(json.dumps({"object": "page", "entry": [told_of]}).encode())
    assert not FACEBOOK.receive(fake.link(), delivery.headers, delivery.body).posts


def test_a_delivery_brings_only_what_the_feed_wants() -> None:
    fake = FakeMessenger()
    name = fake.comment(fake.post, PEOPLE["ada"], "not for this feed")
    batch = received(fake, fake.change(name, "comment"), fake.told("for this feed"))
    assert [post.text for post in batch.posts] == ["for this feed"]


async def test_a_delivery_and_a_poll_give_a_comment_the_same_name_place_and_author() -> None:
    fake = FakeComments()
    root = fake.arrive("Where is my tent?")
    child = fake.arrive("And my stove?", by="bob", under=root)
    listed, _ = await drain(fake, {})
    pushed = {
        post.external_id: post
        for post in received(fake, fake.change(root, "comment"), fake.change(child, "comment")).posts
    }
    for name in (root, child):
        one, other = listed[name], pushed[name]
        assert (one.thread_id, one.in_reply_to, one.author, one.text, one.posted_at) == (
            other.thread_id, other.in_reply_to, other.author, other.text, other.posted_at,
        )  # fmt: skip


async def test_a_delivery_and_a_poll_give_a_message_the_same_name_and_conversation() -> None:
    fake = FakeMessenger()
    told_of = fake.told("Is it waterproof?")
    (pushed,) = received(fake, told_of).posts
    listed = (await drain(fake, {}))[0][pushed.external_id]
    assert (pushed.thread_id, pushed.text, pushed.author.external_id) == (
        listed.thread_id, listed.text, listed.author.external_id,
    )  # fmt: skip


def test_what_was_edited_removed_and_hidden_there_is_told() -> None:
    fake = FakeComments()
    name = fake.arrive("My tent is torn")
    verbs = [fake.change(name, "comment", verb) for verb in ("edited", "remove", "hide", "unhide")]
    batch = received(fake, *verbs)
    assert batch.changes == (
        PostChange(name, fake.now, text="My tent is torn"),
        PostChange(name, fake.now, deleted=True),
    )
    assert [one.hidden for one in batch.hidings] == [True, False]
    assert isinstance(batch.hidings[0], Hiding)


def test_likes_and_our_own_posts_are_no_news() -> None:
    fake = FakeAll()
    like = {"changes": [{"field": "feed", "value": {"item": "reaction", "verb": "add", "post_id": fake.post}}]}
    batch = received(fake, like, fake.change(fake.post, "status"))
    assert not batch.posts
    assert not batch.rejected


def test_what_we_wrote_in_messenger_itself_is_our_own() -> None:
    fake = FakeMessenger()
    event = {
        "sender": {"id": PAGE},
        "recipient": {"id": PEOPLE["ada"]},
        "timestamp": int(fake.now.timestamp() * 1000),
        "message": {"mid": "m_1", "text": "We look into it", "is_echo": True, "app_id": 7},
    }
    (post,) = received(fake, {"messaging": [event, {"read": {"watermark": 1}, "sender": {"id": "2"}}]}).posts
    assert post.own
    assert post.thread_id == f"messages:{PAGE}:{PEOPLE['ada']}"


def test_a_message_brings_its_pictures() -> None:
    fake = FakeMessenger()
    told_of = fake.told("")
    picture = {"type": "image", "payload": {"url": "https://scontent.example/tent.jpg"}}
    told_of["messaging"][0]["message"]["attachments"] = [picture, {"type": "template", "payload": {}}]
    (post,) = received(fake, told_of).posts
    assert [(one.kind, one.url) for one in post.media] == [("image", "https://scontent.example/tent.jpg")]


def test_a_recommendation_says_which_it_is() -> None:
    fake = FakeRatings()
    (post,) = received(fake, fake.told("Never again")).posts
    assert (post.title, post.text) == ("Does not recommend us", "Never again")


# Polls


async def test_a_comment_on_our_own_post_is_a_conversation_of_its_own_that_shows_the_post() -> None:
    fake = FakeComments()
    one, other = fake.arrive("Where is my tent?"), fake.arrive("Nice!", by="bob")
    found, _ = await drain(fake, {})
    assert found[one].thread_id != found[other].thread_id
    assert found[one].media[0].title == "Our winter sale has begun"
    assert fake.post not in found


async def test_a_quiet_page_costs_one_call_for_its_comments() -> None:
    fake = FakeComments()
    fill(fake, 3)
    fake.tick(timedelta(minutes=5))
    _, cursor = await drain(fake, {})
    fake.requests.clear()
    batch = await fetch(fake, cursor)
    assert not batch.posts
    assert len(fake.requests) == 1


async def test_a_comment_without_a_named_author_is_somebodys() -> None:
    fake = FakeComments()
    name = fake.arrive("Who am I?")
    fake.things[name].pop("from")
    post = (await drain(fake, {}))[0][name]
    assert post.author.external_id == f"unknown:{name}"


async def test_the_first_poll_has_deliveries_sent() -> None:
    fake = FakeAll()
    await FACEBOOK.fetch(fake.link(hook="https://care.example/hooks/1"), {})
    assert "message_echoes" in fake.subscribed


async def test_messages_of_a_conversation_that_moves_while_it_is_read_are_not_lost() -> None:
    fake = FakeMessenger()
    people = [fake.arrive(f"hello from {n}", by=f"stranger {n}") for n in range(12)]
    _, cursor = await drain(fake, {})
    first = fake.things[people[0]]["_person"]
    arrived = [fake.message(first, first, "one"), *(fake.arrive(f"again {n}", by=f"other {n}") for n in range(6))]
    moved = iter([1])

    def write_again() -> None:
        if next(moved, None):
            arrived.append(fake.message(first, first, "two, while you read"))

    fake.between_requests = write_again
    found, cursor = await drain(fake, cursor)
    fake.between_requests = None
    more, _ = await drain(fake, cursor)
    assert set(arrived) <= set(found | more)


def test_a_feed_that_brings_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="Choose at least one"):
        FacebookSettings.model_validate(NOTHING)


# Windows


async def test_a_message_is_answered_for_a_day_and_then_no_more() -> None:
    fake = FakeMessenger()
    post = await asked(fake)
    window = FACEBOOK.window(fake.settings(), post.ref, Visibility.DIRECT, fake.now)
    assert window is not None
    assert window.until == post.posted_at + timedelta(hours=24)
    fake.tick(timedelta(hours=25))
    with pytest.raises(Refused, match="24 hours"):
        answer(fake, post)


async def test_a_person_answers_for_seven_days_where_meta_has_allowed_it() -> None:
    fake = FakeMessenger()
    post = await asked(fake)
    allowed = fake.settings().model_copy(update={"human_agent": True})
    fake.tick(timedelta(days=6))
    prepared = FACEBOOK.prepare(fake.link(settings=allowed), unprepared(fake, post))
    assert prepared["body"]["tag"] == "HUMAN_AGENT"
    fake.tick(timedelta(days=2))
    with pytest.raises(Refused, match="7 days"):
        FACEBOOK.prepare(fake.link(settings=allowed), unprepared(fake, post))


async def test_what_comes_too_late_all_the_same_is_refused_for_good() -> None:
    fake = FakeMessenger()
    reply = answer(fake, await asked(fake))
    fake.tick(timedelta(hours=30))
    with pytest.raises(Refused, match="The time for free answers is over"):
        await send(fake, reply)


async def test_a_comment_is_answered_in_private_once_within_a_week() -> None:
    fake = FakeComments()
    post = await asked(fake)
    await send(fake, answer(fake, post, visibility=Visibility.DIRECT))
    (standing,) = fake.ledger()
    assert (standing.visibility, standing.parent) == (Visibility.DIRECT, post.external_id)
    window = FACEBOOK.window(fake.settings(), post.ref, Visibility.DIRECT, fake.now)
    assert window is not None
    assert window.once
    with pytest.raises(Refused, match="already replied"):
        await send(fake, answer(fake, post, "Again", visibility=Visibility.DIRECT))
    fake.tick(timedelta(days=8))
    with pytest.raises(Refused, match="within 7 days"):
        answer(fake, post, visibility=Visibility.DIRECT)
    assert FACEBOOK.window(fake.settings(), post.ref, Visibility.PUBLIC, fake.now) is None


async def test_a_private_reply_whose_answer_was_lost_is_found_in_messenger() -> None:
    fake = FakeComments()
    reply = answer(fake, await asked(fake), visibility=Visibility.DIRECT)
    fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
    with pytest.raises(MaybeSent):
        await send(fake, reply)
    found = await FACEBOOK.find_sent(fake.link(), tried(fake, reply))
    assert found is not None
    assert found.external_id == fake.ledger()[0].external_id


async def test_a_message_is_shorter_than_a_comment() -> None:
    fake = FakeComments()
    post = await asked(fake)
    answer(fake, post, "x" * 3000)
    with pytest.raises(Refused, match="1000 too long"):
        answer(fake, post, "x" * 3000, visibility=Visibility.DIRECT)


async def test_an_answer_to_an_answer_stands_under_the_comment_that_began() -> None:
    fake = FakeComments()
    root = fake.arrive("it is broken")
    child = fake.arrive("still broken", under=root)
    found, _ = await drain(fake, {})
    await send(fake, answer(fake, found[child]))
    assert fake.ledger()[0].parent == root


# Hiding


async def test_a_comment_is_hidden_and_shown_again() -> None:
    fake = FakeComments()
    post = await asked(fake)
    for hidden in (True, True, False):
        await FACEBOOK.hide(fake.link(), KnownPost(post.external_id, post.ref), hidden=hidden)
        assert fake.things[post.external_id]["is_hidden"] is hidden


async def test_a_message_cannot_be_hidden() -> None:
    fake = FakeMessenger()
    assert not FACEBOOK.hideable((await asked(fake)).ref)
    assert FACEBOOK.hideable((await asked(FakeWall())).ref)


async def test_a_hiding_that_is_not_certain_is_an_error() -> None:
    fake = FakeComments()
    post = await asked(fake)
    fake.trouble(Trouble.NULL)
    with pytest.raises(Malformed):
        await FACEBOOK.hide(fake.link(), KnownPost(post.external_id, post.ref), hidden=True)


# Limits and errors


async def test_the_share_of_the_limits_that_is_used_is_obeyed() -> None:
    fake = FakeComments()
    fake.used = 97
    batch = await fetch(fake, {})
    assert batch.budget is not None
    assert (batch.budget.remaining, batch.budget.limit) == (3, 100)
    assert batch.budget.resets_at is not None


def test_the_tightest_of_all_limits_counts() -> None:
    business = {
        "9": [
            {
                "type": "pages",
                "call_count": 40,
                "total_time": 95,
                "total_cputime": 1,
                "estimated_time_to_regain_access": 12,
            }
        ]
    }
    headers = httpx.Headers({
        "x-app-usage": '{"call_count": 10, "total_time": 2, "total_cputime": 3}',
        "x-business-use-case-usage": json.dumps(business),
        "x-page-usage": "no json",
    })  # fmt: skip
    budget = budget_of(headers, START)
    assert budget is not None
    assert budget.remaining == 5
    assert wait_of(headers) == timedelta(minutes=12)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 4}, RateLimited),
        ({"code": 17}, RateLimited),
        ({"code": 32}, RateLimited),
        ({"code": 613}, RateLimited),
        ({"code": 80001}, RateLimited),
        ({"code": 2, "is_transient": True}, ChannelDown),
        ({"code": 190, "error_subcode": 460}, Unauthorized),
        ({"code": 200}, Unauthorized),
        ({"code": 100, "error_subcode": 33}, Refused),
        ({"code": 368}, Refused),
    ],
)
def test_an_error_means_what_its_code_says(error: dict[str, Any], kind: type[Exception]) -> None:
    found = told({"message": "Something", "fbtrace_id": "Abc", **error}, None)
    assert type(found) is kind or isinstance(found, kind)
    assert "Something" in found.message
    assert "Abc" in found.message


async def test_every_call_proves_that_the_app_itself_calls() -> None:
    fake = FakeComments()
    await fetch(fake, {})
    expected = hmac.new(SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()
    assert {request.url.params["appsecret_proof"] for request in fake.requests} == {expected}
    assert all(TOKEN not in str(request.url) for request in fake.requests)


# Whose token


def typed(**more: str) -> PageCredentials:
    return PageCredentials.model_validate({"client_id": APP, "client_secret": SECRET, "verify_token": VERIFY, **more})


async def test_the_pages_own_token_is_made_once_and_kept() -> None:
    fake = FakeComments()
    fake.arrive("hello")
    await FACEBOOK.fetch(fake.link(credentials=typed(system_token=USER_TOKEN, page=PAGE)), {})
    (kept,) = fake.kept
    assert isinstance(kept, PageCredentials)
    assert (kept.page_token.get_secret_value(), kept.page_name) == (TOKEN, PAGE_NAME)
    fake.requests.clear()
    await FACEBOOK.fetch(fake.link(), {})
    assert len(fake.kept) == 1


async def test_the_only_page_of_a_sign_in_needs_no_id() -> None:
    said = await FACEBOOK.check(FakeComments().link(credentials=typed(system_token=USER_TOKEN)))
    assert said.account is not None
    assert said.account.external_id == PAGE


async def test_nobody_signed_in_is_said_so() -> None:
    with pytest.raises(Unauthorized, match="Nobody has signed in"):
        await FACEBOOK.check(FakeComments().link(credentials=typed()))


async def test_signing_in_gives_a_lasting_token_and_says_when_its_data_ends() -> None:
    fake = FakeComments()
    held = typed().model_copy(update={"access_token": typed(system_token="short").system_token})
    lasting = await FACEBOOK.signed_in(fake.link(credentials=held))
    assert isinstance(lasting, PageCredentials)
    assert lasting.page_token.get_secret_value() == TOKEN
    assert lasting.ends_at == fake.now + timedelta(days=90)


def test_a_system_users_token_needs_no_sign_in() -> None:
    assert FACEBOOK.sign_in(typed(system_token=USER_TOKEN)) is None
    assert FACEBOOK.sign_in(typed()) is not None
