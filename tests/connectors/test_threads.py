"""What is Threads' own: its tokens, conversations under our posts, containers, the replies of a day, deliveries."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from app.connectors.base import Batch, Budget, Hiding, KnownPost, PostKind
from app.connectors.oauth import redeem
from app.connectors.testing.fake import FOREVER, Trouble
from app.connectors.testing.steps import answer, asked, drain, fetch, send, tried
from app.connectors.threads import ThreadsConnector, ThreadsSettings
from app.connectors.threads_posts import _CALLS
from app.errors import ChannelDown, RateLimited, Refused, Unauthorized
from tests.connectors.fakes.meta import VERIFY, Entry
from tests.connectors.fakes.threads import TOKEN, US, US_NAME, FakeMentions, FakeThreads, notified

THREADS = ThreadsConnector()
BOTH = ThreadsSettings()


def received(fake: FakeThreads, *told: Entry, settings: ThreadsSettings = BOTH) -> Batch:
    delivery = fake.signed(json.dumps(told[0] if len(told) == 1 else told).encode())
    return THREADS.receive(fake.link(settings=settings), delivery.headers, delivery.body)


# Tokens


async def test_signing_in_brings_a_token_of_sixty_days_and_whose_it_is() -> None:
    fake = FakeThreads()
    fake.tokens.clear()
    bare = fake.credentials().model_copy(update={"access_token": SecretStr(""), "expires_at": None, "user_id": ""})
    link = fake.link(credentials=bare)
    held = await redeem(link, THREADS.oauth, code="c", redirect="https://desk.example/cb", verifier="")  # type: ignore[arg-type]
    kept = await THREADS.signed_in(replace(link, credentials=held))
    assert kept.access_token.get_secret_value() == "long-secret-1"  # type: ignore[attr-defined]
    assert (kept.user_id, kept.user_name) == (US, US_NAME)  # type: ignore[attr-defined]
    assert kept.expires_at == fake.now + timedelta(seconds=5_183_944)  # type: ignore[attr-defined]
    assert await THREADS.who(fake.link(credentials=kept)) == replace(fake.account(), url=f"https://www.threads.net/@{US_NAME}")  # type: ignore[type-var] # fmt: skip


async def test_a_token_that_ends_within_thirty_days_is_renewed_and_kept() -> None:
    fake = FakeThreads()
    old = fake.credentials().model_copy(update={"expires_at": fake.now + timedelta(days=29)})
    fake.arrive("hello")
    await THREADS.fetch(fake.link(credentials=old, take_turn=None), {})
    [kept] = fake.kept
    assert kept.access_token.get_secret_value() == "long-secret-1"  # type: ignore[attr-defined]
    assert kept.expires_at > fake.now + timedelta(days=50)  # type: ignore[attr-defined]


async def test_a_renewal_that_fails_is_tried_again_while_the_old_token_is_good() -> None:
    fake = FakeThreads()
    old = fake.credentials().model_copy(update={"expires_at": fake.now + timedelta(days=3)})
    arrived = fake.arrive("hello")
    fake.trouble(Trouble.DOWN)
    batch = await THREADS.fetch(fake.link(credentials=old, take_turn=None), {})
    assert [post.external_id for post in batch.posts] == [arrived]
    assert not fake.kept
    assert THREADS.ends_at(old) == old.expires_at


@pytest.mark.parametrize("changes", [{"access_token": SecretStr("")}, {"expires_at": None}])
async def test_an_ended_sign_in_and_none_are_said_so(changes: dict[str, Any]) -> None:
    fake = FakeThreads()
    ended = {"expires_at": fake.now} if "expires_at" in changes else changes
    with pytest.raises(Unauthorized, match=r"on the account's page"):
        await THREADS.fetch(fake.link(credentials=fake.credentials().model_copy(update=ended)), {})


# Posts


async def test_each_first_answer_is_a_conversation_and_shows_what_it_stands_under() -> None:
    fake = FakeThreads()
    one = fake.arrive("too expensive")
    two = fake.arrive("great", by="bob")
    under = fake.arrive("indeed", under=one)
    found, _ = await drain(fake, {})
    assert [found[name].thread_id for name in (one, two, under)] == [one, two, one]
    assert (found[under].in_reply_to, found[one].in_reply_to) == (one, None)
    assert found[one].media[0].title == "Our winter sale has begun"
    assert found[one].author.handle == "ada"


async def test_pictures_a_film_a_link_and_a_poll_are_shown() -> None:
    fake = FakeThreads()
    picture = {"media_type": "IMAGE", "media_url": "https://cdn.example/1.jpg", "alt_text": "a torn box"}
    film = {
        "media_type": "VIDEO",
        "media_url": "https://cdn.example/2.mp4",
        "thumbnail_url": "https://cdn.example/2.jpg",
    }
    poll = {"option_a": "yes", "option_b": "no", "expiration_timestamp": "2026-11-03T09:00:00+0000"}
    more = {"poll_attachment": poll, "link_attachment_url": "https://shop.example"}
    album = fake.write(
        "ada", "look", fake.root, children={"data": [picture, film]}, media_type="CAROUSEL_ALBUM", **more
    )
    media = (await drain(fake, {}))[0][album].media
    assert [one.kind for one in media] == ["link", "image", "video", "link", "poll"]
    assert media[1].description == "a torn box"
    assert media[4].poll is not None
    assert media[4].poll.options == ("yes", "no")


async def test_somebody_whose_name_is_not_told_is_not_taken_for_another() -> None:
    fake = FakeThreads()
    for _ in range(2):
        del fake.things[fake.arrive("hello")]["username"]
    one, two = (await drain(fake, {}))[0].values()
    assert one.author.external_id != two.author.external_id


async def test_a_mention_under_our_own_post_is_the_same_by_both_ways() -> None:
    fake = FakeMentions()
    ours = fake.arrive("where is it?", under=fake.root)
    elsewhere = fake.arrive("have you seen this?", under=fake.write("carol", "Boots recalled"))
    by_mentions, _ = await drain(fake, {})
    fake.bring = {"replies": True, "mentions": True}  # type: ignore[misc]
    by_both, _ = await drain(fake, {})
    assert by_mentions[ours] == replace(by_both[ours], payload=by_mentions[ours].payload)
    assert by_mentions[ours].thread_id == ours
    assert by_mentions[elsewhere].kind is PostKind.MENTION
    assert by_mentions[elsewhere].thread_id == by_mentions[elsewhere].in_reply_to


async def test_answers_under_many_posts_are_read_in_turns_of_bounded_cost() -> None:
    fake = FakeThreads()
    roots = [fake.write(US_NAME, f"sale {n}") for n in range(2 * _CALLS + 3)]
    fake.page_size = 50
    arrived = {fake.write("ada", "hello", root) for root in roots}
    cursor: Entry = {}
    found: set[str] = set()
    more = True
    while more:
        fake.requests.clear()
        batch = await fetch(fake, cursor)
        assert len(fake.requests) <= 2 * _CALLS + 1
        found |= {post.external_id for post in batch.posts}
        cursor, more = batch.cursor, batch.more
    assert found == arrived
    late = {fake.write("bob", "me too", root) for root in roots}
    for _ in range(3):
        batch = await fetch(fake, cursor)
        late -= {post.external_id for post in batch.posts}
        cursor = batch.cursor
    assert not late


async def test_what_was_hidden_there_is_told() -> None:
    fake = FakeThreads()
    hidden = fake.arrive("buy followers")
    fake.things[hidden]["hide_status"] = "HIDDEN"
    assert (await fetch(fake, {})).hidings == (Hiding(hidden, True, fake.now),)


async def test_with_our_post_all_went_that_stood_under_it() -> None:
    fake = FakeThreads()
    post = await asked(fake)
    fake.remove(fake.root)
    [change] = await THREADS.look_again(fake.link(), [KnownPost(post.external_id, post.ref)])
    assert (change.external_id, change.deleted) == (post.external_id, True)


async def test_a_post_further_down_than_is_read_is_not_called_gone() -> None:
    fake = FakeThreads()
    old = await asked(fake)
    for number in range(7 * fake.page_size):
        fake.arrive(f"and {number}")
    assert await THREADS.look_again(fake.link(), [KnownPost(old.external_id, old.ref)]) == ()


# Answers


async def test_a_reply_is_published_once_its_container_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.connectors.threads._PAUSE", 0)
    fake = FakeThreads()
    reply = answer(fake, await asked(fake))
    fake.statuses = ["IN_PROGRESS", "IN_PROGRESS"]
    await send(fake, reply)
    assert len(fake.ledger()) == 1
    fake.statuses = ["ERROR"]
    with pytest.raises(Refused) as caught:
        await send(fake, reply)
    assert caught.value.delivered is False
    fake.statuses = ["IN_PROGRESS"] * FOREVER
    with pytest.raises(ChannelDown) as slow:
        await send(fake, reply)
    assert getattr(slow.value, "delivered", None) is False
    assert len(fake.ledger()) == 1


async def test_a_container_that_is_never_published_is_no_reply() -> None:
    fake = FakeThreads()
    reply = answer(fake, await asked(fake))
    fake.trouble(Trouble.ANSWER_LOST, after=1)  # the first call asks how many replies are left
    with pytest.raises(Exception, match="broke off") as caught:
        await send(fake, reply)
    assert getattr(caught.value, "delivered", None) is False
    assert await THREADS.find_sent(fake.link(), tried(fake, reply)) is None


async def test_the_replies_of_a_day_are_a_budget_and_the_last_one_is_not_overdrawn() -> None:
    fake, noted = FakeThreads(), list[Budget]()

    async def note(budget: Any) -> None:
        noted.append(budget)

    reply = answer(fake, await asked(fake))
    fake.replied = 999
    await THREADS.send(fake.link(note=note), reply)
    assert noted == [Budget(1, 1000, name="replies")]
    with pytest.raises(RateLimited, match="its 1000 replies of 24 hours") as caught:
        await THREADS.send(fake.link(note=note), reply)
    assert (caught.value.allowance, caught.value.delivered) == ("replies", False)
    [allowance] = THREADS.allowances(BOTH, fake.credentials(), replying=True)
    assert allowance.name == "replies"
    assert not THREADS.allowances(BOTH, fake.credentials())


async def test_emoji_count_by_their_bytes() -> None:
    fake = FakeThreads()
    post = await asked(fake)
    answer(fake, post, "x" * 496 + "👍")
    with pytest.raises(Refused, match="1 too long"):
        answer(fake, post, "x" * 497 + "👍")


async def test_only_first_answers_of_others_are_hidden_and_shown_again() -> None:
    fake = FakeThreads()
    first = fake.arrive("spam")
    under, own = fake.arrive("more spam", under=first), fake.arrive_own("please stop")
    found, _ = await drain(fake, {})
    assert [THREADS.hideable(found[name].ref) for name in (first, under, own)] == [True, False, False]
    known = KnownPost(first, found[first].ref)
    for hidden, status in ((True, "HIDDEN"), (False, "UNHUSHED")):
        await THREADS.hide(fake.link(), known, hidden=hidden)
        assert fake.things[first]["hide_status"] == status


# Deliveries


def test_a_delivery_is_for_the_profile_that_it_concerns() -> None:
    fake = FakeThreads()
    at = "2026-11-02T08:59:00+0000"
    reply = {"id": "1", "text": "hi", "username": "ada", "timestamp": at, "replied_to": {"id": "7"}}
    ours, others = ({"root_post": {"id": "7", "owner_id": owner}} for owner in (US, "555"))
    mention = {"id": "2", "username": "ada", "timestamp": at}
    named = mention | {"text": f"so, @{US_NAME}. What now?"}
    told = [notified("replies", reply | ours), notified("replies", reply | {"id": "3"} | others)]
    told += [notified("mentions", named), notified("mentions", mention | {"id": "4", "text": f"@{US_NAME}er"})]
    assert [post.external_id for post in received(fake, *told).posts] == ["1", "2"]
    assert not received(fake, told[0], settings=ThreadsSettings(replies=False)).posts
    assert not received(fake, told[2], settings=ThreadsSettings(mentions=False)).posts


def test_a_mention_under_our_post_that_is_delivered_is_an_answer_to_it() -> None:
    fake = FakeThreads()
    value: Entry = {"id": "1", "text": f"@{US_NAME} hi", "username": "ada", "timestamp": "2026-11-02T08:59:00+0000"}
    value |= {"replied_to": {"id": "7"}, "root_post": {"id": "7", "owner_id": US}}
    [post] = received(fake, notified("mentions", value)).posts
    assert (post.thread_id, post.kind) == ("1", PostKind.COMMENT)


def test_meta_proves_the_address_with_the_verify_token() -> None:
    query = {"hub.mode": "subscribe", "hub.challenge": "42", "hub.verify_token": VERIFY}
    assert THREADS.challenge(FakeThreads().link(), query) == "42"
    with pytest.raises(Unauthorized):
        THREADS.challenge(FakeThreads().link(), query | {"hub.verify_token": TOKEN})


def test_a_feed_brings_something() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ThreadsSettings(replies=False, mentions=False)
