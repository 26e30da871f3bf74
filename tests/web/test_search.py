"""The search page: what people wrote is text, hits lead to their posts, and what is wrong is said in words."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI

from app.flow.enter_search import enter_search
from app.flow.ingest import ingest
from app.models.feed import Feed
from app.queries.asked import parse
from app.web.marked import pieces
from tests.company import post
from tests.web.conftest import Browser, House

Opener = Callable[[str], Awaitable[Browser]]


@pytest.fixture
async def said(app: FastAPI, house: House) -> None:
    async with app.state.sessions.begin() as session:
        feed = Feed(name="Box", channel="webhook", synced_at=datetime.now(UTC))
        session.add(feed)
        await session.flush()
        await session.refresh(feed)
        await ingest(session, feed, [post(n, f"<b>Tent {n}</b> arrived <script>torn</script>.") for n in range(35)])
        while await enter_search(session):
            pass


def shown(text: str, typed: str) -> str:
    return "".join(f"[{one.text}]" if one.hit else one.text for one in pieces(text, parse(typed).terms))


@pytest.mark.parametrize(
    ("text", "typed", "marked"),
    [
        ("My TENT arrived, tents!", "tent", "My [TENT] arrived, [tent]s!"),
        ("My tents arrived", '"tent"', "My tents arrived"),
        ("Das Zelt fürs Frühjahr", "fruhjahr", "Das Zelt fürs [Frühjahr]"),
        ("テントが破れて届きました", "破れて", "テントが[破れて]届きました"),
        ("order NW-4711 is late", "nw-4711", "order [NW-4711] is late"),
        ("Straße", "strasse", "[Straße]"),
        ("one two three", '"two three"', "one [two three]"),
        ("no hit at all", "tent", "no hit at all"),
        ("never this", "-never this", "never [this]"),
        ("😡 tent", "😡", "[😡] tent"),
    ],
)
def test_what_was_looked_for_is_marked(text: str, typed: str, marked: str) -> None:
    assert shown(text, typed) == marked


def test_a_long_text_is_shown_around_its_first_hit() -> None:
    found = shown("word " * 100 + "needle " + "word " * 100, "needle")
    assert found.startswith("… word")
    assert "[needle]" in found
    assert found.endswith(" …")
    assert len(found) < 300


async def test_what_people_wrote_is_text_and_the_hit_is_marked_in_it(said: None, sign_in: Opener) -> None:
    page = (await (await sign_in("agent")).get("/search?q=torn")).text
    assert "&lt;script&gt;<mark>torn</mark>&lt;/script&gt;" in page
    assert "<script>torn" not in page
    assert re.search(r'href="/items/\d+#post-\d+"', page)


async def test_the_next_page_goes_on_where_the_first_ends(said: None, sign_in: Opener) -> None:
    browser = await sign_in("agent")
    first = (await browser.get("/search?q=tent")).text
    following = re.search(r'id="search-next" href="([^"]+)"', first)
    assert following
    second = (await browser.get(following.group(1).replace("&amp;", "&"))).text
    hits = [re.findall(r'href="/items/(\d+)#', page) for page in (first, second)]
    assert [len(one) for one in hits] == [30, 5]
    assert not set(hits[0]) & set(hits[1])


@pytest.mark.parametrize("who", ["stranger"])
async def test_a_stranger_finds_nothing(said: None, sign_in: Opener, who: str) -> None:
    page = (await (await sign_in(who)).get("/search?q=tent")).text
    assert "Nothing was found" in page
    assert "/items/" not in page


@pytest.mark.parametrize(
    "query", ["q=%22open", "q=state%3Aasleep", "q=tent&after=nonsense", "q=tent&after=2026-11-22T09:00:00~1"]
)
async def test_what_makes_no_sense_is_said_in_words(said: None, sign_in: Opener, query: str) -> None:
    answer = await (await sign_in("agent")).get(f"/search?{query}")
    assert answer.status_code in {404, 422}
    assert "<h1>" in answer.text


async def test_nothing_is_found_by_looking_for_nothing(said: None, sign_in: Opener) -> None:
    for query in ("", "?q=", "?q=%00", "?q=!!!"):
        page = await (await sign_in("agent")).get(f"/search{query}")
        assert page.status_code == 200
        assert "/items/" not in page.text
