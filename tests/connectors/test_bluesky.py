"""What only Bluesky does: sessions, records with facets, TIDs, lists that authors can backdate, embeds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from app.connectors import forms
from app.connectors.base import IncomingPost, Json, OutgoingReply, PostKind, Visibility
from app.connectors.bluesky_account import BlueskyCredentials
from app.connectors.bluesky_lists import BlueskySettings, Source
from app.connectors.bluesky_records import facets, record_key, reply_record
from app.connectors.bluesky_walk import REMEMBERED, Walk
from app.connectors.bluesky_xrpc import budget
from app.connectors.testing.fake import START, Trouble
from app.connectors.testing.steps import PICTURES, answer, asked, drain
from app.errors import ChannelDown, MaybeSent, Refused, Unauthorized
from tests.connectors.fakes.bluesky import (
    LIFE,
    OURS,
    PASSWORD,
    SERVICE,
    FakeBluesky,
    FakeBlueskyAuthor,
    FakeBlueskyPlain,
    FakeBlueskySearch,
    did_of,
    handle_of,
    label,
    stamp,
)


def the(fake: FakeBluesky, settings: BlueskySettings) -> FakeBluesky:
    """The same world seen through other settings."""
    fake.settings = lambda: settings  # type: ignore[method-assign]  # a world is made for one feed
    return fake


async def only(fake: FakeBluesky) -> IncomingPost:
    found, _ = await drain(fake, {})
    (post,) = found.values()
    return post


def called(fake: FakeBluesky, method: str) -> int:
    return sum(request.url.path.endswith(method) for request in fake.requests)


# Sessions


async def test_one_sign_in_serves_many_calls() -> None:
    fake = FakeBluesky()
    for _ in range(5):
        await drain(fake, {})
    assert fake.signed_in == 1
    assert len(fake.kept) == 1


async def test_an_expired_session_is_refreshed_in_the_middle_of_paging_and_kept_before_it_is_used() -> None:
    fake = FakeBluesky()
    for n in range(150):
        fake.arrive(f"order {n}")
    await fake.connector.fetch(fake.link(), {})
    seen_kept: list[int] = []
    lists = 0

    def expire_after_the_first_page() -> None:
        nonlocal lists
        if fake.requests[-1].url.path.endswith("listNotifications"):
            lists += 1
            seen_kept.append(len(fake.kept))
            if lists == 2:
                fake.tick(LIFE)

    fake.between_requests = expire_after_the_first_page
    batch = await fake.connector.fetch(fake.link(), {})
    assert len(batch.posts) == 150
    assert seen_kept == [1, 1, 2], "the new tokens were kept before the page was asked for again"
    assert fake.signed_in == 1
    assert called(fake, "refreshSession") == 1


async def test_a_refresh_token_that_has_died_leads_to_a_new_sign_in() -> None:
    fake = FakeBluesky()
    await drain(fake, {})
    fake.sessions.clear()
    fake.arrive("still there?")
    assert (await only(fake)).own is False
    assert fake.signed_in == 2


async def test_a_revoked_app_password_asks_for_a_person_once_the_session_has_run_out() -> None:
    fake = FakeBluesky()
    await drain(fake, {})
    fake.revoke()
    await drain(fake, {})
    fake.tick(LIFE)
    with pytest.raises(Unauthorized, match="app password") as caught:
        await drain(fake, {})
    assert "secret" not in str(caught.value)


async def test_a_session_of_other_credentials_is_not_used() -> None:
    fake = FakeBluesky()
    await drain(fake, {})
    kept = fake.kept[-1]
    assert isinstance(kept, BlueskyCredentials)
    other = kept.model_copy(update={"identifier": "someone-else.example"})
    with pytest.raises(Unauthorized):
        await fake.connector.fetch(fake.link(credentials=other), {})


async def test_signing_in_that_fails_for_now_was_no_delivery() -> None:
    fake = FakeBluesky()
    reply = answer(fake, await asked(fake))
    fake.kept.clear()
    fake.trouble(Trouble.DOWN)
    with pytest.raises(ChannelDown) as caught:
        await fake.connector.send(fake.link(), reply)
    assert caught.value.delivered is False


async def test_an_account_that_asks_for_a_mailed_code_is_told_about_app_passwords() -> None:
    async def serve(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, json={"error": "AuthFactorTokenRequired", "message": "A sign in code has been sent"})

    fake = FakeBluesky()
    async with httpx.AsyncClient(transport=httpx.MockTransport(serve)) as http:
        with pytest.raises(Unauthorized, match="app password"):
            await fake.connector.check(fake.link(http=http))


@pytest.mark.parametrize("service", ["http://bsky.social", "bsky.social", "https://a@b.example", "https://x.example/y"])
def test_a_server_is_a_bare_https_address(service: str) -> None:
    with pytest.raises(ValidationError):
        BlueskyCredentials(service=service, identifier="a", app_password=SecretStr("b"))


def test_a_server_on_loopback_may_speak_plain_http() -> None:
    for service in ("http://localhost:2583/", "http://127.0.0.1:2583"):
        assert (
            BlueskyCredentials(service=service, identifier="@a.test", app_password=SecretStr("b")).identifier
            == "a.test"
        )


# Reading


async def test_reasons_become_kinds() -> None:
    fake = FakeBluesky()
    ours = fake.arrive_own("our news")
    quoted = {"$type": "app.bsky.embed.record", "record": fake._ref(ours)}
    mention, reply = fake.arrive("hello"), fake.post("thanks", under=ours)
    deeper = fake.post("me too", by="bob", under=reply)
    quote = fake.post("look at this", embed=quoted)
    found, _ = await drain(fake, {})
    kinds = {uri: post.kind for uri, post in found.items()}
    assert kinds == {
        mention: PostKind.MENTION,
        reply: PostKind.REPLY,
        deeper: PostKind.REPLY,
        quote: PostKind.MENTION,
    }


async def test_a_reply_that_also_names_us_is_one_post() -> None:
    fake = FakeBluesky()
    ours = fake.arrive_own("our news")
    uri = fake.arrive("about that", under=ours)
    post = await only(fake)
    assert (post.external_id, post.kind, post.in_reply_to, post.thread_id) == (uri, PostKind.REPLY, ours, ours)


async def test_likes_from_a_server_that_does_not_filter_are_left_out() -> None:
    fake = FakeBlueskyPlain()
    for _ in range(45):
        fake.post("(a like)")
    uri = fake.arrive("hello")
    assert (await only(fake)).external_id == uri


async def test_where_a_post_was_written_when_and_by_whom() -> None:
    fake = FakeBluesky()
    uri = fake.arrive("wo bleibt mein Paket?", by="ada")
    fake.records[uri].value["langs"] = ["not a tag!", "de-AT", "en"]
    post = await only(fake)
    assert post.url == f"https://bsky.app/profile/{did_of('ada')}/post/{uri.rpartition('/')[2]}"
    assert post.posted_at == fake.records[uri].indexed_at
    assert post.language == "de-AT"
    assert (post.author.handle, post.author.name, post.author.followers) == ("ada.bsky.example", "Ada", None)


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ("2999-01-01T00:00:00Z", START + timedelta(seconds=1)),
        ("nonsense", START + timedelta(seconds=1)),
        ("2026-11-02T08:58:00Z", datetime(2026, 11, 2, 8, 58, tzinfo=UTC)),
        ("2026-11-02T10:58:00+02:00", datetime(2026, 11, 2, 8, 58, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", START + timedelta(seconds=1)),
        ("0001-01-01T00:00:00+23:59", START + timedelta(seconds=1)),
    ],
)
async def test_an_authors_clock_is_believed_only_within_reason(claim: str, expected: datetime) -> None:
    fake = FakeBluesky()
    fake.post("hello", mentions=True, createdAt=claim)
    assert (await only(fake)).posted_at == expected


async def test_a_backdated_post_among_newer_ones_is_found() -> None:
    fake = FakeBluesky()
    for n in range(20):
        fake.arrive(f"order {n}")
    _, cursor = await drain(fake, {})
    late = fake.post("from the train", mentions=True, createdAt="2026-11-02T08:00:00Z")
    found, _ = await drain(fake, cursor)
    assert list(found) == [late]


async def test_nothing_comes_twice_in_quiet_times() -> None:
    fake = FakeBluesky()
    for n in range(30):
        fake.arrive(f"order {n}")
    _, cursor = await drain(fake, {})
    for _ in range(3):
        found, cursor = await drain(fake, cursor)
        assert not found


async def test_a_walk_over_several_calls_brings_each_post_once_while_others_arrive() -> None:
    fake = FakeBlueskyPlain()
    fake.arrive("first")
    _, cursor = await drain(fake, {})
    fake.tick(timedelta(hours=1))
    arrived = [fake.arrive(f"order {n}") for n in range(200)]
    seen: list[str] = []
    for _ in range(12):
        batch = await fake.connector.fetch(fake.link(), cursor)
        seen += [post.external_id for post in batch.posts]
        cursor = batch.cursor
        arrived.append(fake.arrive("meanwhile"))
    for _ in range(2):
        rest, cursor = await drain(fake, cursor)
        seen += rest
    assert sorted(seen) == sorted(arrived)


async def test_a_cursor_that_the_server_has_forgotten_starts_the_walk_anew() -> None:
    fake = FakeBlueskyPlain()
    arrived = [fake.arrive(f"order {n}") for n in range(130)]
    batch = await fake.connector.fetch(fake.link(), {})
    assert batch.more
    found = {post.external_id for post in batch.posts}
    fake.cursor_epoch += 1
    more, _ = await drain(fake, batch.cursor)
    assert set(arrived) == found | set(more)


async def test_the_first_look_back_is_bounded_and_says_so() -> None:
    fake = FakeBlueskyPlain()
    for n in range(450):
        fake.arrive(f"order {n}")
    found, notices, more = 0, list[str](), True
    cursor: Json = {}
    while more:
        batch = await fake.connector.fetch(fake.link(), cursor)
        found, cursor, more = found + len(batch.posts), batch.cursor, batch.more
        notices.append(batch.notice)
    assert found == 400
    assert [bool(notice) for notice in notices] == [False] * 4 + [True]


async def test_a_clock_that_runs_ahead_over_there_does_not_hide_later_posts() -> None:
    fake = FakeBluesky()
    uri = fake.arrive("from tomorrow")
    fake.records[uri].indexed_at = fake.now + timedelta(days=900)
    fake.records[uri].value["createdAt"] = stamp(fake.now + timedelta(days=900))
    _, cursor = await drain(fake, {})
    assert datetime.fromisoformat(cursor["mark"]) <= fake.now
    later = [fake.arrive(f"order {n}") for n in range(130)]
    found, _ = await drain(fake, cursor)
    assert set(later) <= set(found)


def test_a_walk_goes_through_json() -> None:
    walk = Walk(mark=START, given=["a"], at="x", top=START, fresh=["b"], pages=2)
    assert Walk.resume(walk.cursor()) == walk
    assert len(str(Walk(given=["0" * 12] * REMEMBERED).cursor())) < 10_000


async def test_pictures_cards_and_quotes_are_shown_with_their_words() -> None:
    fake = FakeBluesky()
    ours = fake.arrive_own("our news")
    picture = {"image": {"$type": "blob", "ref": {"$link": "bafkreiabc"}}, "alt": "a torn boot"}
    images = fake.post("see", mentions=True, embed={"$type": "app.bsky.embed.images", "images": [picture]})
    card = {"uri": "https://news.example/1", "title": "Boots recalled", "description": "All of them"}
    external = fake.post("read", mentions=True, embed={"$type": "app.bsky.embed.external", "external": card})
    quote = {"$type": "app.bsky.embed.record", "record": fake._ref(ours)}
    quoting = fake.post("this", mentions=True, embed=quote)
    found, _ = await drain(fake, {})
    (image,), (link,), (quoted,) = (found[uri].media for uri in (images, external, quoting))
    assert (image.kind, image.description) == ("image", "a torn boot")
    assert "feed_fullsize" in image.url
    assert "feed_thumbnail" in (image.preview_url or "")
    assert (link.kind, link.url, link.title, link.description) == (
        "link",
        "https://news.example/1",
        "Boots recalled",
        "All of them",
    )
    assert (quoted.kind, quoted.title, quoted.description) == ("quote", "Northwind Outfitters", "our news")
    assert quoted.quote is not None
    assert (quoted.quote.handle, quoted.quote.language) == (OURS, "en")


async def test_a_quoted_post_that_is_gone_is_a_quote_without_words() -> None:
    fake = FakeBluesky()
    ours = fake.arrive_own("our news")
    quoting = fake.post("this", mentions=True, embed={"$type": "app.bsky.embed.record", "record": fake._ref(ours)})
    fake.remove(ours)
    found, _ = await drain(fake, {})
    [quoted] = found[quoting].media
    assert (quoted.kind, quoted.title, quoted.description) == ("quote", "", "")
    assert quoted.url


async def test_an_address_shown_shortened_is_given_in_full() -> None:
    fake = FakeBluesky()
    feature = {"$type": "app.bsky.richtext.facet#link", "uri": "https://tracking.example/parcel?id=12345678901"}
    shown = {"index": {"byteStart": 5, "byteEnd": 24}, "features": [feature]}
    uri = fake.post("see: tracking.example/...", mentions=True)
    fake.records[uri].value["facets"].append(shown)
    (link,) = (await only(fake)).media
    assert link.url == feature["uri"]
    assert link.title == "tracking.example/.."


async def test_media_with_other_schemes_is_dropped() -> None:
    fake = FakeBluesky()
    card = {"uri": "javascript:alert(1)", "title": "free boots", "description": ""}
    fake.post("read", mentions=True, embed={"$type": "app.bsky.embed.external", "external": card})
    assert (await only(fake)).media == ()


HOSTILE: list[dict[str, Any]] = [
    {"reply": "nonsense"},
    {"reply": {"root": {"uri": "javascript:x", "cid": "y"}, "parent": 7}},
    {"facets": [None, {"index": [], "features": "x"}, {"features": [{"uri": 3}]}]},
    {"langs": {"de": 1}},
    {"embed": []},
    {"createdAt": {"at": 1}},
]


@pytest.mark.parametrize("fields", HOSTILE)
async def test_fields_of_the_wrong_shape_do_not_stop_a_post(fields: dict[str, Any]) -> None:
    fake = FakeBluesky()
    uri = fake.arrive("hello")
    facets_before = fake.records[uri].value["facets"]
    fake.records[uri].value |= fields

    async def serve(request: httpx.Request) -> httpx.Response:
        line = {
            "uri": uri,
            "cid": "bafy",
            "reason": "mention",
            "indexedAt": stamp(fake.now),
            "record": fake.records[uri].value,
            "author": {"did": did_of("ada"), "handle": "ada.example", "displayName": 5, "avatar": "data:x"},
        }
        bodies = {
            "createSession": {"accessJwt": "a", "refreshJwt": "b", "did": did_of("northwind")},
            "listNotifications": {"notifications": [line]},
            "getPosts": {"posts": [None, {"uri": uri}]},
        }
        return httpx.Response(200, json=bodies[request.url.path.rpartition(".")[2]])

    async with httpx.AsyncClient(transport=httpx.MockTransport(serve)) as http:
        batch = await fake.connector.fetch(fake.link(http=http), {})
    assert facets_before
    assert [post.external_id for post in batch.posts] == [uri]
    assert batch.posts[0].thread_id == uri


async def test_an_accounts_reposts_come_only_when_they_are_wanted() -> None:
    for wanted in (False, True):
        fake = FakeBlueskyAuthor()
        own = fake.post("mine", by="ada")
        passed = fake.post("theirs", by="bob")
        fake.repost(passed, by="ada")
        settings = BlueskySettings(source=Source.AUTHOR, value=f"@{handle_of('ada')}", include_reposts=wanted)
        found, _ = await drain(the(fake, settings), {})
        assert {uri: post.repost for uri, post in found.items()} == {own: False} | ({passed: True} if wanted else {})


async def test_a_search_keeps_to_its_language_where_the_server_does_not() -> None:
    fake = FakeBlueskySearch()
    fake.filters = False
    german = fake.post("north Stiefel", langs=["de-DE"])
    fake.post("north boots", langs=["en"])
    found, _ = await drain(the(fake, BlueskySettings(source=Source.SEARCH, value="north", language="de")), {})
    assert list(found) == [german]


async def test_a_server_without_search_says_so_for_good() -> None:
    fake = FakeBlueskySearch()
    fake.has_search = False
    with pytest.raises(Refused, match="no search"):
        await drain(fake, {})


@pytest.mark.parametrize("source", [Source.AUTHOR, Source.SEARCH])
def test_a_feed_needs_to_know_whom_or_what(source: Source) -> None:
    with pytest.raises(ValidationError, match="Say which"):
        BlueskySettings(source=source)


async def test_an_unknown_account_is_refused_with_the_servers_words() -> None:
    fake = the(FakeBluesky(), BlueskySettings(source=Source.AUTHOR, value="nobody.example"))
    with pytest.raises(Refused, match="Profile not found"):
        await drain(fake, {})


async def test_testing_a_connection_without_posts_says_that_there_are_none() -> None:
    fake = FakeBluesky()
    said = await fake.connector.check(fake.link())
    assert said.sample is None
    assert "nothing" in said.message
    assert said.account is not None
    assert said.account.followers == 12


# Replying


async def test_a_reply_points_at_its_parent_and_at_the_threads_root() -> None:
    fake = FakeBluesky()
    root = fake.arrive("it is broken")
    child = fake.arrive("still", under=root)
    found, _ = await drain(fake, {})
    sent = await fake.connector.send(fake.link(), answer(fake, found[child]))
    standing = fake.records[sent.external_id]
    assert standing.value["reply"] == {"root": fake._ref(root), "parent": fake._ref(child)}
    assert standing.value["langs"] == ["en"]
    assert sent.ref["root"] == fake._ref(root)
    assert sent.budget is not None
    assert sent.budget.remaining == 4998


async def test_the_same_record_sent_twice_is_one_write_byte_for_byte() -> None:
    fake = FakeBluesky()
    reply = answer(fake, await asked(fake))
    bodies = []
    for _ in range(3):
        await fake.connector.send(fake.link(), reply)
        bodies.append([r for r in fake.requests if fake.is_send(r)][-1].content)
        fake.tick(timedelta(hours=5))
    assert fake.writes == 1
    assert len(set(bodies)) == 1


async def test_a_reply_that_was_taken_is_sent_even_if_the_post_has_gone_since() -> None:
    fake = FakeBluesky()
    post = await asked(fake)
    reply = answer(fake, post)
    first = await fake.connector.send(fake.link(), reply)
    fake.remove(post.external_id)
    again = await fake.connector.send(fake.link(), reply)
    assert again.external_id == first.external_id


async def test_nothing_is_overwritten_should_two_replies_ever_share_a_key() -> None:
    fake = FakeBluesky()
    post = await asked(fake)
    first, second = answer(fake, post, "one"), answer(fake, post, "two")
    await fake.connector.send(fake.link(), first)
    clash = replace(second, prepared={**second.prepared, "rkey": first.prepared["rkey"]})
    with pytest.raises(Refused, match="Another record"):
        await fake.connector.send(fake.link(), clash)
    assert [standing.text for standing in fake.ledger()] == ["one"]


async def test_a_reply_is_not_sent_from_another_account_than_it_was_written_for() -> None:
    fake = FakeBluesky()
    reply = answer(fake, await asked(fake))
    moved = replace(reply, prepared={**reply.prepared, "repo": did_of("somebody")})
    with pytest.raises(Refused, match="another Bluesky account"):
        await fake.connector.send(fake.link(), moved)
    assert not fake.ledger()


async def test_nobody_answers_where_nobody_would_see_it() -> None:
    fake = FakeBluesky()
    post = await asked(fake)
    fake.closed.add(post.external_id)
    with pytest.raises(Refused, match="closed"):
        await fake.connector.send(fake.link(), answer(fake, post))
    fake.closed.clear()
    fake.blocked_by.add(post.author.external_id)
    with pytest.raises(Refused, match="blocked"):
        await fake.connector.send(fake.link(), answer(fake, post))
    assert not fake.ledger()


def written(text: str, **to: Any) -> OutgoingReply:
    return OutgoingReply(
        key=str(uuid4()),
        text=text,
        visibility=Visibility.PUBLIC,
        to={"uri": "at://did:plc:x/app.bsky.feed.post/3k", "cid": "bafy", **to},
        to_external_id="at://did:plc:x/app.bsky.feed.post/3k",
        created_at=START,
    )


def test_the_limits_are_300_graphemes_and_3000_bytes() -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
    assert reply_record(written("e\u0301" * 300))
    assert reply_record(written(family * 119))
    for text in ("x" * 301, family * 121, "  \n "):
        with pytest.raises(Refused):
            reply_record(written(text))


def marked(text: str, people: dict[str, str] | None = None) -> list[tuple[str, str]]:
    """What each facet covers in the text's bytes, and what it says."""
    raw = text.encode()
    found = []
    for facet in facets(text, people or {}):
        (feature,) = facet["features"]
        covered = raw[facet["index"]["byteStart"] : facet["index"]["byteEnd"]].decode()
        found.append((covered, next(value for key, value in feature.items() if key != "$type")))
    return found


def test_facets_cover_bytes_not_characters() -> None:
    text = "Grüße 👋🏽 @ada.example, siehe https://ex.example/ä?x=(1). #Rückgabe!"
    assert marked(text, {"ada.example": "did:plc:ada"}) == [
        ("@ada.example", "did:plc:ada"),
        ("https://ex.example/ä?x=(1)", "https://ex.example/ä?x=(1)"),
        ("#Rückgabe", "Rückgabe"),
    ]


def test_only_people_of_the_thread_become_mentions() -> None:
    assert marked("@stranger.example and @Ada.Example.", {"ada.example": "did:plc:ada"}) == [
        ("@Ada.Example", "did:plc:ada")
    ]
    assert marked("mail ada@ada.example", {"ada.example": "did:plc:ada"}) == []


def test_what_looks_like_a_hashtag_and_is_none() -> None:
    assert marked(f"order #12345, a#b, # x, #{'x' * 65}, https://a.example/#part") == [
        ("https://a.example/#part", "https://a.example/#part")
    ]
    assert marked("(see https://a.example/b) 日本 #注文 #👟 and #2nd") == [
        ("https://a.example/b", "https://a.example/b"),
        ("#注文", "注文"),
        ("#👟", "👟"),
        ("#2nd", "2nd"),
    ]


@given(st.text())
def test_facets_of_any_text_lie_inside_it_apart_and_in_order(text: str) -> None:
    clean = text.encode(errors="ignore").decode()
    spans = [(f["index"]["byteStart"], f["index"]["byteEnd"]) for f in facets(clean + " #a https://b.example", {})]
    assert spans == sorted(spans)
    assert all(start < end for start, end in spans)
    assert all(one[1] <= two[0] for one, two in pairwise(spans))


@given(st.datetimes(datetime(2020, 1, 1), datetime(2200, 1, 1)), st.uuids())  # noqa: DTZ001 - made aware below
def test_a_record_key_is_a_tid_of_about_that_time_and_always_the_same(when: datetime, key: UUID) -> None:
    aware = when.replace(tzinfo=UTC)
    made = record_key(aware, str(key))
    assert made == record_key(aware, str(key))
    assert len(made) == 13
    assert made[0] in "234567abcdefghij"
    assert record_key(aware - timedelta(seconds=2), "x") < made <= record_key(aware + timedelta(seconds=2), "x")


def test_replies_enqueued_in_one_transaction_have_keys_of_their_own() -> None:
    assert len({record_key(START, str(uuid4())) for _ in range(2000)}) >= 1999


# Allowances


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ratelimit-limit": "x", "ratelimit-remaining": "1", "ratelimit-reset": "1"},
        {"ratelimit-limit": "10", "ratelimit-remaining": "1", "ratelimit-reset": "9" * 30},
        {"ratelimit-limit": "9" * 5000, "ratelimit-remaining": "1", "ratelimit-reset": "1"},
    ],
)
def test_rate_limit_headers_that_make_no_sense_are_ignored(headers: dict[str, str]) -> None:
    assert budget(httpx.Headers(headers)) is None


def test_the_form_asks_for_nothing_but_the_login() -> None:
    assert [one.name for one in forms.fields(BlueskyCredentials)] == ["service", "identifier", "app_password"]


def test_credentials_show_no_secret() -> None:
    kept = BlueskyCredentials(service=SERVICE, identifier=OURS, app_password=SecretStr(PASSWORD)).with_session(
        {"accessJwt": "secret-a", "refreshJwt": "secret-r", "did": did_of("northwind")}
    )
    assert "secret-" not in repr(kept)


# Labels


def labelled(post: IncomingPost) -> list[tuple[str, bool]]:
    return [(one.words, one.veils) for one in FakeBluesky.connector.labels(post.ref)]


async def test_labels_of_moderation_of_the_author_and_of_their_account_are_told_apart() -> None:
    fake = FakeBluesky()
    own = {"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": "nudity"}]}
    uri = fake.post("look", mentions=True, labels=own)
    fake.labels[uri] = [label("!warn", uri), label("rude", uri)]
    fake.labels[did_of("ada")] = [label("spam", did_of("ada"))]
    assert labelled(await only(fake)) == [
        ("moderation warns", True),
        ("rude", False),
        ("the author: nudity", True),
        ("of the account: spam", False),
    ]


async def test_a_label_that_was_taken_back_or_is_over_or_concerns_only_strangers_is_none() -> None:
    fake = FakeBluesky()
    uri = fake.arrive("hello")
    fake.labels[uri] = [
        label("spam", uri, neg=True),
        label("spam", uri, exp=stamp(fake.now - timedelta(days=1))),
        label("!no-unauthenticated", uri),
        {"val": 17},
    ]
    post = await only(fake)
    assert labelled(post) == []
    assert "labels" not in post.ref


# Galleries, edits, quotes


async def test_the_pictures_of_a_gallery_are_brought() -> None:
    fake = FakeBluesky()
    items = [
        {
            "$type": "app.bsky.embed.gallery#viewImage",
            "thumbnail": f"https://cdn.bsky.example/{n}/small",
            "fullsize": f"https://cdn.bsky.example/{n}",
            "alt": f"tent {n}",
        }
        for n in range(6)
    ]
    fake.post("see", mentions=True, embed={"$type": "app.bsky.embed.gallery", "items": items})
    assert [one.description for one in (await only(fake)).media] == [f"tent {n}" for n in range(6)]


async def quoted_by(fake: FakeBluesky, text: str, **changes: Any) -> Json:
    """The embed of our reply with this text."""
    reply = answer(fake, await asked(fake), text, **changes)
    sent = await fake.connector.send(fake.link(), reply)
    again = await fake.connector.send(fake.link(), replace(reply, attempted_at=fake.now))
    assert sent.external_id == again.external_id
    return dict(fake.records[sent.external_id].value.get("embed", {}))


def link_to(uri: str, actor: str) -> str:
    return f"https://bsky.app/profile/{actor}/post/{uri.rpartition('/')[2]}"


@pytest.mark.parametrize("actor", [did_of("northwind"), OURS])
async def test_a_post_that_a_reply_links_to_is_quoted(actor: str) -> None:
    fake = FakeBluesky()
    ours = fake.arrive_own("how to mend a tent")
    fake.names[did_of("northwind")] = "northwind"
    embed = await quoted_by(fake, f"See {link_to(ours, actor)}")
    assert embed == {"$type": "app.bsky.embed.record", "record": fake._ref(ours)}


async def test_a_quote_stands_beside_pictures() -> None:
    fake = FakeBluesky()
    ours = fake.arrive_own("how to mend a tent")
    embed = await quoted_by(fake, link_to(ours, did_of("northwind")), pictures=PICTURES)
    assert embed["record"]["record"] == fake._ref(ours)
    assert len(embed["media"]["images"]) == len(PICTURES)


async def test_a_post_that_is_gone_or_not_to_be_quoted_stays_a_link() -> None:
    fake = FakeBluesky()
    ours = fake.arrive_own("how to mend a tent")
    fake.unquotable.add(ours)
    assert await quoted_by(fake, link_to(ours, did_of("northwind"))) == {}
    assert await quoted_by(fake, "https://bsky.app/profile/nobody.example/post/3lbkgone") == {}


async def test_a_quoted_post_that_changed_between_two_tries_leaves_one_reply() -> None:
    fake = FakeBluesky()
    ours = fake.arrive_own("how to mend a tent")
    reply = answer(fake, await asked(fake), link_to(ours, did_of("northwind")))
    fake.trouble(Trouble.ANSWER_LOST, sends_only=True)
    with pytest.raises(MaybeSent):
        await fake.connector.send(fake.link(), reply)
    fake.rewrite(ours, "how to mend a tent, anew")
    sent = await fake.connector.send(fake.link(), replace(reply, attempted_at=fake.now))
    assert [standing.external_id for standing in fake.ledger()] == [sent.external_id]
