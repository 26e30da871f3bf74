"""What is Mastodon's own: pages, threads, visibility, mentions, allowances, and servers of other makes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.responses import Response, StreamingResponse

from app.connectors.base import Batch, IncomingPost, Json, KnownPost, OutgoingReply, Poll, PostKind, Quote, Visibility
from app.connectors.mastodon import MastodonConnector, MastodonSettings, Source
from app.connectors.mastodon_api import not_newer
from app.connectors.mastodon_app import MastodonCredentials
from app.connectors.mastodon_posts import read_post
from app.connectors.mastodon_threads import CALLS, Placed
from app.connectors.testing.fake import FOREVER, Trouble
from app.connectors.testing.steps import PICTURES, answer, asked, drain, fetch, fill, placed, send, tried
from app.errors import Blocked, Malformed, MaybeSent, RateLimited, Refused, Unauthorized, Unreachable
from app.settings import Settings
from app.transport import guarded_client
from tests.connectors.fakes.mastodon import ALLOWANCE, HOST, US, FakeMastodon, FakeOtherMake, Toot
from tests.connectors.fakes.mastodon_socket import FakeSocketMake
from tests.loopback import served

MASTODON = MastodonConnector()


async def brought(fake: FakeMastodon, toot: Toot) -> IncomingPost:
    found, _ = await drain(fake, {})
    return found[fake.uri(toot)]


# Pages


@pytest.mark.parametrize(("one", "other"), [("999", "1000"), ("1000", "1000"), ("01ARZ", "01ARZ0"), ("01ARY", "01ARZ")])
def test_ids_are_compared_as_text_by_length_first(one: str, other: str) -> None:
    assert not_newer(one, other)
    assert one == other or not not_newer(other, one)


async def test_the_first_sync_brings_three_pages_of_the_backlog_and_is_done() -> None:
    fake = FakeMastodon()
    arrived = fill(fake, 7 * fake.page_size)
    batch = await fetch(fake, {})
    assert [post.external_id for post in batch.posts] == arrived[-3 * fake.page_size :]
    assert not batch.more


async def test_after_an_empty_first_sync_everything_is_brought_however_much_it_is() -> None:
    fake = FakeMastodon()
    _, cursor = await drain(fake, {})
    arrived = fill(fake, 7 * fake.page_size)
    found, _ = await drain(fake, cursor)
    assert set(found) == set(arrived)


async def test_a_quiet_feed_costs_one_call_and_repeats_nothing() -> None:
    fake = FakeMastodon()
    fill(fake, 25)
    _, cursor = await drain(fake, {})
    fake.requests.clear()
    batch = await fetch(fake, cursor)
    assert not batch.posts
    assert len(fake.requests) == 1


async def test_a_status_that_arrives_late_under_an_old_id_is_brought() -> None:
    fake = FakeMastodon(Source.HASHTAG)
    fill(fake, 3)
    late = fake.toots.pop(fake.toot("bob", "from a slow server").id)
    fill(fake, 3)
    found, cursor = await drain(fake, {})
    assert fake.uri(late) not in found
    fake.toots[late.id] = late
    found, _ = await drain(fake, cursor)
    assert list(found) == [fake.uri(late)]


async def test_other_settings_start_anew() -> None:
    fake = FakeMastodon(Source.HASHTAG)
    older = [fake.uri(fake.toot("bob", f"northwind is late {n}", tags=())) for n in range(2 * fake.page_size)]
    arrived = fake.arrive("hello")
    _, cursor = await drain(fake, {})
    fake.source = Source.SEARCH
    found, _ = await drain(fake, cursor)
    assert set(found) == set(older)
    assert arrived not in found


async def test_a_server_that_ignores_max_id_is_not_asked_without_end() -> None:
    class Stuck(FakeOtherMake):
        def _page(self, request: Any, ids: list[str]) -> tuple[list[str], dict[str, str]]:
            return ids[-self.page_size :][::-1], {}

    fake = Stuck()
    _, cursor = await drain(fake, {})
    fill(fake, 30)
    found, _ = await drain(fake, cursor)
    assert len(found) == fake.page_size


async def test_other_notifications_are_left_out_where_a_server_sends_them_unasked() -> None:
    fake = FakeOtherMake()
    fake.notify("favourite", fake.toot(US, "we are open"))
    asked_us = fake.arrive("are you open?")
    batch = await fetch(fake, {})
    assert [post.external_id for post in batch.posts] == [asked_us]
    assert not batch.rejected


async def test_notifications_that_the_accounts_policy_holds_back_are_brought() -> None:
    fake = FakeMastodon()
    stranger = fake.toot("eve", "@northwindhelp2 psst", visibility="direct")
    fake.notify("mention", stranger, held_back=True)
    found, _ = await drain(fake, {})
    assert set(found) == {fake.uri(stranger)}


async def test_a_quote_of_ours_is_brought_as_a_mention_and_what_it_shows_is_ours() -> None:
    fake = FakeMastodon()
    ours = fake._shown(fake.toot(US, "we are open"))
    quoting = fake.toot("ada", "they were not", more={"quote": {"state": "accepted", "quoted_status": ours}})
    fake.notify("quote", quoting)
    post = await brought(fake, quoting)
    assert post.kind is PostKind.MENTION
    assert (post.media[0].kind, post.media[0].title) == ("quote", "Northwind Help")


async def test_a_make_that_refuses_what_it_does_not_know_is_asked_for_mentions_alone() -> None:
    class Strict(FakeOtherMake):
        def _notifications(self, request: Any) -> Any:
            if set(request.query_params) - {"types[]", "limit", "max_id"}:
                raise ValueError("unknown parameter")
            return super()._notifications(request)

    fake = Strict()
    arrived = fake.arrive("hello")
    found, cursor = await drain(fake, {})
    assert set(found) == {arrived}
    fake.requests.clear()
    await fetch(fake, cursor)
    assert len(fake.requests) == 1


async def test_a_notification_of_a_post_that_went_or_of_an_answer_on_pixelfed() -> None:
    fake = FakeOtherMake()
    answer_of_theirs, gone = fake.toot("ada", "nice picture"), fake.toot("ada", "oops")
    fake.notify("comment", answer_of_theirs)
    fake.notify("mention", gone)
    shown = fake._shown
    fake._shown = lambda toot: None if toot is gone else shown(toot)  # type: ignore[assignment,method-assign,return-value]
    batch = await fetch(fake, {})
    assert [post.external_id for post in batch.posts] == [fake.uri(answer_of_theirs)]
    assert not batch.rejected


async def test_a_server_without_threads_says_so_in_the_feeds_health() -> None:
    fake = FakeOtherMake()
    fake.toot("ada", f"@{US} really", parent=fake.toot("bob", "it is broken").id)
    assert f"{HOST} gives no threads" in (await fetch(fake, {})).notice
    real = FakeMastodon()
    gone = real.toot("bob", "it is broken")
    real.toot("ada", f"@{US} really", parent=gone.id)
    real.remove(real.uri(gone))
    assert not (await fetch(real, {})).notice


async def test_a_server_without_search_says_what_to_follow_instead() -> None:
    fake = FakeMastodon(Source.SEARCH)
    fake._search = lambda request: fake._found("no such endpoint")  # type: ignore[assignment,method-assign,return-value]
    with pytest.raises(Refused, match="no search of posts"):
        await fetch(fake, {})


async def test_boosts_are_left_out_unless_asked_for() -> None:
    fake = FakeMastodon(Source.HASHTAG)
    original = fake.toot("ada", "northwind is great")
    boost = fake.toot("bob", "", reblog_of=original.id)
    found, _ = await drain(fake, {})
    assert fake.uri(boost) not in found
    wide = fake.link(settings=MastodonSettings(source=Source.HASHTAG, value="northwind", include_reposts=True))
    posts = {post.external_id: post for post in (await MASTODON.fetch(wide, {})).posts}
    assert posts[fake.uri(boost)].repost
    assert posts[fake.uri(boost)].author.handle == "bob@other.example"
    assert "northwind is great" in posts[fake.uri(boost)].text


async def test_an_account_that_the_server_does_not_know_is_a_clear_error() -> None:
    for fake in (FakeMastodon(Source.ACCOUNT), FakeOtherMake(Source.ACCOUNT)):
        link = fake.link(settings=MastodonSettings(source=Source.ACCOUNT, value="@nobody@other.example"))
        with pytest.raises(Refused, match="knows no account @nobody"):
            await MASTODON.fetch(link, {})


# Posts


async def test_a_status_is_read_whole() -> None:
    fake = FakeMastodon()
    address = "https://shop.example/orders/123456789/where-is-it?ref=mail&lang=de"
    picture = {"type": "image", "url": "https://other.example/1.png", "preview_url": None, "description": "a torn box"}
    toot = fake.toot("ada", f"@{US} see {address}\n\n<b>now</b>", spoiler="delivery", language="de", media=[picture])
    post = await brought(fake, toot)
    assert post.text == f"@{US} see {address}\n\n<b>now</b>"
    assert post.html is not None
    assert "<a href=" in post.html
    assert post.title == "delivery"
    assert post.url == f"https://other.example/@ada/{toot.id}"
    assert post.payload["id"] == toot.id
    assert post.language == "de"
    assert post.kind is PostKind.MENTION
    assert (post.author.handle, post.author.followers) == ("ada@other.example", 42)
    (media,) = post.media
    assert (media.kind, media.url, media.description) == ("image", "https://other.example/1.png", "a torn box")


async def test_a_quote_a_poll_and_a_card_come_with_their_words() -> None:
    fake = FakeMastodon()
    news = fake.toot("carol", "<b>Boots</b> recalled", language="en")
    ends = "2026-11-03T09:00:00.000Z"
    options = [{"title": "yes", "votes_count": 3}, {"title": "no", "votes_count": 0}]
    poll = {"id": "1", "expires_at": ends, "multiple": True, "votes_count": 3, "options": options}
    card = {"url": "https://news.example/1", "title": "Recall", "description": "All of them", "image": None}
    quote = {"state": "accepted", "quoted_status": fake._shown(news)}
    post = await brought(fake, fake.toot("ada", f"@{US} true?", more={"quote": quote, "poll": poll, "card": card}))
    link, quoted, asked_for = post.media
    assert (link.kind, link.title, link.url) == ("link", "Recall", "https://news.example/1")
    assert (quoted.kind, quoted.title, quoted.description) == ("quote", "Carol", "<b>Boots</b> recalled")
    assert quoted.quote == Quote("carol@other.example", news.at, "en")
    assert asked_for.poll == Poll(("yes", "no"), (3, 0), multiple=True, ends_at=datetime.fromisoformat(ends))


async def test_a_status_that_moderators_show_to_fewer_is_told_although_nobody_edited_it() -> None:
    fake = FakeMastodon()
    toot = fake.toot("ada", f"@{US} my number is 5")
    post = await brought(fake, toot)
    known = KnownPost(post.external_id, post.ref)
    assert await MASTODON.look_again(fake.link(), [known]) == ()
    toot.visibility = "private"
    [change] = await MASTODON.look_again(fake.link(), [known])
    assert (change.visibility, change.text, change.changed_at) == (Visibility.FOLLOWERS, post.text, fake.now)


@pytest.mark.parametrize(
    "more",
    [{"quote": None}, {"pleroma": {}}, {"pleroma": "odd"}, {"quote": 7}, {"poll": {"options": []}}, {"poll": []}],
)
async def test_what_is_no_quote_and_no_poll_is_passed_over(more: Json) -> None:
    fake = FakeMastodon()
    assert (await brought(fake, fake.toot("ada", f"@{US} hello", more=more))).media == ()


async def test_other_makes_give_the_quoted_status_itself() -> None:
    fake = FakeMastodon()
    news = fake._shown(fake.toot("carol", "Boots recalled"))
    for more in ({"quote": news}, {"pleroma": {"quote": news}}):
        [quoted] = (await brought(fake, fake.toot("ada", f"@{US} true?", more=more))).media
        assert (quoted.kind, quoted.description) == ("quote", "Boots recalled")


@pytest.mark.parametrize("state", ["blocked_account", "muted_account", "revoked", "invented_2031"])
async def test_a_quote_that_is_not_to_be_shown_says_nothing(state: str) -> None:
    fake = FakeMastodon()
    quote = {"state": state, "quoted_status": fake._shown(fake.toot("carol", "secretly"))}
    [quoted] = (await brought(fake, fake.toot("ada", f"@{US} true?", more={"quote": quote}))).media
    assert (quoted.title, quoted.description, quoted.url) == ("", "", "")


async def test_an_edit_that_comes_back_blank_is_no_change() -> None:
    fake = FakeOtherMake()
    toot = fake.toot("ada", f"@{US} hello")
    post = await brought(fake, toot)
    fake.rewrite(post.external_id, "")
    assert await MASTODON.look_again(fake.link(), [KnownPost(post.external_id, post.ref)]) == ()


async def test_a_quote_whose_author_has_not_agreed_says_nothing_and_votes_that_are_hidden_are_not_told() -> None:
    fake = FakeMastodon()
    hidden = {"options": [{"title": "yes", "votes_count": None}, {"title": "no", "votes_count": None}]}
    more = {"quote": {"state": "pending", "quoted_status": None}, "poll": hidden}
    quoted, asked_for = (await brought(fake, fake.toot("ada", f"@{US} true?", more=more))).media
    assert (quoted.title, quoted.description, quoted.url) == ("", "", "")
    assert asked_for.poll == Poll(("yes", "no"))


async def test_an_answer_to_us_is_a_reply_and_a_direct_one_is_direct() -> None:
    fake = FakeMastodon()
    ours = fake.toot(US, "we are open on Sunday")
    reply = fake.toot("ada", f"@{US} great", parent=ours.id)
    direct = fake.toot("ada", f"@{US} my number is 5", parent=ours.id, visibility="direct")
    followers = fake.toot("ada", f"@{US} psst", visibility="private")
    assert (await brought(fake, reply)).kind is PostKind.REPLY
    assert (await brought(fake, direct)).kind is PostKind.DIRECT
    assert (await brought(fake, direct)).thread_id == fake.uri(ours)
    assert (await brought(fake, followers)).visibility is Visibility.FOLLOWERS


async def test_a_visibility_that_only_another_make_knows_is_taken_for_a_narrow_one() -> None:
    fake = FakeMastodon()
    post = await brought(fake, fake.toot("ada", f"@{US} psst", visibility="local"))
    assert post.visibility is Visibility.FOLLOWERS


async def test_a_thread_whose_parent_is_gone_begins_below_it_and_its_answers_stay_together() -> None:
    fake = FakeMastodon()
    root = fake.toot("bob", "everything is broken")
    one = fake.toot("ada", f"@{US} true", parent=root.id)
    two = fake.toot("ada", f"@{US} really", parent=root.id)
    fake.remove(fake.uri(root))
    found, _ = await drain(fake, {})
    assert found[fake.uri(one)].in_reply_to is None
    assert found[fake.uri(one)].thread_id == found[fake.uri(two)].thread_id
    assert root.id in found[fake.uri(one)].thread_id


async def test_a_deep_thread_is_found_parent_by_parent_where_contexts_are_empty() -> None:
    fake = FakeOtherMake()
    root = fake.toot("bob", "look at this")
    last = root
    for number in range(6):
        last = fake.toot("bob", f"and {number}", parent=last.id)
    mention = fake.toot("ada", f"@{US} see above", parent=last.id)
    post = await brought(fake, mention)
    assert (post.thread_id, post.in_reply_to) == (fake.uri(root), fake.uri(last))


async def test_a_flood_of_answers_is_brought_in_calls_of_bounded_cost() -> None:
    fake = FakeMastodon()
    fake.page_size = 40
    fill(fake, 1)
    _, cursor = await drain(fake, {})
    roots = [fake.toot("bob", f"article {n}") for n in range(80)]
    answers = {fake.uri(fake.toot("ada", f"@{US} hm", parent=root.id)): fake.uri(root) for root in roots}
    found: dict[str, IncomingPost] = {}
    more = True
    while more:
        fake.requests.clear()
        batch = await fetch(fake, cursor)
        assert len(fake.requests) <= CALLS + 5
        found |= {post.external_id: post for post in batch.posts}
        cursor, more = batch.cursor, batch.more
    assert {name: post.thread_id for name, post in found.items()} == answers


async def test_entries_that_are_no_objects_are_set_aside() -> None:
    fake = FakeMastodon(Source.HASHTAG)
    arrived = fake.arrive("fine")
    shown = fake._shown
    fake._shown = lambda toot: shown(toot) if toot.text == "fine" else ["?"]  # type: ignore[assignment,method-assign,return-value]
    fake.toot("ada", "odd")
    batch = await fetch(fake, {})
    assert [post.external_id for post in batch.posts] == [arrived]
    assert len(batch.rejected) == 1


# Replies


def reply_to(to: Json, text: str = "Sorry!", visibility: Visibility = Visibility.PUBLIC) -> OutgoingReply:
    fake = FakeMastodon()
    whole = {"id": "1", "acct": "ada@other.example", "visibility": "public", "spoiler_text": "", "language": ""} | to
    return OutgoingReply("key", text, visibility, whole, "https://other.example/1", fake.now)


def body(reply: OutgoingReply) -> Json:
    return MASTODON.prepare(FakeMastodon().link(), reply)


@pytest.mark.parametrize(
    ("asked_for", "of_the_post", "sent"),
    [
        (Visibility.PUBLIC, "public", "public"),
        (Visibility.UNLISTED, "public", "unlisted"),
        (Visibility.PUBLIC, "unlisted", "unlisted"),
        (Visibility.PUBLIC, "followers", "private"),
        (Visibility.DIRECT, "public", "direct"),
        (Visibility.FOLLOWERS, "direct", "direct"),
    ],
)
def test_a_reply_is_never_wider_than_asked_nor_than_the_post(
    asked_for: Visibility, of_the_post: str, sent: str
) -> None:
    assert body(reply_to({"visibility": of_the_post}, visibility=asked_for))["visibility"] == sent


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("Sorry!", "@ada@other.example Sorry!"),
        ("@ada@other.example sorry!", "@ada@other.example sorry!"),
        ("Sorry, @Ada@Other.Example", "Sorry, @Ada@Other.Example"),
        ("@ada sorry", "@ada@other.example @ada sorry"),  # another person, of our own server
        ("write to ada@other.example", "@ada@other.example write to ada@other.example"),
    ],
)
def test_a_reply_names_its_author_once_and_nobody_else(text: str, sent: str) -> None:
    to = {"mentions": [US, "eve@third.example"]}
    assert body(reply_to(to, text))["status"] == sent
    assert MASTODON.lead(reply_to({}).to) == "@ada@other.example "


def test_a_direct_reply_that_names_a_stranger_is_refused_before_it_leaks() -> None:
    with pytest.raises(Refused, match="@bob is not in this private conversation"):
        body(reply_to({"visibility": "direct"}, "ask @bob"))
    assert body(reply_to({"visibility": "direct", "mentions": ["bob"]}, "as @bob said"))
    assert body(reply_to({}, "ask @bob"))


def test_content_warning_and_language_are_kept() -> None:
    sent = body(reply_to({"spoiler_text": "food", "language": "de"}))
    assert (sent["spoiler_text"], sent["language"]) == ("food", "de")


def test_mention_and_warning_count_towards_the_length() -> None:
    room = 500 - len("@ada ") - len("food")
    assert body(reply_to({"spoiler_text": "food"}, "x" * room))
    with pytest.raises(Refused, match="1 characters too long"):
        body(reply_to({"spoiler_text": "food"}, "x" * (room + 1)))


async def test_the_server_tells_why_it_refuses() -> None:
    fake = FakeMastodon()
    fake.max_characters = 100
    reply = answer(fake, await asked(fake), "x" * 200)
    with pytest.raises(Refused, match="Text character limit of 100 exceeded"):
        await send(fake, reply)


async def test_a_reply_with_links_mentions_and_emoji_is_found_in_what_the_server_made_of_it() -> None:
    fake = FakeMastodon()
    text = (
        "Thanks 👩‍👩‍👧‍👦! See https://shop.example/a/very/long/path/that/is/shortened?x=1&y=2 \n\n@bob@other.example <3"
    )
    reply = answer(fake, await asked(fake), text)
    await send(fake, reply)
    assert await MASTODON.find_sent(fake.link(), tried(fake, reply)) is not None


QUOTED = [
    "https://other.example/@carol/{id}",
    "https://other.example/users/carol/statuses/{id}",
    f"https://{HOST}/@carol@other.example/{{id}}",
]


async def answered(fake: FakeMastodon, text: str, **changes: Any) -> Toot:
    """Our reply with this text as it stands; the server gives it to who asks whether it does."""
    reply = answer(fake, await asked(fake), text, **changes)
    sent = await send(fake, reply)
    found = await MASTODON.find_sent(fake.link(), tried(fake, reply))
    assert found is not None
    assert found.external_id == sent.external_id
    return fake.toots[sent.ref["id"]]


@pytest.mark.parametrize("address", QUOTED)
async def test_a_post_that_a_reply_links_to_is_quoted(address: str) -> None:
    fake = FakeMastodon()
    tents = fake.toot("carol", "how to mend a tent")
    made = await answered(fake, f"As Carol says ({address.format(id=tents.id)}).")
    assert made.quotes == tents.id


async def test_our_own_post_is_quoted_and_its_link_is_not_said_twice() -> None:
    fake = FakeMastodon()
    ours = fake.toot(US, "how to mend a tent")
    made = await answered(fake, f"See {fake.uri(ours)}!")
    assert "quote-inline" in fake._shown(made)["content"]
    assert fake._shown(made)["quote"]["state"] == "accepted"
    read = read_post(fake._shown(made), Placed(fake.uri(made)), None, HOST)
    assert read.text.count(fake.uri(ours)) == 1
    assert "RE:" not in read.text


@pytest.mark.parametrize("may", ["denied", "unknown", "manual"])
async def test_a_post_whose_author_does_not_let_us_stays_a_link(may: str) -> None:
    fake = FakeMastodon()
    tents = fake.toot("carol", "how to mend a tent")
    fake.quotable[tents.id] = may
    assert (await answered(fake, f"See {fake.url(tents)}")).quotes is None


@pytest.mark.parametrize("visibility", ["private", "direct"])
async def test_a_post_for_few_is_not_quoted_nor_makes_it_the_reply_narrower(visibility: str) -> None:
    fake = FakeMastodon()
    ours = fake.toot(US, "how to mend a tent", visibility=visibility)
    made = await answered(fake, f"See {fake.url(ours)}")
    assert (made.quotes, made.visibility) == (None, "public")


async def test_a_direct_reply_quotes_nothing_and_asks_nobody_about_its_links() -> None:
    fake = FakeMastodon()
    tents = fake.toot("carol", "how to mend a tent")
    made = await answered(fake, f"See {fake.url(tents)}", visibility=Visibility.DIRECT)
    assert (made.quotes, made.visibility) == (None, "direct")
    assert not [one for one in fake.requests if one.url.path == "/api/v2/search"]


async def test_pictures_go_before_a_quote() -> None:
    fake = FakeMastodon()
    tents = fake.toot("carol", "how to mend a tent")
    made = await answered(fake, f"See {fake.url(tents)}", pictures=PICTURES)
    assert (made.quotes, len(made.media)) == (None, len(PICTURES))


async def test_a_server_that_knows_no_quotes_is_not_asked_for_one() -> None:
    fake = FakeMastodon()
    fake.can_quote = False
    tents = fake.toot("carol", "how to mend a tent")
    await answered(fake, f"See {fake.url(tents)}")
    [told] = [json.loads(one.content) for one in fake.requests if fake.is_send(one)]
    assert "quoted_status_id" not in told


async def test_a_search_that_fails_or_finds_nothing_does_not_stop_the_reply() -> None:
    fake = FakeMastodon()
    assert (await answered(fake, "See https://other.example/@carol/404")).quotes is None
    fake._search = lambda request: {"statuses": 7}  # type: ignore[method-assign]
    assert (await answered(fake, "See https://other.example/@carol/1")).quotes is None
    fake._search = lambda request: Response(status_code=503)  # type: ignore[assignment,method-assign,return-value]
    assert (await answered(fake, "See https://other.example/@carol/2")).quotes is None


async def test_only_what_looks_like_a_post_is_asked_for() -> None:
    fake = FakeMastodon()
    await answered(fake, "See https://northwind.example/help and https://www.threads.com/@carol/post/DABC")
    assert not [one for one in fake.requests if one.url.path == "/api/v2/search"]


async def test_a_quote_that_is_refused_after_all_stays_a_link() -> None:
    fake = FakeMastodon()
    tents = fake.toot("carol", "how to mend a tent")
    fake._to_quote = lambda body: fake.toots["gone"].id if "quoted_status_id" in body else None  # type: ignore[method-assign]
    assert (await answered(fake, f"See {fake.url(tents)}")).quotes is None
    assert len(fake.ledger()) == 1


@pytest.mark.parametrize("found_by_look", [True, False])
async def test_a_quoted_post_that_goes_between_two_tries_leaves_one_reply(*, found_by_look: bool) -> None:
    fake = FakeMastodon()
    tents = fake.toot("carol", "how to mend a tent")
    reply = answer(fake, await asked(fake), f"See {fake.url(tents)}")
    fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
    with pytest.raises(MaybeSent):
        await send(fake, reply)
    fake.remove(fake.uri(tents))
    later = timedelta() if found_by_look else timedelta(minutes=30)  # the look starts too late to see it
    sent = await send(fake, replace(reply, attempted_at=fake.now + later))
    assert [one.external_id for one in fake.ledger()] == [sent.external_id]


async def test_a_server_that_cannot_edit_says_so_and_does_not_blame_another_account() -> None:
    fake = FakeOtherMake()
    post = await asked(fake)
    reply = answer(fake, post)
    sent = await send(fake, reply)
    fake._put = lambda request: fake._found("no such endpoint")  # type: ignore[assignment,method-assign,return-value]
    with pytest.raises(Refused, match="cannot change what was sent"):
        await MASTODON.edit(fake.link(), placed(sent, reply, fake), "better words")


async def test_looking_through_too_many_own_statuses_never_says_no() -> None:
    fake = FakeMastodon()
    reply = tried(fake, answer(fake, await asked(fake)))
    for number in range(15 * fake.page_size):
        fake.toot(US, f"campaign {number}")
    with pytest.raises(MaybeSent):
        await MASTODON.find_sent(fake.link(), reply)


async def test_a_repeat_whose_look_fails_leaves_the_outcome_open() -> None:
    fake = FakeMastodon()
    reply = tried(fake, answer(fake, await asked(fake)))
    fake.trouble(Trouble.NO_CONNECTION, times=FOREVER)
    with pytest.raises(Exception, match="No connection") as caught:
        await send(fake, reply)
    assert getattr(caught.value, "delivered", False) is None


async def test_a_repeat_within_the_hour_that_the_look_misses_is_dropped_by_the_key() -> None:
    fake = FakeMastodon()
    reply = answer(fake, await asked(fake))
    first = await send(fake, reply)
    again = replace(reply, attempted_at=fake.now + timedelta(minutes=30))  # the look starts too late to see it
    second = await send(fake, again)
    assert first.external_id == second.external_id
    assert len(fake.ledger()) == 1


async def test_an_answer_without_a_place_is_malformed_and_leaves_the_outcome_open() -> None:
    fake = FakeMastodon()
    reply = answer(fake, await asked(fake))
    fake._shown = lambda toot: {"id": toot.id}  # type: ignore[method-assign]
    with pytest.raises(Malformed) as caught:
        await send(fake, reply)
    assert caught.value.delivered is None


# Allowances


async def test_the_allowance_is_reported_and_when_it_is_spent_the_wait_is_until_its_reset() -> None:
    fake = FakeMastodon()
    fill(fake, 1)
    fake.tick(timedelta(seconds=60) - (fake.now - fake.now.replace(second=0)))
    batch = await fetch(fake, {})
    assert batch.budget is not None
    assert (batch.budget.remaining, batch.budget.limit) == (ALLOWANCE - 1, 300)
    assert batch.budget.resets_at is not None
    for _ in range(ALLOWANCE - 1):
        await fetch(fake, {})
    with pytest.raises(RateLimited) as caught:
        await fetch(fake, {})
    assert caught.value.retry_after == batch.budget.resets_at - fake.now


# The stream


async def streamed(fake: FakeMastodon, cursor: Json | None = None, **settings: Any) -> list[Batch]:
    link = fake.link(settings=fake.settings().model_copy(update=settings))
    return [batch async for batch in MASTODON.listen(link, cursor or {})]


async def test_the_stream_brings_mentions_as_they_are_written_and_leaves_the_cursor_to_the_polls() -> None:
    fake = FakeMastodon()
    ours = fake.toot(US, "we are open")
    fake.notify("favourite", ours)
    fake.home("update", fake.toot("carol", "good morning"))
    arrived = [fake.arrive("at\u2028once\x85now"), fake.arrive("and again", under=fake.uri(ours))]
    batches = await streamed(fake, {"scope": "as it is"})
    assert not batches[0].posts
    assert [post.external_id for batch in batches for post in batch.posts] == arrived
    assert batches[-1].posts[0].kind is PostKind.REPLY
    assert all(batch.cursor == {"scope": "as it is"} for batch in batches)


class Live(FakeMastodon):
    """Tells of what happens while somebody listens."""

    def __init__(self) -> None:
        super().__init__()
        self.streaming = None
        self.happening = asyncio.Queue[str]()

    def _stream(self, request: Any) -> Any:
        async def told() -> AsyncIterator[str]:
            yield ":)\n"
            while True:
                yield f"event: notification\ndata: {await self.happening.get()}\n\n"

        return StreamingResponse(told(), media_type="text/event-stream")


async def test_what_is_written_while_we_listen_reaches_us_over_the_guarded_way() -> None:
    fake = Live()
    settings = Settings(allow_hosts="127.0.0.1")
    async with served(fake.app) as base, guarded_client(settings) as http:
        held = fake.credentials().model_copy(update={"server": base})
        async with aclosing(MASTODON.listen(fake.link(http=http, credentials=held), {})) as stream:
            assert not (await anext(stream)).posts
            for text in ("hello", "hello?"):
                arrived = fake.arrive(text)
                fake.happening.put_nowait(json.dumps(fake.told[-1][2]))
                assert [post.external_id for post in (await anext(stream)).posts] == [arrived]


async def test_the_stream_of_a_hashtag_brings_posts_edits_and_deletions() -> None:
    fake = FakeMastodon(Source.HASHTAG)
    fake.arrive("from before the stream was opened")
    _, cursor = await drain(fake, {})
    fake.told.clear()
    fake.remove(fake.arrive("sorry, wrong window"))
    late = fake.toot("bob", "no hashtag yet", tags=())
    late.tags = ("northwind",)
    fake.rewrite(fake.uri(late), "with a hashtag")
    batches = await streamed(fake, cursor)
    wrong, gone, edited = batches[1:]
    assert gone.changes[0].external_id == wrong.posts[0].external_id
    assert gone.changes[0].deleted
    assert edited.posts[0].external_id == edited.changes[0].external_id == fake.uri(late)
    assert edited.changes[0].text.startswith("with a hashtag")


async def test_a_post_from_before_the_stream_is_known_by_its_id_when_it_is_deleted() -> None:
    fake = FakeMastodon()
    before = fake.toot("ada", f"@{US} hello")
    fake.told = [("user", "delete", before.id), ("user", "delete", "1")]
    [_, gone] = await streamed(fake)
    [change] = gone.changes
    assert (change.external_id, change.deleted) == (fake.uri(before), True)
    assert change.changed_at >= fake.now


async def test_of_edits_in_the_home_timeline_only_those_of_mentions_are_brought() -> None:
    fake = FakeMastodon()
    mention, other = fake.toot("ada", f"@{US} it brok"), fake.toot("carol", "good mornin")
    fake.told.clear()
    for toot, text in ((mention, f"@{US} it broke"), (other, "good morning")):
        fake.rewrite(fake.uri(toot), text)
        fake.home("status.update", toot)
    [_, edited] = await streamed(fake)
    assert not edited.posts
    assert [(change.external_id, change.text) for change in edited.changes] == [(fake.uri(mention), f"@{US} it broke")]


async def test_a_streamed_status_that_cannot_be_read_is_set_aside_and_the_stream_goes_on() -> None:
    fake = FakeMastodon()
    fake.told.append(("user", "notification", {"id": "9", "type": "mention", "account": {}, "status": {"id": "8"}}))
    after = fake.arrive("fine")
    [_, broken, fine] = await streamed(fake)
    assert len(broken.rejected) == 1
    assert [post.external_id for post in fine.posts] == [after]


async def test_what_is_streamed_and_is_no_json_is_malformed() -> None:
    fake = FakeMastodon()
    fake.told.append(("user", "notification", "{"))
    with pytest.raises(Malformed, match="streamed something"):
        await streamed(fake)


@pytest.mark.parametrize("source", [Source.ACCOUNT, Source.SEARCH])
async def test_an_account_and_a_search_have_no_stream(source: Source) -> None:
    fake = FakeMastodon(source)
    fake.arrive("hello")
    assert await streamed(fake) == []
    assert not fake.requests


async def test_a_make_that_knows_websockets_alone_is_heard_over_one() -> None:
    async with FakeSocketMake().serving() as fake:
        gone = fake.toot("ada", f"@{US} oops")
        fake.remove(fake.uri(gone))
        arrived = fake.arrive("hello")
        batches = await streamed(fake)
    assert [post.external_id for batch in batches for post in batch.posts] == [fake.uri(gone), arrived]
    assert [change.external_id for batch in batches for change in batch.changes] == [fake.uri(gone)]


async def test_a_hashtag_is_heard_over_a_websocket() -> None:
    async with FakeSocketMake(Source.HASHTAG).serving() as fake:
        arrived = fake.arrive("hello")
        [_, batch] = await streamed(fake)
    assert [post.external_id for post in batch.posts] == [arrived]


async def test_a_websocket_that_breaks_off_is_trouble() -> None:
    async with FakeSocketMake().serving() as fake:
        fake.ends = 1011
        with pytest.raises(Unreachable, match="broke off"):
            await streamed(fake)


async def test_a_server_without_a_stream_is_polled_as_ever_and_says_so_when_it_is_tested() -> None:
    async with FakeSocketMake().serving() as fake:
        fake.missing = True
        fake.arrive("hello")
        assert await streamed(fake) == []
        fake.trouble(Trouble.HTML, after=2)  # where streaming would be stands a page for people
        assert await streamed(fake) == []
        fake.calm()
        told = (await MASTODON.check(fake.link())).notices
    assert any("no stream that Careline can read" in notice for notice in told)


async def test_a_token_that_may_not_stream_is_said_so() -> None:
    fake = FakeMastodon()
    fake.trouble(Trouble.EXPIRED, after=1)
    with pytest.raises(Unauthorized, match="revoked"):
        await streamed(fake)


@pytest.mark.parametrize(
    ("told", "used"),
    [
        ("wss://streaming.social.example", "streaming.social.example"),
        ("https://streaming.social.example/", "streaming.social.example"),
        ("ws://streaming.social.example", HOST),  # our token would go in the clear
        ("wss://", HOST),
        (None, HOST),
    ],
)
async def test_the_stream_is_asked_for_where_the_server_says(told: str | None, used: str) -> None:
    fake = FakeMastodon()
    fake.streaming = told
    with suppress(Blocked):  # what is not there is tried over a WebSocket, and there is no way to one
        await streamed(fake)
    assert [request.url.host for request in fake.requests if "streaming" in request.url.path] == [used]


# Test connection, settings


async def test_testing_the_connection_tells_what_another_make_does_otherwise() -> None:
    fake = FakeOtherMake()
    fake.arrive("hello")
    said = await MASTODON.check(fake.link())
    assert said.message == f"Signed in to {HOST} as @{US}@{HOST}."
    assert any("Otherdon" in notice for notice in said.notices)
    assert any("5000 characters" in notice for notice in said.notices)
    assert not (await MASTODON.check(FakeMastodon().link())).notices


@pytest.mark.parametrize(("policy", "said"), [("drop", "drops some notifications"), ("filter", "holds some"), ("", "")])
async def test_testing_the_connection_tells_what_the_accounts_policy_keeps_away(policy: str, said: str) -> None:
    fake = FakeMastodon()
    fake.policy["for_private_mentions"] = policy
    assert said in "".join((await MASTODON.check(fake.link())).notices)


async def test_a_search_that_finds_nothing_says_what_may_be_missing() -> None:
    said = await MASTODON.check(FakeMastodon(Source.SEARCH).link())
    assert any("full-text search" in notice for notice in said.notices)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("https://social.example", "https://social.example"),
        ("social.example", "https://social.example"),
        (" https://social.example/@me?x=1#y ", "https://social.example"),
        ("http://127.0.0.1:3000/", "http://127.0.0.1:3000"),
    ],
)
def test_the_server_is_kept_as_scheme_and_host(typed: str, kept: str) -> None:
    assert MastodonCredentials.model_validate({"server": typed, "access_token": "t"}).server == kept


@pytest.mark.parametrize("typed", ["", "ftp://social.example", "https://", "https://me:pw@social.example", "file:///x"])
def test_an_address_that_is_no_server_is_not_taken(typed: str) -> None:
    with pytest.raises(ValidationError):
        MastodonCredentials.model_validate({"server": typed, "access_token": "t"})


@pytest.mark.parametrize("source", [Source.HASHTAG, Source.ACCOUNT, Source.SEARCH])
def test_a_feed_says_what_to_follow(source: Source) -> None:
    with pytest.raises(ValidationError, match="Say what to follow"):
        MastodonSettings(source=source, value=" # ")
