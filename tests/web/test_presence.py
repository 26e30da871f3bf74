"""Presence in the browser: wrap-up with its countdown, the end of a shift, signs of life. All without JavaScript."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update

from app.flow.claim import claim
from app.flow.ingest import ingest
from app.models.agent import Agent, Presence, PresenceState, SignIn
from app.models.feed import Feed
from app.models.item import Item, ParkReason, State
from app.models.queue import Queue
from tests.company import post
from tests.web.conftest import Browser, House

Opener = Callable[[str], Awaitable[Browser]]


@pytest.fixture
async def item(app: FastAPI, house: House) -> int:
    """An item in the hands of the agent, in a queue with wrap-up."""
    async with app.state.sessions.begin() as session:
        feed = Feed(name="Box", channel="webhook", synced_at=datetime.now(UTC))
        session.add(feed)
        await session.execute(update(Queue).values(wrap_up=40, wrap_up_most=60))
        await session.flush()
        await session.refresh(feed)
        await ingest(session, feed, [post(1)])
        item_id: int | None = await session.scalar(select(Item.id))
        assert item_id is not None
        await claim(session, await session.get_one(Agent, house.ids["agent"]), item_id)
    return item_id


async def presence(app: FastAPI, house: House) -> Presence:
    async with app.state.sessions.begin() as session:
        found: Presence = await session.get_one(Presence, house.ids["agent"])
    return found


async def stored(app: FastAPI, item: int) -> Item:
    async with app.state.sessions.begin() as session:
        found: Item = await session.get_one(Item, item)
    return found


async def test_who_closes_an_item_sees_the_wrap_up_count_down_and_adds_to_it(
    app: FastAPI, house: House, item: int, sign_in: Opener
) -> None:
    browser = await sign_in("agent")
    await browser.send("/presence", {"state": "ready"})
    await browser.send(f"/items/{item}/closure", {"disposition": "answered"})
    page = (await browser.get("/desk")).text
    assert re.search(r'id="wrap-up"[^>]*aria-pressed="true"', page)
    assert re.search(r'data-clock="down"[^>]*>0:(40|39|38)<', page)
    before = (await presence(app, house)).wrap_until
    assert (await browser.send("/presence/extension")).status_code == 303
    now = await presence(app, house)
    assert now.wrap_until == now.wrap_latest
    assert before is not None
    assert now.wrap_until == before + timedelta(seconds=20)
    assert (await browser.send("/presence/extension")).status_code == 409
    assert "+30 s" not in (await browser.get("/desk")).text


async def test_ready_now_is_one_press_and_wrap_up_one_more(
    app: FastAPI, house: House, item: int, sign_in: Opener
) -> None:
    browser = await sign_in("agent")
    for state in (PresenceState.READY, PresenceState.WRAP_UP, PresenceState.READY):
        assert (await browser.send("/presence", {"state": state})).status_code == 303
        assert (await presence(app, house)).state == state


async def test_a_wrap_up_that_is_over_has_ended_on_the_next_page(
    app: FastAPI, house: House, item: int, sign_in: Opener
) -> None:
    browser = await sign_in("agent")
    await browser.send("/presence", {"state": "ready"})
    await browser.send("/presence", {"state": "wrap_up"})
    async with app.state.sessions.begin() as session:
        await session.execute(update(Presence).values(wrap_until=func.now() - timedelta(seconds=1)))
    page = (await browser.get("/desk?parts=me", headers={"hx-request": "true"})).text
    assert re.search(r'id="go-ready" aria-pressed="true"', page)
    assert (await presence(app, house)).state == PresenceState.READY


async def test_a_shift_with_work_in_hand_ends_with_a_question_and_one_may_stay(
    app: FastAPI, house: House, item: int, sign_in: Opener
) -> None:
    browser = await sign_in("agent")
    await browser.send("/presence", {"state": "ready"})
    asked = await browser.send("/presence", {"state": "offline"})
    assert (asked.status_code, asked.headers["location"]) == (303, "/presence/end")
    page = (await browser.get("/presence/end")).text
    assert "You hold 1 item. What becomes of it?" in page
    assert '<a class="btn" href="/desk">Stay</a>' in page
    assert (await stored(app, item)).state == State.ACTIVE
    assert (await presence(app, house)).state == PresenceState.READY


async def test_the_answer_gives_back_or_keeps(app: FastAPI, house: House, item: int, sign_in: Opener) -> None:
    browser = await sign_in("agent")
    assert (await browser.send("/presence/end", {"work": "burn"})).status_code == 422
    assert (await browser.send("/presence/end", {"work": "keep", "until": "whenever"})).status_code == 422
    assert (await browser.send("/presence/end", {"work": "keep", "until": "3h"})).headers["location"] == "/desk"
    kept = await stored(app, item)
    assert (kept.state, kept.agent_id, kept.parked_for) == (State.PARKED, house.ids["agent"], ParkReason.SNOOZE)
    assert (await presence(app, house)).state == PresenceState.OFFLINE
    await browser.send(f"/items/{item}/parking", method="DELETE")
    await browser.send("/presence/end", {"work": "give_back"})
    assert (await stored(app, item)).state == State.QUEUED


async def test_without_work_a_shift_ends_at_once(app: FastAPI, house: House, sign_in: Opener) -> None:
    browser = await sign_in("agent")
    await browser.send("/presence", {"state": "ready"})
    assert (await browser.send("/presence", {"state": "offline"})).headers["location"] == "/desk"
    assert (await presence(app, house)).state == PresenceState.OFFLINE


async def test_signing_out_with_work_in_hand_asks_the_same_and_then_signs_out(
    app: FastAPI, house: House, item: int, sign_in: Opener
) -> None:
    browser = await sign_in("agent")
    asked = await browser.send("/logout")
    assert asked.headers["location"] == "/presence/end?then=logout"
    assert "End the shift and sign out" in (await browser.get(asked.headers["location"])).text
    gone = await browser.send("/presence/end", {"work": "give_back", "then": "logout"})
    assert gone.headers["location"] == "/login"
    assert (await stored(app, item)).state == State.QUEUED
    assert (await browser.get("/desk")).status_code == 303


async def test_signing_out_of_one_of_two_browsers_ends_no_shift(
    app: FastAPI, house: House, item: int, sign_in: Opener
) -> None:
    one, two = await sign_in("agent"), await sign_in("agent")
    await one.send("/presence", {"state": "ready"})
    assert (await one.send("/logout")).headers["location"] == "/login"
    assert (await presence(app, house)).state == PresenceState.READY
    async with app.state.sessions.begin() as session:
        await session.execute(update(SignIn).values(seen_at=func.now() - timedelta(hours=1)))
    assert (await two.send("/logout")).headers["location"] == "/presence/end?then=logout"


@pytest.mark.parametrize("path", ["/desk", "/presence/alive"])
async def test_whatever_a_person_opens_is_a_sign_of_life(
    app: FastAPI, house: House, sign_in: Opener, path: str
) -> None:
    browser = await sign_in("agent")
    async with app.state.sessions.begin() as session:
        await session.execute(update(Presence).values(seen_at=func.now() - timedelta(minutes=5)))
    before = (await presence(app, house)).seen_at
    assert (await browser.get(path)).status_code in {200, 204}
    assert (await presence(app, house)).seen_at > before + timedelta(minutes=4)


async def test_an_item_is_parked_for_one_of_three_reasons(app: FastAPI, item: int, sign_in: Opener) -> None:
    browser = await sign_in("agent")
    page = (await browser.get(f"/items/{item}")).text
    assert re.findall(r'name="reason" value="(\w+)"', page.partition('id="park-menu"')[2].partition("</form>")[0]) == [
        "snooze",
        "customer",
        "expert",
    ]
    assert "7 days at most" in page
    assert (await browser.send(f"/items/{item}/parking", {"until": "1h", "reason": "boredom"})).status_code == 422
    for reason in ParkReason:
        await browser.send(f"/items/{item}/parking", {"until": "1h", "reason": reason})
        parked = await stored(app, item)
        assert (parked.state, parked.parked_for, parked.closes_at) == (State.PARKED, reason, None)
        await browser.send(f"/items/{item}/parking", method="DELETE")


async def test_where_the_queue_closes_by_itself_the_customer_is_waited_for_without_a_time(
    app: FastAPI, item: int, sign_in: Opener
) -> None:
    async with app.state.sessions.begin() as session:
        await session.execute(update(Queue).values(park_close_after=3 * 86_400))
    browser = await sign_in("agent")
    assert "closes after 3 d 00 h" in (await browser.get(f"/items/{item}")).text
    await browser.send(f"/items/{item}/parking", {"until": "customer"})
    parked = await stored(app, item)
    assert (parked.parked_for, parked.closes_at) == (ParkReason.CUSTOMER, parked.parked_until)
    assert "closes by itself" in (await browser.get(f"/items/{item}")).text


async def test_a_queue_s_hours_are_typed_and_stand_in_the_form_as_they_are_read(
    app: FastAPI, house: House, sign_in: Opener
) -> None:
    browser = await sign_in("admin")
    typed = {"name": "Billing", "team_id": house.care, "boosts": ["9", "5", "0", "-5", "-9"], "active": "on"}
    where = f"/admin/queues/{house.billing}"
    seen = re.search(r'name="seen" value="(\w+)"', (await browser.get(where)).text)
    assert seen
    wrong = await browser.send(where, {**typed, "seen": seen[1], "hours": "Mon-Fri 9-17; Caturday 9-12"}, "PUT")
    assert wrong.status_code == 422
    assert "&#39;Caturday&#39; is not a day of the week" in wrong.text
    assert 'value="Mon-Fri 9-17; Caturday 9-12"' in wrong.text
    fine = {**typed, "seen": seen[1], "hours": "mon-fri 9-17", "holidays": "2027-05-01\r\n2027-01-01"}
    assert (await browser.send(where, {**fine, "closed_reply": "Closed.\r\nBye."}, "PUT")).status_code == 303
    page = (await browser.get(where)).text
    assert 'value="Mon-Fri 09:00-17:00"' in page
    assert "2027-01-01\n2027-05-01" in page
    assert "Closed.\nBye." in page


async def test_the_menu_has_the_admin_s_reasons_as_written_and_the_known_ones_in_the_reader_s_words(
    app: FastAPI, house: House, sign_in: Opener
) -> None:
    admin, agent = await sign_in("admin"), await sign_in("agent")
    await admin.send("/admin/reasons", {"name": "Coaching <b>"})
    page = (await agent.get("/desk")).text
    menu = re.findall(r'value="not_ready:([^"]+)".*?<span dir="auto">(.*?)</span>', page)
    assert menu == [
        ("break", "Break"),
        ("lunch", "Lunch"),
        ("training", "Training"),
        ("technical", "Technical problem"),
        ("Coaching &lt;b&gt;", "Coaching &lt;b&gt;"),
    ]
    await agent.send("/presence", {"state": "not_ready:Coaching <b>"})
    assert (await presence(app, house)).reason == "Coaching <b>"
    assert '<span class="reason" dir="auto">Coaching &lt;b&gt;</span>' in (await agent.get("/desk")).text
    assert "Coaching &lt;b&gt;" in (await (await sign_in("supervisor")).get("/board")).text


@pytest.mark.parametrize("state", ["not_ready", "not_ready:missed", "not_ready:nonsense"])
async def test_nobody_is_away_for_a_reason_that_is_none_of_the_admin_s(
    app: FastAPI, house: House, sign_in: Opener, state: str
) -> None:
    agent = await sign_in("agent")
    await agent.send("/presence", {"state": "ready"})
    assert (await agent.send("/presence", {"state": state})).status_code == 422
    assert (await presence(app, house)).state == PresenceState.READY
