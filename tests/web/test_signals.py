"""What was heard in posts, as agents see it."""

from collections.abc import Awaitable, Callable

import pytest
from fastapi import FastAPI
from sqlalchemy import select, text

from app.connectors.base import IncomingAuthor
from app.flow.draft import load_draft, save_draft
from app.flow.enter_search import enter_search
from app.flow.ingest import ingest
from app.flow.plea import plea_in
from app.flow.rehear import rehear
from app.models.agent import Agent
from app.models.feed import Feed
from app.models.item import Item
from app.models.signal import Signal
from tests.company import NOW, post
from tests.web.conftest import Browser, House

Opener = Callable[[str], Awaitable[Browser]]
ANGRY = "Third week without an answer and your site is down!! What a disgrace 😡"


@pytest.fixture
async def feed(app: FastAPI, house: House) -> Feed:
    """A channel on which many can read what is posted."""
    async with app.state.sessions.begin() as session:
        made = Feed(name="Box", channel="webhook", synced_at=NOW)
        session.add(made)
        await session.flush()
        await session.refresh(made)
    return made


async def opened(app: FastAPI, feed: Feed, *said: str) -> list[int]:
    """Items about these posts, each by an author with a thousand followers."""
    async with app.state.sessions.begin() as session:
        by = [IncomingAuthor(f"who-{n}", handle=f"who-{n}", name=f"Who {n}", followers=1000) for n in range(len(said))]
        await ingest(session, feed, [post(n, words, author=by[n]) for n, words in enumerate(said)])
        return list(await session.scalars(select(Item.id).order_by(Item.id)))


async def test_an_item_shows_what_was_heard_and_by_which_words(app: FastAPI, feed: Feed, sign_in: Opener) -> None:
    item_id = (await opened(app, feed, ANGRY))[0]
    page = (await (await sign_in("agent")).get(f"/items/{item_id}")).text
    heard = page.partition('id="ctx-heard"')[2].partition("</section>")[0]
    for words in ("Outage", "“site is down”", "Furious", "Complaint", "English"):
        assert words in heard


async def test_an_item_shows_how_many_said_the_same_and_to_how_many_people(
    app: FastAPI, feed: Feed, sign_in: Opener
) -> None:
    item_id = (await opened(app, feed, ANGRY, f"RT {ANGRY}", ANGRY.upper()))[0]
    page = (await (await sign_in("agent")).get(f"/items/{item_id}")).text
    assert "3 posts say the same, to 3,000 followers" in page


CARD = "My card 4111 1111 1111 1111 was charged twice, call me on +49 30 1234567"


async def test_a_public_card_number_is_masked_until_one_holds_the_item(
    app: FastAPI, feed: Feed, sign_in: Opener
) -> None:
    item_id = (await opened(app, feed, CARD))[0]
    agent, supervisor = await sign_in("agent"), await sign_in("supervisor")
    before = (await agent.get(f"/items/{item_id}")).text
    assert "•••• •••• •••• 1111" in before
    assert "4111 1111" not in before
    assert "It is masked until you hold the item." in before
    assert "4111 1111 1111 1111" in (await supervisor.get(f"/items/{item_id}")).text
    await agent.send(f"/items/{item_id}/assignment")
    held = (await agent.get(f"/items/{item_id}")).text
    assert "4111 1111 1111 1111" in held
    assert "Everybody can read a card number and a phone number in this post." in held


async def test_lists_and_the_search_show_nobodys_personal_data(app: FastAPI, feed: Feed, sign_in: Opener) -> None:
    await opened(app, feed, CARD)
    async with app.state.sessions.begin() as session:
        await enter_search(session)
    admin = await sign_in("admin")
    for path in ("/desk/all", "/search?q=charged"):
        page = (await admin.get(path)).text
        assert "was charged" in page or "charged</mark>" in page
        assert "4111 1111" not in page


async def test_a_plea_stands_in_the_draft_in_the_authors_language_before_what_was_written(
    app: FastAPI, feed: Feed, sign_in: Opener, house: House
) -> None:
    item_id = (await opened(app, feed, f"Meine Karte {CARD[8:28]} wurde doppelt belastet, bitte meldet euch"))[0]
    agent = await sign_in("agent")
    assert (await agent.send(f"/items/{item_id}/plea")).status_code == 409  # not theirs yet
    await agent.send(f"/items/{item_id}/assignment")
    async with app.state.sessions.begin() as session:
        me = await session.get_one(Agent, house.ids["agent"])
        begun = await save_draft(session, me, item_id, "Hallo!", "public")
    assert (await agent.send(f"/items/{item_id}/plea")).status_code == 303
    assert (await agent.send(f"/items/{item_id}/plea")).status_code == 303  # once is enough
    async with app.state.sessions.begin() as session:
        draft = await load_draft(session, me, item_id)
        assert draft is not None
        assert draft.text == f"{plea_in('de')}\n\nHallo!"
        assert draft.key != begun.key


async def test_lists_show_what_is_urgent_and_can_be_narrowed_to_it(app: FastAPI, feed: Feed, sign_in: Opener) -> None:
    await opened(app, feed, ANGRY, "Do you ship to Spain?")
    agent = await sign_in("agent")
    everything = (await agent.get("/desk/all")).text
    assert "Outage</b>" in everything
    assert "<span>Furious</span>" in everything
    for asked in ("urgent=outage", "upset=2", "intent=complaint"):
        narrowed = (await agent.get(f"/desk/all?{asked}")).text
        assert "disgrace" in narrowed
        assert "Spain" not in narrowed
    assert (await agent.get("/desk/all?urgent=nonsense")).status_code == 422


@pytest.mark.parametrize(
    "asked", ["urgent:outage", "upset:3", "intent:complaint", "lang:en -noise:any disgrace", "-copy:any -intent:buy"]
)
async def test_the_search_finds_by_what_was_heard(app: FastAPI, feed: Feed, sign_in: Opener, asked: str) -> None:
    await opened(app, feed, ANGRY, "Any resellers in Missouri?", f"RT {ANGRY}")
    async with app.state.sessions.begin() as session:
        await enter_search(session)
    page = (await (await sign_in("agent")).get("/search", params={"q": asked})).text
    assert "disgrace" in page
    assert "Missouri" not in page.partition('class="search-help"')[0].partition('class="hits"')[2]


async def test_an_admin_tells_of_namesakes_and_order_numbers_and_sees_posts_gone_over(
    app: FastAPI, feed: Feed, sign_in: Opener
) -> None:
    await opened(app, feed, "The rock band Northwind plays tonight", "My order NW-123456 is late")
    admin = await sign_in("admin")
    page = (await admin.get("/admin/listening")).text
    seen = page.partition('name="seen" value="')[2].partition('"')[0]
    told = {"namesakes": "rock band", "order_pattern": r"NW-\d{6}", "seen": seen}
    assert (await admin.send("/admin/listening", {**told, "order_pattern": "("}, "PUT")).status_code == 422
    assert (await admin.send("/admin/listening", {**told, "order_pattern": "x*"}, "PUT")).status_code == 422
    assert (await admin.send("/admin/listening", told, "PUT")).status_code == 303
    assert (await admin.send("/admin/listening", {**told, "namesakes": "ship"}, "PUT")).status_code == 409
    async with app.state.sessions.begin() as session:
        await session.execute(text("UPDATE post SET received_at = received_at - interval '1 hour'"))
    assert "0 % of the posts" in (await admin.get("/admin/listening")).text
    async with app.state.sessions.begin() as session:
        await rehear(session)
        found = list(await session.scalars(select(Signal.noise).order_by(Signal.post_id)))
    assert found == ["namesake", ""]
    assert "All posts have been listened to" in (await admin.get("/admin/listening")).text
    assert "NW-123456" not in (await admin.get("/desk/all")).text


async def test_only_an_admin_sees_what_the_company_tells_of_itself(app: FastAPI, sign_in: Opener) -> None:
    assert (await (await sign_in("supervisor")).get("/admin/listening")).status_code == 403
