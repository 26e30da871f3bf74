"""A hub delivers a feed's entries beside polling (W3C Recommendation "WebSub")."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.connectors.base import Batch, Json
from app.connectors.rss import RssConnector, RssSettings
from app.connectors.websub import Offer, linked, offer
from app.errors import Refused, Unauthorized
from tests.connectors.fakes.rss import HOOK, HUB, FakeHub

RSS = RssConnector()
DAY = timedelta(days=1)


@pytest.fixture
def hub() -> FakeHub:
    fake = FakeHub(subscribed=False)
    fake.arrive("the first entry")
    return fake


async def poll(hub: FakeHub, **changes: Any) -> Batch:
    batch = await RSS.fetch(hub.link(**changes), hub.cursor)
    hub.cursor = batch.cursor
    return batch


async def verified(hub: FakeHub, query: dict[str, str]) -> str:
    said = RSS.challenge(hub.link(), query)
    await RSS.proved(hub.link(), query)
    return said


async def subscribed(hub: FakeHub, lease: int = 864_000) -> None:
    await poll(hub)
    await verified(hub, hub.question(lease))


def gets(hub: FakeHub) -> int:
    return sum(request.method == "GET" for request in hub.requests)


async def test_the_hub_that_a_feed_names_is_asked_with_a_secret_and_a_lease(hub: FakeHub) -> None:
    await poll(hub)

    (asked,) = hub.asked
    assert asked["hub.callback"] == HOOK
    assert (asked["hub.mode"], asked["hub.topic"]) == ("subscribe", hub.topic)
    assert 30 < len(asked["hub.secret"]) < 200
    assert int(asked["hub.lease_seconds"]) > 0


async def test_the_secret_is_known_before_the_hub_is_asked_and_stands_in_no_cursor(hub: FakeHub) -> None:
    batch = await poll(hub)

    assert hub.told["secret"] == hub.asked[0]["hub.secret"]
    assert hub.told["secret"] not in str(batch)


async def test_a_question_is_answered_with_its_challenge(hub: FakeHub) -> None:
    await poll(hub)
    assert await verified(hub, hub.question()) == "echo-1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"hub.topic": "https://blog.example/another.xml"},
        {"hub.mode": "unsubscribe"},
        {"hub.mode": "publish"},
        {"hub.challenge": ""},
    ],
)
async def test_what_was_not_asked_for_is_not_agreed_to(hub: FakeHub, wrong: dict[str, str]) -> None:
    await poll(hub)
    with pytest.raises(Refused):
        RSS.challenge(hub.link(), hub.question() | wrong)


async def test_nothing_is_agreed_to_before_anything_was_asked(hub: FakeHub) -> None:
    with pytest.raises(Refused):
        RSS.challenge(hub.link(), {"hub.mode": "subscribe", "hub.topic": "", "hub.challenge": "x"})


async def test_while_the_hub_delivers_the_feed_is_asked_for_every_quarter_of_an_hour(hub: FakeHub) -> None:
    await subscribed(hub)
    hub.tick(timedelta(minutes=5))
    await poll(hub)
    assert gets(hub) == 1
    hub.tick(timedelta(minutes=11))
    hub.arrive("what the hub missed")
    batch = await poll(hub)
    assert [post.text for post in batch.posts] == ["the first entry", "what the hub missed"]


async def test_until_the_hub_has_asked_back_polls_go_on_as_usual_and_it_is_asked_once(hub: FakeHub) -> None:
    for _ in range(3):
        await poll(hub)
        hub.tick(timedelta(minutes=5))
    assert (gets(hub), len(hub.asked)) == (3, 1)


async def test_a_hub_that_does_not_answer_is_asked_again_after_an_hour(hub: FakeHub) -> None:
    await poll(hub)
    hub.tick(timedelta(minutes=61))
    await poll(hub)
    assert len(hub.asked) == 2
    assert hub.asked[0]["hub.secret"] == hub.asked[1]["hub.secret"]


async def test_a_shorter_lease_is_renewed_before_it_ends(hub: FakeHub) -> None:
    await subscribed(hub, lease=3600)
    hub.tick(timedelta(minutes=20))
    await poll(hub)
    assert len(hub.asked) == 1
    hub.tick(timedelta(minutes=11))
    await poll(hub)
    assert len(hub.asked) == 2


async def test_a_lease_that_ended_makes_polls_as_frequent_as_before(hub: FakeHub) -> None:
    await subscribed(hub, lease=600)
    hub.tick(timedelta(minutes=11))
    await poll(hub)
    hub.tick(timedelta(minutes=1))
    await poll(hub)
    assert gets(hub) == 3


async def test_a_denial_is_told_and_polls_go_on(hub: FakeHub) -> None:
    await poll(hub)
    denied = {"hub.mode": "denied", "hub.topic": hub.topic, "hub.reason": "not\nfor you"}
    assert await verified(hub, denied) == ""
    hub.arrive("news")
    batch = await poll(hub)
    assert "not for you" in batch.notice
    assert "blog.example" in batch.notice
    assert [post.text for post in batch.posts][-1] == "news"
    hub.tick(timedelta(hours=20))
    assert (await poll(hub)).notice
    assert len(hub.asked) == 1
    hub.tick(timedelta(hours=5))
    await poll(hub)
    assert len(hub.asked) == 2


@pytest.mark.parametrize("status", [400, 302, 401, 500])
async def test_a_hub_with_trouble_is_told_and_hinders_no_poll(hub: FakeHub, status: int) -> None:
    hub.answers = status
    batch = await poll(hub)
    assert "blog.example" in batch.notice
    assert batch.posts
    assert (await poll(hub)).notice == batch.notice


@pytest.mark.parametrize("method", ["sha1", "sha256", "sha384", "sha512"])
async def test_a_delivery_is_read_as_a_poll_reads_it(hub: FakeHub, method: str) -> None:
    await subscribed(hub)
    sent = hub.signed(hub.render(hub.articles).encode(), method)
    delivered = RSS.receive(hub.link(), sent.headers, sent.body)
    again = RSS.receive(hub.link(), sent.headers, sent.body)
    polled = await RSS.fetch(hub.link(told={}), {})
    assert delivered.posts == polled.posts
    assert delivered.delivery_id == again.delivery_id


@pytest.mark.parametrize("signature", ["", "sha256=00", "md5=00", "sha256", "é=é", "sha512=" + "0" * 128])
async def test_a_delivery_with_a_wrong_signature_is_refused(hub: FakeHub, signature: str) -> None:
    await subscribed(hub)
    sent = hub.signed(hub.render(hub.articles).encode())
    with pytest.raises(Unauthorized):
        RSS.receive(hub.link(), {"X-Hub-Signature": signature}, sent.body)


async def test_deliveries_end_when_they_are_switched_off(hub: FakeHub) -> None:
    await subscribed(hub)
    sent = hub.signed(hub.render(hub.articles).encode())
    off = RssSettings(url=hub.topic, delivered=False)
    hub.tick(timedelta(minutes=1))
    await poll(hub, settings=off)
    await poll(hub, settings=off)
    assert [one["hub.mode"] for one in hub.asked] == ["subscribe", "unsubscribe"]
    assert await verified(hub, hub.question()) == "echo-2"
    with pytest.raises(Unauthorized):
        RSS.receive(hub.link(), sent.headers, sent.body)


async def test_what_the_hub_of_a_former_address_delivers_is_refused(hub: FakeHub) -> None:
    await subscribed(hub)
    sent = hub.signed(hub.render(hub.articles).encode())
    with pytest.raises(Unauthorized):
        RSS.receive(hub.link(settings=RssSettings(url="https://news.example/feed")), sent.headers, sent.body)


def test_only_to_have_nothing_delivered_is_stored_so_that_older_feeds_stay_as_they_are() -> None:
    url = "https://blog.example/feed"
    assert RssSettings(url=url).model_dump(mode="json") == {"url": url}
    assert RssSettings(url=url, delivered=False).model_dump(mode="json") == {"url": url, "delivered": False}


async def test_a_feed_that_names_another_hub_is_asked_for_there_with_another_secret(hub: FakeHub) -> None:
    await subscribed(hub)
    hub.named = {"hubs": [{"type": "WebSub", "url": HUB + "?second"}]}
    hub.tick(DAY)
    await poll(hub)
    first, second = hub.asked
    assert first["hub.secret"] != second["hub.secret"]


async def test_a_feed_that_names_no_hub_any_more_is_unsubscribed(hub: FakeHub) -> None:
    await subscribed(hub)
    hub.named = {}
    hub.tick(DAY)
    await poll(hub)
    assert hub.asked[-1]["hub.mode"] == "unsubscribe"


@pytest.mark.parametrize(
    ("hook", "asked"), [("", 0), ("http://care.example/hooks/x", 0), ("http://127.0.0.1/hooks/x", 1)]
)
async def test_a_hub_is_asked_only_where_it_can_deliver(hub: FakeHub, hook: str, asked: int) -> None:
    await poll(hub, hook=hook)
    assert len(hub.asked) == asked


@pytest.mark.parametrize(
    "document",
    [
        (
            '<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"><channel><title>Blog</title>'
            '<atom:link rel="hub" href="/hub"/><atom:link rel="self" href="https://blog.example/feed"/></channel></rss>'
        ),
        (
            '<feed xmlns="http://www.w3.org/2005/Atom"><title>Blog</title><link rel="hub" href="https://blog.example/hub"/>'
            '<link rel="self" href="/feed"/></feed>'
        ),
        (
            '{"version": "https://jsonfeed.org/version/1.1", "title": "Blog", "feed_url": "https://blog.example/feed",'
            ' "hubs": [{"type": "WebSub", "url": "https://blog.example/hub"}], "items": []}'
        ),
    ],
)
async def test_the_hub_is_found_in_every_format(hub: FakeHub, document: str) -> None:
    assert await found(hub, document) == {"hub": HUB, "topic": "https://blog.example/feed"}


async def test_link_headers_come_before_the_document(hub: FakeHub) -> None:
    header = '<https://hub.example/>; rel="hub", </other>; rel=self'
    document = hub.render([])
    assert await found(hub, document, link=header) == {
        "hub": "https://hub.example/",
        "topic": "https://blog.example/other",
    }


async def found(hub: FakeHub, document: str, **headers: str) -> Json:
    client = httpx.AsyncClient(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, content=document.encode(), headers=headers))
    )
    batch = await RSS.fetch(replace(hub.link(), http=client, hook=""), {})
    return {name: batch.cursor[name] for name in ("hub", "topic")}


def test_one_header_may_name_several_relations() -> None:
    headers = httpx.Headers([("link", '</a,b>; title="x, y"; rel="next hub"'), ("link", "</self>;rel=self")])
    assert linked(headers) == {"next": "/a,b", "hub": "/a,b", "self": "/self"}


@pytest.mark.parametrize(("hub_address", "topic"), [("", "/feed"), ("/hub", ""), ("ftp://hub.example/", "/feed")])
def test_a_hub_without_the_feeds_own_address_is_none(hub_address: str, topic: str) -> None:
    assert offer(hub_address, topic, "https://blog.example/") is None
    assert offer("/hub", "/feed", "https://blog.example/") == Offer(HUB, "https://blog.example/feed")
