"""Profile and settings: each section saves itself, and every page shows what was chosen."""

from collections.abc import Awaitable, Callable

import httpx
from fastapi import FastAPI
from sqlalchemy import func, select, update

from app.flow.preferences import Density, Motion, Theme, preferences
from app.models.agent import Agent, SignIn
from tests.web.conftest import PASSWORD, Browser, House

Opener = Callable[[str], Awaitable[Browser]]


async def stored(app: FastAPI, house: House) -> Agent:
    async with app.state.sessions() as session:
        found: Agent = (await session.scalars(select(Agent).where(Agent.id == house.ids["agent"]))).one()
        return found


async def save(browser: Browser, section: str, **fields: str) -> httpx.Response:
    return await browser.send(f"/me/{section}", fields, "PUT")


async def test_a_section_saves_its_own_preferences_and_leaves_the_others(
    app: FastAPI, house: House, sign_in: Opener
) -> None:
    browser = await sign_in("agent")
    await save(browser, "look", theme="dark", density="compact", motion="reduced")
    await save(browser, "profile", name="Finn", language="en", timezone="Asia/Tokyo")
    kept = preferences(await stored(app, house))
    assert (kept.theme, kept.density, kept.motion) == (Theme.DARK, Density.COMPACT, Motion.REDUCED)
    assert (kept.name, kept.timezone) == ("Finn", "Asia/Tokyo")


async def test_every_page_is_drawn_as_its_reader_likes_it(sign_in: Opener) -> None:
    browser = await sign_in("agent")
    await save(browser, "look", theme="dark", density="compact", motion="reduced")
    await save(browser, "profile", name="Finn", language="ar", timezone="UTC")
    head = (await browser.get("/desk")).text.partition("<head>")[0]
    for told in ('lang="ar"', 'dir="rtl"', 'data-theme="dark"', 'data-density="compact"', 'data-motion="reduced"'):
        assert told in head


async def test_a_field_that_is_not_acceptable_says_so_beside_it_and_nothing_is_saved(
    app: FastAPI, house: House, sign_in: Opener
) -> None:
    browser = await sign_in("agent")
    answer = await save(browser, "profile", name="Finn", language="tlh", timezone="Mars/Olympus")
    assert answer.status_code == 422
    assert answer.text.count('aria-invalid="true"') == 2
    assert (await stored(app, house)).name == "Agent"


async def test_what_is_stored_and_makes_no_sense_any_more_counts_as_not_set(
    app: FastAPI, house: House, sign_in: Opener
) -> None:
    odd = {"density": "roomy", "of a later version": 7, "sound": True}
    async with app.state.sessions.begin() as session:
        await session.execute(
            update(Agent).where(Agent.id == house.ids["agent"]).values(preferences=odd, language="tlh")
        )
    read = preferences(await stored(app, house))
    assert (read.density, read.language, read.sound) == (Density.COMFORTABLE, "en", True)
    assert (await (await sign_in("agent")).get("/me")).status_code == 200


async def test_a_new_password_asks_for_the_old_one_and_ends_the_other_sign_ins(
    app: FastAPI, house: House, sign_in: Opener
) -> None:
    here, _elsewhere = await sign_in("agent"), await sign_in("agent")
    refused = await here.send("/me/password", {"old": "a wrong one", "new": "a better one"})
    assert refused.status_code == 422
    short = await here.send("/me/password", {"old": PASSWORD, "new": "short"})
    assert short.status_code == 422
    done = await here.send("/me/password", {"old": PASSWORD, "new": "a better one"})
    assert done.status_code == 303
    async with app.state.sessions() as session:
        left = await session.scalar(select(func.count()).where(SignIn.agent_id == house.ids["agent"]))
    assert left == 1
    assert (await here.get("/me")).status_code == 200


async def test_wrong_passwords_are_counted_like_failed_sign_ins(sign_in: Opener) -> None:
    browser = await sign_in("agent")
    answers = [await browser.send("/me/password", {"old": "wrong", "new": "a better one"}) for _try in range(6)]
    assert [answer.status_code for answer in answers] == [422] * 5 + [429]
