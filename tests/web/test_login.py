"""Signing in: who gets in, who does not, and what they are told."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update

from app.models.agent import Agent, SignIn, Throttle
from app.settings import Settings
from app.web.edge import cookie_name, digest
from tests.web.conftest import PASSWORD, Browser

Opener = Callable[[str], Awaitable[Browser]]


async def enter(browser: Browser, email: str, password: str = PASSWORD, **more: str) -> int:
    return (await browser.http.post("/login", data={"email": email, "password": password, **more})).status_code


async def test_the_cookie_is_for_this_host_alone_and_the_database_keeps_only_its_digest(
    app: FastAPI, sign_in: Opener
) -> None:
    browser = await sign_in("")
    answer = await browser.http.post("/login", data={"email": "AGENT@example.com ", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie
    async with app.state.sessions() as session:
        kept = await session.scalar(select(SignIn.digest))
    assert kept == digest(answer.cookies["careline"])
    assert cookie_name(Settings(public_url="https://care.example.com")) == "__Host-careline"


async def test_whether_an_email_exists_is_told_neither_in_words_nor_in_status(sign_in: Opener) -> None:
    browser = await sign_in("")
    wrong = await browser.http.post("/login", data={"email": "agent@example.com", "password": "wrong password"})
    nobody = await browser.http.post("/login", data={"email": "nobody@example.com", "password": "wrong password"})
    assert wrong.status_code == nobody.status_code == 401
    problem = "The email or the password is not right"
    assert problem in wrong.text
    assert problem in nobody.text


async def test_after_five_failures_an_email_has_to_wait_even_with_the_right_password(
    app: FastAPI, sign_in: Opener
) -> None:
    browser = await sign_in("")
    assert [await enter(browser, "agent@example.com", "wrong one") for _ in range(5)] == [401] * 5
    answer = await browser.http.post("/login", data={"email": "agent@example.com", "password": PASSWORD})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 60
    assert await enter(browser, "supervisor@example.com") == 303
    async with app.state.sessions.begin() as session:
        past = func.now() - timedelta(minutes=1)
        await session.execute(update(Throttle).values(blocked_until=past))
    assert await enter(browser, "agent@example.com") == 303


async def test_an_inactive_account_is_refused_and_its_open_sign_ins_end(app: FastAPI, sign_in: Opener) -> None:
    browser = await sign_in("agent")
    async with app.state.sessions.begin() as session:
        await session.execute(update(Agent).where(Agent.email == "agent@example.com").values(active=False))
    assert (await browser.get("/desk")).headers["location"] == "/login?next=/desk"
    assert await enter(browser, "agent@example.com") == 401


async def test_signing_out_ends_the_sign_in_not_only_the_cookie(sign_in: Opener) -> None:
    browser = await sign_in("agent")
    cookies = dict(browser.http.cookies)
    assert (await browser.send("/logout")).status_code == 303
    browser.http.cookies.update(cookies)
    assert (await browser.get("/desk")).status_code == 303


async def test_a_sign_in_ends_when_its_time_is_over(app: FastAPI, sign_in: Opener) -> None:
    browser = await sign_in("agent")
    async with app.state.sessions.begin() as session:
        await session.execute(update(SignIn).values(expires_at=func.now() - timedelta(seconds=1)))
    assert (await browser.get("/desk")).status_code == 303
    program = await browser.get("/desk", headers={"Accept": "application/json"})
    assert program.status_code == 401
    beside = await browser.get("/desk", headers={"HX-Request": "true"})
    assert (beside.status_code, beside.headers["hx-reswap"], beside.text) == (401, "none", "")  # the page stays


async def test_after_signing_in_one_goes_on_to_where_one_was_going(sign_in: Opener) -> None:
    browser = await sign_in("")
    form = {"email": "agent@example.com", "password": PASSWORD}
    assert (await browser.http.post("/login", data={**form, "next": "/items/7"})).headers["location"] == "/items/7"
    assert (await browser.http.post("/login", data={**form, "next": "//evil.example"})).headers["location"] == "/desk"


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("fr;q=0.9, ar;q=0.8", "ar"),
        ("en;q=0.5, ja", "ja"),
        ("tlh", "en"),
        ("", "en"),
        ("*;q=x,,;", "en"),
        ("es;q=0", "en"),
    ],
)
async def test_a_stranger_reads_the_language_that_their_browser_asks_for(
    sign_in: Opener, asked: str, spoken: str
) -> None:
    page = await (await sign_in("")).get("/login", headers={"Accept-Language": asked})
    assert f'<html lang="{spoken}"' in page.text
