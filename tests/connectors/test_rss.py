"""Feeds as they are in the wild: without ids, without dates, half broken, moved, gone, or no feeds at all."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.connectors.base import Batch, Json, Link, PostKind, SettingsModel
from app.connectors.feeds import read_feed
from app.connectors.rss import RssConnector, RssSettings
from app.errors import ChannelDown, ConnectorError, Malformed, RateLimited, Refused, Unauthorized, Unreachable
from tests.connectors.fakes.rss import FakeRss

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
URL = "https://blog.example/feed.xml"


async def _keep(_: SettingsModel) -> None:
    raise AssertionError


def link(answer: Callable[[httpx.Request], httpx.Response], now: datetime = NOW, url: str = URL) -> Link:
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return Link(settings=RssSettings(url=url), credentials=None, http=client, now=now, keep=_keep)


async def fetch(body: str | bytes, cursor: Json | None = None, now: datetime = NOW, **headers: str) -> Batch:
    kept = {"content-type": "application/rss+xml; charset=utf-8"} | {k.replace("_", "-"): v for k, v in headers.items()}
    at = link(lambda _: httpx.Response(200, content=body, headers=kept), now)
    return await RssConnector().fetch(at, cursor or {})


async def failing(**answer: Any) -> ConnectorError:
    with pytest.raises(ConnectorError) as caught:
        await RssConnector().fetch(link(lambda _: httpx.Response(**answer)), {})
    return caught.value


def rss(*items: str) -> str:
    joined = "".join(f"<item>{item}</item>" for item in items)
    return f'<rss version="2.0"><channel><title>Blog</title><link>https://blog.example/</link>{joined}</channel></rss>'


async def test_a_feed_without_ids_keeps_its_identity_over_fetches() -> None:
    first = await fetch(rss("<description>the zip broke</description>"))
    later = await fetch(
        rss("<description>and the pole</description>", "<description>the zip broke</description>"),
        first.cursor,
        NOW + timedelta(hours=1),
    )
    assert first.posts[0].external_id in {post.external_id for post in later.posts}
    assert len({post.external_id for post in later.posts}) == 2


async def test_a_link_is_the_identity_where_there_is_no_id_whatever_its_tracking_parameters() -> None:
    one = await fetch(rss("<title>a</title><link>https://Blog.example:443/a/?utm_source=feed</link>"))
    two = await fetch(rss("<title>a, corrected</title><link>https://blog.example/a</link>"))
    assert one.posts[0].external_id == two.posts[0].external_id == "https://blog.example/a"


async def test_an_id_that_is_only_a_number_is_scoped_by_the_feed() -> None:
    batch = await fetch(rss('<guid isPermaLink="false">17</guid><title>a</title>'))
    assert batch.posts[0].external_id == f"{URL}#id=17"


@pytest.mark.parametrize("name", ["urn:uuid:1225c695-cfb8-4ebb-aaaa-80da344efa6a", "tag:blog.example,2026:7"])
async def test_a_global_id_stands_by_itself(name: str) -> None:
    batch = await fetch(rss(f'<guid isPermaLink="false">{name}</guid><title>a</title>'))
    assert batch.posts[0].external_id == name


async def test_an_address_that_all_entries_share_identifies_none_of_them_now_or_later() -> None:
    home = "<link>https://blog.example/</link>"
    both = await fetch(rss(f"<title>two</title>{home}", f"<title>one</title>{home}"))
    assert len({post.external_id for post in both.posts}) == 2
    alone = await fetch(rss(f"<title>two</title>{home}"), both.cursor)
    assert alone.posts[0].external_id == both.posts[1].external_id


async def test_dates_fall_back_from_published_to_updated_to_first_seen() -> None:
    atom = """<feed xmlns="http://www.w3.org/2005/Atom"><title>t</title>
      <entry><id>urn:a</id><title>a</title><published>2026-01-02T03:04:05+02:00</published></entry>
      <entry><id>urn:b</id><title>b</title><updated>2026-02-02T00:00:00Z</updated></entry>
      <entry><id>urn:c</id><title>c</title></entry></feed>"""
    first = await fetch(atom)
    assert [post.posted_at for post in first.posts] == [
        datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC),
        datetime(2026, 2, 2, tzinfo=UTC),
        NOW,
    ]
    later = await fetch(atom + "<!-- changed -->", first.cursor, NOW + timedelta(days=3))
    assert later.posts[2].posted_at == NOW


@pytest.mark.parametrize("date", ["Fri, 01 Jan 2038 00:00:00 GMT", "yesterday", "0000-00-00", "31 Feb 2026", ""])
async def test_a_date_in_the_future_or_no_date_at_all_becomes_the_first_sighting(date: str) -> None:
    batch = await fetch(rss(f"<title>a</title><pubDate>{date}</pubDate>"))
    assert batch.posts[0].posted_at == NOW


async def test_posts_come_oldest_first() -> None:
    old, new = "Mon, 05 Oct 2026 10:00:00 GMT", "Tue, 06 Oct 2026 10:00:00 GMT"
    newest, oldest = f"<title>new</title><pubDate>{new}</pubDate>", f"<title>old</title><pubDate>{old}</pubDate>"
    assert [post.title for post in (await fetch(rss(newest, oldest))).posts] == ["old", "new"]


async def test_html_is_read_as_text_and_kept_beside_it() -> None:
    body = (
        "<title>T</title><description>&lt;p&gt;one&lt;br&gt;two&lt;/p&gt;&lt;script&gt;x&lt;/script&gt;</description>"
    )
    post = (await fetch(rss(body))).posts[0]
    assert post.text == "one\ntwo"
    assert post.html is not None


async def test_an_enclosure_is_media_with_its_description() -> None:
    body = (
        '<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/"><channel><title>t</title><item><title>a</title>'
        "<description>a long enough text about the tent</description>"
        '<media:content url="https://blog.example/t.jpg" medium="image"><media:description>A torn tent'
        '</media:description></media:content><enclosure url="javascript:alert(1)" type="image/png" length="1"/>'
        "</item></channel></rss>"
    )
    (media,) = (await fetch(body)).posts[0].media
    assert (media.kind, media.url, media.description) == ("image", "https://blog.example/t.jpg", "A torn tent")


THREADED = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:thr="http://purl.org/syndication/thread/1.0"><title>C</title>
<entry><id>tag:b.example,2026:2</id><title>Re</title><updated>2026-11-02T09:00:00Z</updated><author><name>Bo</name></author>
<thr:in-reply-to ref="tag:b.example,2026:1" href="https://b.example/zips"/></entry></feed>"""


async def test_an_entry_that_names_what_it_answers_is_a_comment_on_it() -> None:
    (found,) = (await fetch(THREADED)).posts
    assert (found.kind, found.in_reply_to, found.thread_id) == (
        PostKind.COMMENT,
        "tag:b.example,2026:1",
        "tag:b.example,2026:1",
    )


@pytest.mark.parametrize(
    ("said", "comments"),
    [
        ("<wfw:commentRss>https://b.example/a/feed/</wfw:commentRss><slash:comments>7</slash:comments>", True),
        ("<wfw:commentRss>https://b.example/a/feed/</wfw:commentRss><slash:comments>0</slash:comments>", False),
        ('<atom:link rel="replies" type="application/atom+xml" href="https://b.example/a/feed/" thr:count="3"/>', True),
        ("<wfw:commentRss>javascript:x</wfw:commentRss>", False),
    ],
)
def test_where_the_comments_on_an_entry_are_is_read_where_there_are_any(said: str, comments: bool) -> None:
    spaces = (
        'xmlns:wfw="http://wellformedweb.org/CommentAPI/" xmlns:slash="http://purl.org/rss/1.0/modules/slash/" '
        'xmlns:thr="http://purl.org/syndication/thread/1.0" xmlns:atom="http://www.w3.org/2005/Atom"'
    )
    page = f'<rss version="2.0" {spaces}><channel><title>B</title><item><title>a</title>{said}</item></channel></rss>'
    (entry,) = read_feed(page.encode(), "https://b.example/feed", "").entries
    assert entry.comments == ("https://b.example/a/feed/" if comments else "")


async def test_comments_stand_in_the_thread_of_their_article() -> None:
    body = rss(
        '<guid isPermaLink="false">https://blog.example/?p=1#comment-5</guid><title>By Ada</title>'
        "<link>https://blog.example/zips/#comment-5</link>",
        '<guid isPermaLink="false">https://blog.example/?p=1#comment-6</guid><title>By Bo</title>'
        "<link>https://blog.example/zips/#comment-6</link>",
    )
    posts = (await fetch(body)).posts
    assert {post.thread_id for post in posts} == {"https://blog.example/zips"}
    assert {post.kind for post in posts} == {PostKind.COMMENT}
    assert len({post.external_id for post in posts}) == 2


async def test_an_answer_to_an_answer_stands_in_the_thread_of_the_first() -> None:
    fake = FakeRss()
    root = fake.arrive("the zip broke")
    child = fake.arrive("which zip?", under=root)
    grandchild = fake.arrive("the long one", under=child)
    posts = {post.external_id: post for post in (await fake.connector.fetch(fake.link(), {})).posts}
    assert {posts[one].thread_id for one in (root, child, grandchild)} == {root}
    assert (posts[child].in_reply_to, posts[grandchild].in_reply_to) == (root, child)


async def test_answers_that_go_in_circles_are_read_all_the_same() -> None:
    fake = FakeRss()
    one = fake.arrive("one", under="https://blog.example/2")
    two = fake.arrive("two", under=one)
    assert {p.external_id for p in (await fake.connector.fetch(fake.link(), {})).posts} == {one, two}


async def test_an_unchanged_feed_is_asked_for_conditionally_and_brings_nothing() -> None:
    fake = FakeRss()
    fake.arrive("hello")
    first = await fake.connector.fetch(fake.link(), {})
    second = await fake.connector.fetch(fake.link(), first.cursor)
    assert fake.requests[-1].headers["if-none-match"] == first.cursor["etag"]
    assert second == Batch(cursor=first.cursor)


async def test_a_server_that_ignores_conditions_but_sends_the_same_bytes_brings_nothing_either() -> None:
    first = await fetch(rss("<title>a</title>"), last_modified="Mon, 05 Oct 2026 10:00:00 GMT")
    assert first.cursor["modified"] == "Mon, 05 Oct 2026 10:00:00 GMT"
    assert (await fetch(rss("<title>a</title>"), first.cursor)).posts == ()


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (410, Refused, "Remove this feed"),
        (404, Refused, "Correct its address"),
        (401, Unauthorized, "credentials"),
        (403, Unauthorized, "credentials"),
        (500, ChannelDown, "tried again later"),
        (503, ChannelDown, "tried again later"),
        (400, Refused, "HTTP 400"),
    ],
)
async def test_each_refusal_says_what_to_do(status: int, kind: type[ConnectorError], words: str) -> None:
    error = await failing(status_code=status, html="<html>no</html>")
    assert type(error) is kind
    assert words in error.message


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("90", timedelta(seconds=90)),
        ("Mon, 02 Nov 2026 09:05:00 GMT", timedelta(minutes=5)),
        ("soon", timedelta(minutes=1)),
        ("-5", timedelta(seconds=1)),
        ("1e99", timedelta(days=1)),
        ("nan", timedelta(minutes=1)),
    ],
)
async def test_a_channel_that_asks_us_to_wait_is_believed_within_reason(value: str, wait: timedelta) -> None:
    error = await failing(status_code=429, headers={"retry-after": value})
    assert isinstance(error, RateLimited)
    assert error.retry_after == wait


async def test_a_web_page_is_named_as_one_with_the_feed_that_it_advertises() -> None:
    page = '<!doctype html><html><link type="application/rss+xml" title=x rel="alternate" href="/all.xml"></html>'
    error = await failing(status_code=200, html=page)
    assert isinstance(error, Malformed)
    assert "is a web page" in error.message
    assert "https://blog.example/all.xml" in error.message


async def test_a_web_page_without_a_feed_says_so() -> None:
    error = await failing(status_code=200, html="<!doctype html><title>Sign in</title><p>Please sign in.")
    assert "names no feed" in error.message


@pytest.mark.parametrize(
    "body", [b"", b"  \n ", b"\x89PNG\r\n\x1a\n\x00\x00", b'{"a": 1}', b"[]", b"hello", b"{" * 5000]
)
async def test_what_is_no_feed_is_malformed_and_not_a_crash(body: bytes) -> None:
    assert isinstance(await failing(status_code=200, content=body), Malformed)


@pytest.mark.parametrize("body", [b"/etc/passwd", b"file:///etc/passwd", b"https://blog.example/other"])
async def test_a_body_that_looks_like_an_address_is_never_opened(body: bytes) -> None:
    assert isinstance(await failing(status_code=200, content=body), Malformed)


async def test_an_empty_feed_is_healthy() -> None:
    batch = await fetch(rss())
    assert (batch.posts, batch.notice) == ((), "")


async def test_broken_xml_brings_what_can_be_read_with_a_notice() -> None:
    batch = await fetch(rss("<title>first</title>", "<title>bad & <b>worse</title>"))
    assert any(post.title == "first" for post in batch.posts)
    assert "not well-formed" in batch.notice


async def test_a_wrong_character_set_is_seen_through() -> None:
    body = '<?xml version="1.0" encoding="ascii"?>' + rss("<title>grün 🏕</title>")
    batch = await fetch(body.encode(), content_type="application/xml; charset=us-ascii")
    assert batch.posts[0].title == "grün 🏕"
    assert "character set" in batch.notice


async def test_an_honest_latin_1_feed_is_read_without_a_word() -> None:
    body = '<?xml version="1.0" encoding="iso-8859-1"?>' + rss("<title>grün</title>")
    batch = await fetch(body.encode("latin-1"), content_type="application/xml")
    assert (batch.posts[0].title, batch.notice) == ("grün", "")


async def test_a_nul_in_broken_xml_reaches_nothing_that_is_stored() -> None:
    batch = await fetch(
        rss("<title>a\0b</title><guid>x\0y</guid><description>c\0d &lt;b&gt;e\0&lt;/b&gt;</description>")
    )
    assert batch.posts
    assert "\0" not in repr([(p.external_id, p.text, p.title, p.html, p.payload) for p in batch.posts])
    assert "\\x00" not in repr(batch.posts)


async def test_a_billion_laughs_are_not_funny() -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]>' + rss("<title>&l11;</title>")
    try:
        batch = await fetch(bomb)
    except Malformed:
        return
    assert all(len(post.title) < 1000 for post in batch.posts)


async def test_an_external_entity_is_not_followed() -> None:
    body = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>' + rss("<title>a &f;</title>")
    try:
        batch = await fetch(body)
    except Malformed:
        return
    assert all("root:" not in post.title for post in batch.posts)


async def test_a_feed_beyond_the_bound_is_refused_before_it_is_read() -> None:
    async def endless() -> Any:
        while True:
            yield b"<item>" * 100_000

    error = await failing(status_code=200, content=endless())
    assert isinstance(error, Refused)
    assert "10 MB" in error.message


async def test_a_long_feed_comes_in_several_batches_and_none_is_missed() -> None:
    body = rss(*(f"<title>entry {n}</title>" for n in range(1203)))
    seen: set[str] = set()
    cursor: Json = {}
    for _ in range(3):
        batch = await fetch(body, cursor)
        assert len(batch.posts) <= 500
        seen |= {post.title for post in batch.posts}
        cursor = batch.cursor
    assert not batch.more
    assert len(seen) == 1203
    assert (await fetch(body, cursor)).posts == ()


async def test_an_entry_that_says_nothing_is_set_aside_and_the_others_pass() -> None:
    batch = await fetch(rss("<category>x</category>", "<title>fine</title>"))
    assert [post.title for post in batch.posts] == ["fine"]
    assert len(batch.rejected) == 1
    assert "neither text" in batch.rejected[0].reason


async def test_a_moved_feed_is_read_and_the_new_address_named() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/feed.xml":
            return httpx.Response(301, headers={"location": "https://new.example/feed"})
        return httpx.Response(200, text=rss("<title>a</title>"))

    batch = await RssConnector().fetch(link(answer), {})
    assert len(batch.posts) == 1
    assert "https://new.example/feed" in batch.notice


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ReadTimeout(""), httpx.ReadError("reset")])
async def test_no_answer_is_unreachable(error: httpx.TransportError) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(Unreachable, match="tried again later"):
        await RssConnector().fetch(link(answer), {})


async def test_the_check_names_the_feed_and_shows_its_newest_entry() -> None:
    answer = httpx.Response(200, text=rss("<title>new</title>", "<title>old</title>"))
    check = await RssConnector().check(link(lambda _: answer))
    assert check.message == "Blog can be read. Entries: 2."
    assert check.sample is not None
    assert check.sample.title == "new"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x.example/f", "blog.example", "http://", ""])
def test_a_feed_comes_by_http_only(url: str) -> None:
    with pytest.raises(ValidationError, match="https://"):
        RssSettings(url=url)


@given(damage=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), st.binary(max_size=12)), max_size=5))
@settings(max_examples=200, deadline=None)
def test_a_feed_damaged_anywhere_is_read_or_malformed_and_never_a_crash(
    damage: list[tuple[float, int, bytes]],
) -> None:
    fake = FakeRss()
    for text in ("Where is my tent?", "مرحبا", "<b>bold</b> &amp; more"):
        fake.arrive(text, under="https://blog.example/1")
    body = fake.render(fake.articles).encode()
    for where, cut, put in damage:
        at = int(where * len(body))
        body = body[:at] + put + body[at + cut :]
    try:
        document = read_feed(body, URL, "application/xml")
    except Malformed:
        return
    json.dumps([entry.payload for entry in document.entries], allow_nan=False, ensure_ascii=False).encode()
