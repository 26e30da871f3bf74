"""Bluesky's stream: a Jetstream server over a real WebSocket, whose messages are looked at before they are read."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest
from pydantic import ValidationError

from app.connectors import bluesky_stream
from app.connectors.base import Batch, IncomingPost, Json, PostKind
from app.connectors.bluesky_lists import BlueskySettings, Source, terms_of
from app.connectors.bluesky_wanted import about, found_by
from app.errors import Blocked, ChannelDown, ConnectorError, Malformed, RateLimited, Refused, Unreachable
from app.transport import GuardedDial, resolve_host
from tests.connectors.fakes.bluesky import POST, FakeBluesky, did_of
from tests.connectors.fakes.jetstream import TOO_SLOW, FakeJetstream

US = did_of("northwind")
DIAL = GuardedDial(frozenset({"127.0.0.1"}), resolve_host, patience=5)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own server is asked at once, and again at once."""
    monkeypatch.setattr(bluesky_stream, "LOOKS", (0.0, 0.0, 0.0))


@pytest.fixture
async def jetstream() -> AsyncIterator[FakeJetstream]:
    async with FakeJetstream(FakeBluesky()).serving() as server:
        yield server


class Stream:
    """What a feed's stream brings."""

    def __init__(self, batches: Any) -> None:
        self._batches = batches
        self.cursor: Json = {}

    async def next(self) -> Batch:
        """The next batch that is not empty."""
        while True:
            batch: Batch = await anext(self._batches)
            self.cursor = batch.cursor
            if batch.posts or batch.changes or batch.rejected:
                return batch

    async def texts(self, number: int) -> list[str]:
        found: list[str] = []
        while len(found) < number:
            found += [post.text for post in (await self.next()).posts]
        return found


@asynccontextmanager
async def listening(server: FakeJetstream, cursor: Json | None = None, **settings: Any) -> AsyncIterator[Stream]:
    fake = server.network
    feed = BlueskySettings(jetstream=server.url, **settings)
    link = fake.link(settings=feed, dial=DIAL)
    async with aclosing(fake.connector.listen(link, cursor or {})) as batches:
        first = await anext(batches)
        assert not first.posts
        await server.connected()
        yield Stream(batches)


async def written(server: FakeJetstream, text: str, **more: Any) -> str:
    uri = server.network.post(text, **more)
    await server.create(uri)
    return uri


def quoting(server: FakeJetstream, uri: str) -> Json:
    kind = "app.bsky.embed.record"
    return {"$type": kind, "record": {"uri": uri, "cid": server.network.records[uri].cid}}


def asked_of_our_server(server: FakeJetstream) -> list[list[str]]:
    return [r.url.params.get_list("uris") for r in server.network.requests if r.url.path.endswith("getPosts")]


async def fails(server: FakeJetstream, **changes: Any) -> ConnectorError:
    feed = BlueskySettings(jetstream=server.url)
    link = server.network.link(**({"settings": feed, "dial": DIAL} | changes))
    with pytest.raises(ConnectorError) as caught:
        async with aclosing(server.network.connector.listen(link, {})) as batches:
            await anext(batches)
    return caught.value


# What concerns a feed


async def test_mentions_answers_and_quotes_come_as_they_are_written_and_nothing_else_does(
    jetstream: FakeJetstream,
) -> None:
    ours = jetstream.network.post("we are open", by="northwind")
    async with listening(jetstream) as stream:
        await written(jetstream, "lovely day", by="bob")
        await written(jetstream, "my order?", mentions=True)
        answer = await written(jetstream, "when?", under=ours)
        await written(jetstream, "at nine, I think", by="bob", under=answer)
        await written(jetstream, "at nine", by="northwind", under=answer)
        await written(jetstream, "look at them", by="carol", embed=quoting(jetstream, ours))
        await written(jetstream, f"{US} is no handle", by="dave")
        await jetstream.identity(US)
        await written(jetstream, "and again", mentions=True)
        found: dict[str, IncomingPost] = {}
        while len(found) < 5:
            found |= {post.text: post for post in (await stream.next()).posts}
    kinds = {text: post.kind for text, post in found.items()}
    assert kinds == {
        "my order?": PostKind.MENTION,
        "when?": PostKind.REPLY,
        "at nine, I think": PostKind.REPLY,
        "look at them": PostKind.MENTION,
        "and again": PostKind.MENTION,
    }
    assert found["my order?"].author.handle == "ada.bsky.example"
    assert found["look at them"].media[0].description == "we are open"


async def test_our_own_server_is_asked_only_about_what_concerns_the_feed(jetstream: FakeJetstream) -> None:
    async with listening(jetstream) as stream:
        for n in range(50):
            await written(jetstream, f"lovely day {n}", by="bob")
        uri = await written(jetstream, "my order?", mentions=True)
        await stream.next()
    assert asked_of_our_server(jetstream) == [[uri]]


async def test_an_accounts_posts_are_filtered_by_the_server_itself(jetstream: FakeJetstream) -> None:
    async with listening(jetstream, source=Source.AUTHOR, value=did_of("ada")) as stream:
        await written(jetstream, "not this", by="bob")
        await written(jetstream, "this")
        assert await stream.texts(1) == ["this"]
    assert jetstream.asked[-1]["wantedDids"] == [did_of("ada")]
    assert jetstream.asked[-1]["wantedCollections"] == [POST]


async def test_an_accounts_handle_is_looked_up_and_its_reposts_come_where_they_are_wanted(
    jetstream: FakeJetstream,
) -> None:
    jetstream.network.post("hello")
    uri = jetstream.network.post("tents on sale", by="bob")
    async with listening(jetstream, source=Source.AUTHOR, value="ada.bsky.example", include_reposts=True) as stream:
        await jetstream.repost(uri, did_of("ada"))
        [post] = (await stream.next()).posts
    assert (post.text, post.repost, post.author.external_id) == ("tents on sale", True, did_of("bob"))


async def test_a_search_finds_its_words_and_phrases_in_any_case_and_its_language(jetstream: FakeJetstream) -> None:
    async with listening(jetstream, source=Source.SEARCH, value='northwind "rain boots"', language="en") as stream:
        await written(jetstream, "boots for rain by Northwind")
        await written(jetstream, "NORTHWIND rain boots leak", langs=["de"])
        await written(jetstream, "Rain boots of NORTHWIND leak", langs=["en-GB"])
        assert await stream.texts(1) == ["Rain boots of NORTHWIND leak"]


def test_a_look_at_the_bytes_never_leaves_out_what_a_close_look_would_want() -> None:
    for words, text in (("zelt", "Mein ZELT"), ("über", "ÜBER uns"), ("a&b", "A&B"), ("テント", "テントが破れた")):
        frame = json.dumps({"text": text}, ensure_ascii=False).replace("&", "\\u0026").encode()
        assert found_by([words], "").concerns(frame)
    assert not found_by(["zelt"], "").concerns(b'{"text":"boots"}')
    assert about(US).concerns(f'{{"uri":"at://{US}/x"}}'.encode())


@pytest.mark.parametrize("search", ["from:ada.example boots", "boots -rain", "boots since:2026-01-01"])
def test_a_search_with_operators_is_not_taken_for_words(search: str) -> None:
    assert terms_of(search) is None
    with pytest.raises(ValidationError, match="operators"):
        BlueskySettings(source=Source.SEARCH, value=search, jetstream="wss://jetstream.example")


async def test_who_is_muted_or_has_blocked_us_is_left_out_as_in_notifications(jetstream: FakeJetstream) -> None:
    jetstream.network.blocked_by.add(did_of("eve"))
    async with listening(jetstream) as stream:
        await written(jetstream, "nobody sees this", by="eve", mentions=True)
        await written(jetstream, "my order?", mentions=True)
        assert await stream.texts(1) == ["my order?"]


async def test_a_post_that_our_server_has_not_heard_of_yet_is_asked_for_again(jetstream: FakeJetstream) -> None:
    fake = jetstream.network
    async with listening(jetstream) as stream:
        uri = fake.post("my order?", mentions=True)
        fake.unheard.add(uri)
        fake.between_requests = lambda: fake.unheard.clear() if len(asked_of_our_server(jetstream)) == 2 else None
        await jetstream.create(uri)
        assert await stream.texts(1) == ["my order?"]
    assert asked_of_our_server(jetstream) == [[uri], [uri]]


async def test_what_our_server_never_shows_is_left_to_the_polls(jetstream: FakeJetstream) -> None:
    fake = jetstream.network
    async with listening(jetstream) as stream:
        uri = fake.post("hidden", mentions=True)
        fake.unheard.add(uri)
        await jetstream.create(uri)
        await written(jetstream, "my order?", mentions=True)
        assert await stream.texts(1) == ["my order?"]


async def test_a_message_that_cannot_be_read_is_set_aside_and_the_others_arrive(jetstream: FakeJetstream) -> None:
    async with listening(jetstream) as stream:
        await jetstream.tell(f'{{"did": "{US}", "commit": ')
        await jetstream.tell(f'["{US}"]')
        assert [one.reason for one in (await stream.next()).rejected] == ["The stream told something that is not JSON."]
        await written(jetstream, "my order?", mentions=True)
        assert await stream.texts(1) == ["my order?"]


# What becomes of posts


async def test_the_deletion_of_a_post_that_the_stream_brought_is_told_and_of_no_other(jetstream: FakeJetstream) -> None:
    async with listening(jetstream) as stream:
        other = await written(jetstream, "lovely day", by="bob")
        uri = await written(jetstream, "my order?", mentions=True)
        await stream.next()
        await jetstream.delete(other)
        await jetstream.delete(uri)
        [change] = (await stream.next()).changes
    assert (change.external_id, change.deleted) == (uri, True)


async def test_a_post_that_was_deleted_before_it_was_given_is_never_given(jetstream: FakeJetstream) -> None:
    fake = jetstream.network
    async with listening(jetstream) as stream:
        uri = fake.post("oops", mentions=True)
        fake.unheard.add(uri)
        await jetstream.create(uri)
        await jetstream.delete(uri)
        await written(jetstream, "my order?", mentions=True)
        assert await stream.texts(1) == ["my order?"]


async def test_an_accounts_deletions_are_told_whenever_their_posts_came(jetstream: FakeJetstream) -> None:
    uri = jetstream.network.post("long ago")
    async with listening(jetstream, source=Source.AUTHOR, value=did_of("ada")) as stream:
        await jetstream.delete(uri)
        [change] = (await stream.next()).changes
    assert (change.external_id, change.deleted) == (uri, True)


async def test_an_edit_is_told_where_the_network_shows_it_and_not_where_it_does_not(jetstream: FakeJetstream) -> None:
    async with listening(jetstream) as stream:
        unseen = await written(jetstream, "one", mentions=True)
        seen = await written(jetstream, "two", mentions=True)
        await stream.texts(2)
        await jetstream.update(unseen, shown=False)
        await jetstream.update(seen, shown=True)
        [change] = (await stream.next()).changes
    assert (change.external_id, change.text, change.deleted) == (seen, "two, edited", False)


# The place in the stream


async def test_what_was_written_while_the_stream_was_away_comes_when_it_is_opened_again(
    jetstream: FakeJetstream,
) -> None:
    async with listening(jetstream) as stream:
        await written(jetstream, "one", mentions=True)
        await stream.next()
    await written(jetstream, "two", mentions=True)
    async with listening(jetstream, stream.cursor) as again:
        assert "two" in await again.texts(2)


async def test_a_place_long_ago_is_not_asked_for_where_all_posts_of_the_network_would_come(
    jetstream: FakeJetstream,
) -> None:
    long_ago = {"time_us": int((jetstream.network.now - timedelta(hours=1)).timestamp() * 1_000_000)}
    async with listening(jetstream, long_ago):
        assert "cursor" not in jetstream.asked[-1]
    async with listening(jetstream, long_ago, source=Source.AUTHOR, value=did_of("ada")):
        assert "cursor" in jetstream.asked[-1]


async def test_a_poll_keeps_the_place_in_the_stream() -> None:
    fake = FakeBluesky()
    batch = await fake.connector.fetch(fake.link(), {"time_us": 17})
    assert batch.cursor["time_us"] == 17


# Endings and refusals


async def test_a_server_that_goes_away_in_order_ends_the_stream_without_an_error(jetstream: FakeJetstream) -> None:
    async with listening(jetstream) as stream:
        await written(jetstream, "my order?", mentions=True)
        await jetstream.drop(1000, "")
        assert await stream.texts(1) == ["my order?"]
        with pytest.raises(StopAsyncIteration):
            await stream.next()


async def test_a_server_that_finds_us_too_slow_is_named_with_its_words_once_all_was_given(
    jetstream: FakeJetstream,
) -> None:
    async with listening(jetstream) as stream:
        await written(jetstream, "my order?", mentions=True)
        await jetstream.drop()
        assert await stream.texts(1) == ["my order?"]
        with pytest.raises(Unreachable, match=TOO_SLOW):
            await stream.next()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (HTTPStatus.BAD_REQUEST, Refused),
        (HTTPStatus.TOO_MANY_REQUESTS, RateLimited),
        (HTTPStatus.BAD_GATEWAY, ChannelDown),
        (HTTPStatus.OK, Malformed),
    ],
)
async def test_a_server_that_lets_us_not_in_is_told_by_its_cause(
    jetstream: FakeJetstream, status: HTTPStatus, kind: type[ConnectorError]
) -> None:
    jetstream.refuses = status
    assert isinstance(await fails(jetstream), kind)


async def test_a_redirect_is_not_followed(jetstream: FakeJetstream) -> None:
    jetstream.elsewhere = "ws://127.0.0.1:9/subscribe"
    assert isinstance(await fails(jetstream), Blocked)


async def test_a_server_in_our_own_network_is_not_reached_unless_the_operator_allows_it(
    jetstream: FakeJetstream,
) -> None:
    guarded = GuardedDial(frozenset(), resolve_host, patience=5)
    assert isinstance(await fails(jetstream, dial=guarded), Blocked)


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    async with FakeJetstream(FakeBluesky()).serving() as server:
        pass
    assert isinstance(await fails(server), Unreachable)


async def test_without_an_address_there_is_no_stream() -> None:
    fake = FakeBluesky()
    assert [batch async for batch in fake.connector.listen(fake.link(), {})] == []


async def test_testing_the_connection_says_why_there_is_no_stream(jetstream: FakeJetstream) -> None:
    fake = jetstream.network
    link = fake.link(settings=BlueskySettings(jetstream=jetstream.url), dial=DIAL)
    assert (await fake.connector.check(link)).notices == ()
    jetstream.refuses = HTTPStatus.BAD_GATEWAY
    [notice] = (await fake.connector.check(link)).notices
    assert "trouble of its own" in notice


@pytest.mark.parametrize(
    "address", ["https://jetstream.example", "ws://jetstream.example", "wss://", "wss://a@b.example"]
)
def test_an_address_of_a_server_is_that_of_an_encrypted_websocket(address: str) -> None:
    with pytest.raises(ValidationError):
        BlueskySettings(jetstream=address)


def test_no_stream_tells_of_messages() -> None:
    with pytest.raises(ValidationError, match="messages"):
        BlueskySettings(source=Source.MESSAGES, jetstream="wss://jetstream.example")
