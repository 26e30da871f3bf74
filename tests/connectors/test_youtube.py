"""What is YouTube's own: units, threads that grow, an API key that reads, its discovery document."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from app.connectors import registry
from app.connectors.base import Budget, KnownPost, Spent
from app.connectors.testing.fake import Trouble, Wire
from app.connectors.testing.steps import answer, asked, drain, placed, send, through_json, tried
from app.connectors.youtube import Source, YouTubeCredentials, YouTubeSettings
from app.connectors.youtube_api import midnight
from app.errors import RateLimited, Refused, Unauthorized
from app.flow.pace import span
from tests.connectors.fakes.youtube import US, FakeComments, FakeYouTube

YOUTUBE = registry.get("youtube")


@pytest.fixture
def comments() -> FakeComments:
    return FakeComments()


@pytest.fixture
def search() -> FakeYouTube:
    return FakeYouTube(Source.SEARCH)


class Units:
    """What a connector said that it spent."""

    def __init__(self) -> None:
        self.spent = 0

    async def __call__(self, said: Budget | Spent) -> None:
        assert isinstance(said, Spent)
        self.spent += said.amount


async def test_what_calls_cost_is_counted_as_youtube_counts_it(search: FakeYouTube) -> None:
    for n in range(12):
        search.arrive(f"our northwind tent {n}")
    units = Units()
    batch = await YOUTUBE.fetch(search.link(note=units), {})
    assert units.spent == search.units == 200
    reply = answer(search, batch.posts[0])
    await YOUTUBE.send(search.link(note=units), reply)
    assert units.spent == search.units == 250


async def test_a_search_stops_when_its_room_is_used(search: FakeYouTube) -> None:
    for n in range(25):
        search.arrive(f"our northwind tent {n}")
    batch = await YOUTUBE.fetch(search.link(room={"units": 130}), {})
    assert search.units == 100
    assert batch.more


async def test_a_day_that_is_used_up_is_waited_for_until_midnight_in_california(comments: FakeComments) -> None:
    comments.quota = 0
    with pytest.raises(RateLimited) as caught:
        await YOUTUBE.fetch(comments.link(), {})
    assert caught.value.allowance == "units"
    [allowance] = YOUTUBE.allowances(comments.settings(), comments.credentials())
    assert allowance.quota is not None
    assert caught.value.retry_after == midnight(comments.now)
    assert comments.now + caught.value.retry_after == span(allowance.quota.period, comments.now)[1]


async def test_a_later_reply_to_an_older_thread_is_brought(comments: FakeComments) -> None:
    old = comments.arrive("first!")
    for n in range(3):
        comments.arrive(f"comment {n}")
    _, cursor = await drain(comments, {})
    later = [comments.arrive(f"reply {n}", under=old, by="bob") for n in range(13)]
    found, cursor = await drain(comments, cursor)
    assert set(found) == set(later)
    assert {post.thread_id for post in found.values()} == {old}
    assert not (await drain(comments, cursor))[0]


async def test_a_reply_stands_in_the_thread_of_what_it_answers(comments: FakeComments) -> None:
    top = comments.arrive("first!")
    under = comments.arrive("me too", under=top, by="bob")
    found, _ = await drain(comments, {})
    await send(comments, answer(comments, found[under]))
    [standing] = comments.ledger()
    assert standing.parent == top


async def test_an_answer_to_a_video_is_a_comment_on_it_and_is_found_again(search: FakeYouTube) -> None:
    post = await asked(search)
    reply = answer(search, post)
    sent = await send(search, reply)
    assert sent.url == f"{post.url}&lc={sent.external_id}"
    found = await YOUTUBE.find_sent(search.link(), tried(search, reply))
    assert found is not None
    assert found.external_id == sent.external_id
    await YOUTUBE.delete(search.link(), placed(sent, reply, search))
    assert not search.ledger()


async def test_an_api_key_reads_and_says_that_it_cannot_answer(comments: FakeComments) -> None:
    comments.keyed = True
    post = await asked(comments)
    said = await YOUTUBE.check(comments.link(account=None))
    assert said.account is not None
    assert said.account.external_id == US
    assert said.notices
    assert "authorization" not in comments.requests[-1].headers
    with pytest.raises(Refused, match="reads"):
        await send(comments, answer(comments, post))
    assert YOUTUBE.sign_in(comments.credentials()) is None


def test_credentials_without_any_way_in_are_not_taken() -> None:
    with pytest.raises(ValueError, match="API key and a channel"):
        YouTubeCredentials()


async def test_a_key_that_google_does_not_know_asks_for_a_person(comments: FakeComments) -> None:
    said = "API key not valid. Please pass a valid API key."
    body = {"error": {"code": 400, "message": said, "errors": [{"reason": "keyInvalid"}]}}
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(400, json=body)))
    with pytest.raises(Unauthorized, match="not valid"):
        await YOUTUBE.fetch(comments.link(http=http), {})


async def test_a_page_token_that_ran_out_begins_the_walk_again(comments: FakeComments) -> None:
    comments.arrive("before")
    _, cursor = await drain(comments, {})
    names = {comments.arrive(f"comment {n}") for n in range(45)}
    batch = await YOUTUBE.fetch(comments.link(), cursor)
    assert batch.more
    stale = httpx.Response(
        400, json={"error": {"code": 400, "message": "bad", "errors": [{"reason": "invalidPageToken"}]}}
    )
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: stale))
    again = await YOUTUBE.fetch(comments.link(http=http), through_json(batch.cursor))
    found, _ = await drain(comments, through_json(again.cursor))
    assert names <= {post.external_id for post in batch.posts} | set(found)


# Google's own description


class Checked(Wire):
    """The wire, with each request held against the discovery document."""

    def __init__(self, fake: FakeYouTube, document: dict[str, Any]) -> None:
        super().__init__(fake)
        self.document = document
        self.used: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        method = self._method(request)
        known = method["parameters"] | self.document["parameters"]
        for name, value in parse_qsl(request.url.query.decode()):
            described = known[name]
            values = value.split(",") if described.get("repeated") else [value]
            assert set(values) <= set(described.get("enum", values)), f"{name}={value}"
            if described["type"] == "integer":
                assert int(described["minimum"]) <= int(value) <= int(described["maximum"])
        asked = dict(parse_qsl(request.url.query.decode()))
        assert not {name for name, one in method["parameters"].items() if one.get("required")} - set(asked)
        if request.content:
            self._fits(json.loads(request.content), method["request"]["$ref"])
        self.used.add(method["id"])
        response = await super().handle_async_request(request)
        if response.is_success and response.content:
            self._fits(response.json(), method["response"]["$ref"])
        return response

    def _method(self, request: httpx.Request) -> dict[str, Any]:
        assert f"{request.url.scheme}://{request.url.host}/" == self.document["rootUrl"]
        for resource in self.document["resources"].values():
            for method in resource.get("methods", {}).values():
                if (method["httpMethod"], "/" + method["path"]) == (request.method, request.url.path):
                    found: dict[str, Any] = method
                    return found
        raise AssertionError(f"{request.method} {request.url.path} is not described")

    def _fits(self, value: Any, name: str) -> None:
        """Each field is known to the schema of that name, all the way down."""
        known = self.document["schemas"][name]["properties"]
        for key, inner in value.items():
            assert key in known, f"{name} has no field {key}"
            described = known[key].get("items", known[key])
            for one in inner if isinstance(inner, list) else [inner]:
                if "$ref" in described and isinstance(one, dict):
                    self._fits(one, described["$ref"])


async def test_requests_are_what_the_discovery_document_promises() -> None:
    client = pytest.importorskip("googleapiclient")
    path = Path(client.__file__).parent / "discovery_cache" / "documents" / "youtube.v3.json"
    document = json.loads(path.read_text())
    used: set[str] = set()
    for fake in (FakeComments(), FakeYouTube(Source.SEARCH)):
        wire = Checked(fake, document)

        def link(fake: FakeYouTube = fake, wire: Checked = wire, **more: Any) -> Any:
            return fake.link(http=httpx.AsyncClient(transport=wire), **more)

        names = [fake.arrive(f"northwind {n}") for n in range(12)]
        if fake.source is Source.COMMENTS:
            for n in range(5):
                fake.arrive(f"reply {n}", under=names[-1])
        first = await YOUTUBE.fetch(link(account=None), {})
        await YOUTUBE.fetch(link(), through_json(first.cursor))
        await YOUTUBE.check(link())
        reply = answer(fake, first.posts[-1])
        sent = await YOUTUBE.send(link(), reply)
        assert await YOUTUBE.find_sent(link(), tried(fake, reply))
        await YOUTUBE.delete(link(), placed(sent, reply, fake))
        await YOUTUBE.look_again(link(), [KnownPost(one.external_id, through_json(one.ref)) for one in first.posts])
        used |= wire.used
    assert used == {
        "youtube.channels.list", "youtube.commentThreads.list", "youtube.commentThreads.insert", "youtube.comments.list",
        "youtube.comments.insert", "youtube.comments.delete", "youtube.search.list", "youtube.videos.list",
    }  # fmt: skip


def test_a_search_costs_a_hundred_and_comments_one() -> None:
    held = FakeComments().credentials()
    costs = []
    for settings in (YouTubeSettings(), YouTubeSettings(source=Source.SEARCH, value="x")):
        [one] = YOUTUBE.allowances(settings, held)
        assert one.quota is not None
        costs.append(one.quota.cost)
    assert costs == [1, 100]


async def test_trouble_at_the_second_page_keeps_what_was_paid_for(comments: FakeComments) -> None:
    comments.arrive("before")
    _, cursor = await drain(comments, {})
    comments.tick(timedelta(minutes=1))
    for n in range(15):
        comments.arrive(f"comment {n}")
    comments.trouble(Trouble.DOWN, after=1)
    batch = await YOUTUBE.fetch(comments.link(), cursor)
    assert len(batch.posts) == 10
    comments.calm()
    assert len((await drain(comments, through_json(batch.cursor)))[0]) == 5
