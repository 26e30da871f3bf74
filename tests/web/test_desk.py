"""The desk's pages and verbs over HTTP: who sees what, who is told what, and what an error keeps."""

import asyncio
import html
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from app.connectors.sniff import sniffed
from app.db import announce
from app.flow.ingest import ingest
from app.flow.offer import Proposal, make_offer
from app.models.agent import Agent, Role, SignIn
from app.models.assignment import MOST_EXTENSIONS
from app.models.feed import Feed
from app.models.item import Item, State
from app.web.hub import Stream
from app.web.media import signature
from app.web.sights import Sight, permitted
from tests.company import post
from tests.web.conftest import Browser, House

Opener = Callable[[str], Awaitable[Browser]]


@pytest.fixture
async def items(app: FastAPI, house: House) -> list[int]:
    """Sixty items in the queue Billing of the team Care, oldest first."""
    async with app.state.sessions.begin() as session:
        feed = Feed(name="Box", channel="webhook", synced_at=datetime.now(UTC))
        session.add(feed)
        await session.flush()
        await session.refresh(feed)
        image = {"media": (), "html": "<script>alert(1)</script>"}
        await ingest(session, feed, [post(n, f"<b>Tent {n}</b> arrived torn.", **image) for n in range(60)])
        return list(await session.scalars(select(Item.id).order_by(Item.rank, Item.id)))


async def test_a_queue_is_paged_in_the_order_in_which_it_is_served(
    items: list[int], sign_in: Opener, house: House
) -> None:
    browser = await sign_in("agent")
    first = (await browser.get(f"/desk/queue/{house.billing}")).text
    assert [int(n) for n in re.findall(r'data-item="(\d+)"', first)] == items[:50]
    following = re.search(r'href="(/desk/queue/\d+\?after=[^"]+)"', first)
    assert following
    second = (await browser.get(following.group(1).replace("&amp;", "&"))).text
    assert [int(n) for n in re.findall(r'data-item="(\d+)"', second)] == items[50:]


async def test_what_people_wrote_is_text_and_never_markup(items: list[int], sign_in: Opener) -> None:
    browser = await sign_in("agent")
    for path in ("/desk", f"/items/{items[0]}"):
        page = (await browser.get(path)).text
        assert "&lt;b&gt;Tent" in page
        assert "<b>Tent" not in page
        assert "alert(1)" not in page


async def test_a_row_kept_in_the_cache_carries_nothing_of_the_agent_who_saw_it_first(
    items: list[int], sign_in: Opener
) -> None:
    first, second = await sign_in("agent"), await sign_in("supervisor")
    assert first.csrf in (await first.get("/desk")).text
    page = (await second.get("/desk")).text
    assert second.csrf in page
    assert first.csrf not in page


ROUTES = [
    ("GET", ""), ("GET", "/customer"), ("GET", "?parts=head,thread,dock,context"), ("POST", "/assignment"),
    ("DELETE", "/assignment"), ("POST", "/acceptance"), ("POST", "/refusal"), ("POST", "/offer/extension"), ("POST", "/notes"), ("PUT", "/draft"),
    ("POST", "/replies"), ("POST", "/parking"), ("DELETE", "/parking"), ("POST", "/closure"), ("DELETE", "/closure"),
    ("GET", "/transfer"), ("POST", "/transfer"), ("GET", "/consults"), ("POST", "/consults"), ("DELETE", "/consults/1"),
    ("POST", "/consults/1/answer"), ("POST", "/watch"), ("DELETE", "/watch"), ("POST", "/requests"), ("DELETE", "/requests"),
    ("POST", "/requests/1/gift"), ("DELETE", "/requests/1"), ("POST", "/takeover"), ("PUT", "/viewing"),
    ("GET", "/colleagues"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "route"), ROUTES)
async def test_an_item_of_another_team_is_not_there_on_any_route(
    items: list[int], sign_in: Opener, app: FastAPI, method: str, route: str
) -> None:
    browser = await sign_in("stranger")
    path = f"/items/{items[0]}{route}"
    form = {
        "text": "hello",
        "visibility": "public",
        "disposition": "spam",
        "to": "q1",
        "whom": "a1",
        "question": "Who?",
        "key": "8f14e45f-ceea-467f-a0e6-1d1c2b7f0001",
    }
    answer = await (browser.get(path) if method == "GET" else browser.send(path, form, method))
    assert answer.status_code == 404, answer.text
    async with app.state.sessions() as session:
        assert await session.scalar(select(Item.state).where(Item.id == items[0])) == State.QUEUED


async def test_nobody_gets_in_without_signing_in(items: list[int], sign_in: Opener) -> None:
    browser = await sign_in("")
    for path in ("/desk", "/desk/queues", f"/items/{items[0]}", "/live", "/media/x/1/0", "/avatar/x/1"):
        assert (await browser.get(path)).headers["location"].startswith("/login"), path


async def test_the_second_who_claims_is_told_who_was_first_and_when(items: list[int], sign_in: Opener) -> None:
    first, second = await sign_in("agent"), await sign_in("supervisor")
    assert (await first.send(f"/items/{items[0]}/assignment")).status_code == 303
    refused = await second.send(f"/items/{items[0]}/assignment")
    assert refused.status_code == 409
    assert re.search(r"Agent took it \d+ s ago", refused.text)


async def test_a_reply_that_cannot_be_sent_is_shown_with_its_text_so_that_nothing_is_lost(
    items: list[int], sign_in: Opener
) -> None:
    browser = await sign_in("agent")
    form = {"text": "What I wrote", "visibility": "public", "key": "8f14e45f-ceea-467f-a0e6-1d1c2b7f0002"}
    answer = await browser.send(f"/items/{items[0]}/replies", form)
    assert answer.status_code == 409
    assert "What I wrote" in answer.text


async def test_parts_are_the_pages_own_parts(items: list[int], sign_in: Opener) -> None:
    browser = await sign_in("agent")
    page = (await browser.get(f"/items/{items[0]}")).text
    parts = (await browser.get(f"/items/{items[0]}?parts=thread,nonsense")).text
    assert parts.count("<hx-partial") == 1
    thread = parts.partition('<div class="thread" id="thread-in">')[2].partition("</div>\n</div>")[0]
    assert thread
    assert thread in page


async def test_the_list_drawn_anew_keeps_the_offer_that_stands_below_it(
    items: list[int], app: FastAPI, sign_in: Opener, house: House
) -> None:
    browser = await sign_in("agent")
    await browser.send("/presence", {"state": "ready"})
    async with app.state.sessions.begin() as session:
        version = await session.scalar(select(Item.version).where(Item.id == items[0]))
        assert await make_offer(session, Proposal(items[0], version or 0, house.ids["agent"], {}))
    lists = (await browser.get("/desk?parts=rail,list,tabs")).text
    assert f'id="offer-{items[0]}"' in lists
    elsewhere = (await browser.get("/presence", headers={"HX-Request": "true"})).text
    assert f'id="offer-bar-{items[0]}"' in elsewhere
    assert 'href="/desk/offers"' in elsewhere
    beside = (await browser.get(f"/items/{items[1]}")).text
    assert f'id="offer-bar-{items[0]}"' in beside


async def test_an_offer_is_extended_where_one_is_until_it_has_been_often_enough(
    items: list[int], app: FastAPI, sign_in: Opener, house: House
) -> None:
    browser = await sign_in("agent")
    await browser.send("/presence", {"state": "ready"})
    async with app.state.sessions.begin() as session:
        version = await session.scalar(select(Item.version).where(Item.id == items[0]))
        assert await make_offer(session, Proposal(items[0], version or 0, house.ids["agent"], {}))
    asks = f"/items/{items[0]}/offer/extension"
    for _ in range(MOST_EXTENSIONS):
        assert f'action="{asks}"' in (await browser.get("/desk")).text
        longer = await browser.send(asks, {"here": items[1], "list": "offers"})
        assert (longer.status_code, longer.headers["location"]) == (303, f"/items/{items[1]}?list=offers")
    assert f'action="{asks}"' not in (await browser.get("/desk")).text
    assert (await browser.send(asks)).status_code == 409


async def test_a_long_conversation_is_read_back_to_its_first_post_without_a_gap(app: FastAPI, sign_in: Opener) -> None:
    async with app.state.sessions.begin() as session:
        feed = Feed(name="Box", channel="webhook", synced_at=datetime.now(UTC))
        session.add(feed)
        await session.flush()
        await session.refresh(feed)
        await ingest(session, feed, [post(n, f"Line {n}.", thread_id="long") for n in range(450)])
        [item] = await session.scalars(select(Item.id))
    browser = await sign_in("agent")
    page = (await browser.get(f"/items/{item}?list=offers")).text
    read: list[int] = []
    for shown in (200, 200, 50):
        lines = [int(n) for n in re.findall(r">Line (\d+)\.<", page)]
        assert len(lines) == shown
        read = lines + read
        older = re.search(r'href="([^"]+)" hx-get="([^"]+)"', page)
        if older is None:
            break
        whole, entries = (html.unescape(address) for address in older.groups())
        page = (await browser.get(whole)).text
        above = (await browser.get(entries)).text
        assert "<html" in page
        assert "<html" not in above
        assert re.findall(r">Line (\d+)\.<", above) == re.findall(r">Line (\d+)\.<", page)
    assert read == list(range(450))
    assert "To the newest posts" in page
    assert (await browser.get(f"/items/{item}/posts?before=nonsense")).status_code == 404


async def test_a_picture_needs_the_signature_of_ones_own_sign_in(items: list[int], sign_in: Opener) -> None:
    mine, other = await sign_in("agent"), await sign_in("agent")
    for token, wanted in ((other.csrf, 404), ("", 404)):
        assert (await mine.get(f"/media/{signature(token, '1/0')}/1/0")).status_code == wanted
    assert (await mine.get(f"/media/{signature(mine.csrf, '1/0')}/1/0")).status_code == 404  # the post has none


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n0000", "image/png"),
        (b"RIFF0000WEBPVP8 ", "image/webp"),
        (b"<svg xmlns=", None),
        (b"<!doctype html", None),
    ],
)
def test_only_what_really_is_a_picture_counts_as_one(start: bytes, kind: str | None) -> None:
    assert sniffed(start) == kind


def test_one_hears_only_of_what_one_may_see() -> None:
    agent = Sight(7, Role.AGENT, frozenset({1}), 0.0)
    places = {10: (1, None), 11: (2, None), 12: (2, 7)}
    changes: dict[str, set[int] | None] = {"items": {10, 11, 12}, "queues": {1, 2}, "agents": {7, 8}, "feeds": {3}}
    assert permitted(changes, agent, places) == {"items": [10, 12], "queues": [1], "agents": [7]}
    assert permitted({"items": {11}}, agent, places) == {}
    assert permitted({"items": None}, agent, places) == {"items": None}
    admin = Sight(9, Role.ADMIN, frozenset({1, 2}), 0.0)
    assert permitted(changes, admin, places)["feeds"] == [3]


async def test_a_commit_is_told_to_the_streams_of_those_who_may_see_it_and_a_sign_out_ends_them(
    app: FastAPI, items: list[int], sign_in: Opener
) -> None:
    streams = {}
    for name in ("agent", "stranger"):
        browser = await sign_in(name)
        async with app.state.sessions() as session:
            agent = (await session.scalars(select(Agent).where(Agent.email == f"{name}@example.com"))).one()
        page = await browser.get("/desk")
        assert page.status_code == 200
        streams[name] = Stream(await _sign_in_id(app, agent.id), agent.id)
    hub = app.state.hub
    with hub.listening(streams["agent"]), hub.listening(streams["stranger"]):
        async with app.state.sessions.begin() as session:
            announce(session, "items", [items[0]])
        told = await asyncio.wait_for(streams["agent"].waiting.get(), 10)
        if told == '{"all":true}':  # the listener connected only now
            told = await asyncio.wait_for(streams["agent"].waiting.get(), 10)
        assert told == f'{{"items":[{items[0]}]}}'
        assert all(
            "items" not in (streams["stranger"].waiting.get_nowait() or "")
            for _ in range(streams["stranger"].waiting.qsize())
        )
        hub.stop()
        assert await asyncio.wait_for(streams["agent"].waiting.get(), 1) is None


async def _sign_in_id(app: FastAPI, agent_id: int) -> int:
    async with app.state.sessions() as session:
        found: int = (await session.scalars(select(SignIn.id).where(SignIn.agent_id == agent_id))).one()
        return found


def test_a_browser_that_reads_too_slowly_is_told_to_look_at_everything() -> None:
    stream = Stream(1, 1)
    for number in range(100):
        stream.tell({"items": [number]})
    waiting = [stream.waiting.get_nowait() for _ in range(stream.waiting.qsize())]
    assert len(waiting) < 64
    assert waiting[0] == '{"all":true}'
