"""The shell around every page: headers, errors in words, one transaction a request, files that are kept for ever."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, text

from app.errors import Conflict
from app.models.agent import Team
from app.web.edge import Db, Me
from app.web.login import own_path
from tests.web.conftest import HOST, Browser

SignIn = Callable[[str], Awaitable[Browser]]


async def test_every_page_has_a_nonce_of_its_own_and_allows_nothing_inline(sign_in: SignIn) -> None:
    browser = await sign_in("agent")
    nonces = set()
    for path in ("/desk", "/desk", "/login", "/nowhere"):
        answer = await browser.get(path)
        policy = answer.headers["content-security-policy"]
        nonce = re.search(r"'nonce-([^']+)'", policy)
        assert nonce
        nonces.add(nonce.group(1))
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=", answer.text)
        assert set(re.findall(r"nonce=\"([^\"]*)\"", answer.text)) == {nonce.group(1)}
    assert len(nonces) == 4


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("GET", "/items/abc", 404), ("PUT", "/login", 405), ("GET", "/items/999999", 404)],
)
async def test_an_error_says_what_to_do_as_a_page_as_a_message_and_as_json(
    sign_in: SignIn, method: str, path: str, status: int
) -> None:
    browser = await sign_in("agent")
    page = await browser.http.request(method, path)
    beside = await browser.http.request(method, path, headers={"HX-Request": "true"})
    told = await browser.http.request(method, path, headers={"Accept": "application/json"})
    assert [one.status_code for one in (page, beside, told)] == [status] * 3
    assert 'role="alert"' in page.text
    assert "To the desk" in page.text
    assert '<hx-partial hx-target="#toasts"' in beside.text
    assert beside.headers["hx-push-url"] == "false"
    assert told.json()["error"]["message"]


async def test_a_bug_is_told_plainly_and_shows_nothing_of_the_inside(app: FastAPI, sign_in: SignIn) -> None:
    @app.get("/bug")
    async def bug(me: Me) -> None:
        raise RuntimeError("secret detail of " + me.email)

    browser = await sign_in("agent")
    browser.http._transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    answer = await browser.get("/bug")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Careline made a mistake" in answer.text


async def test_a_body_beyond_the_limit_is_refused_in_words_while_it_streams_in(app: FastAPI, sign_in: SignIn) -> None:
    browser = await sign_in("agent")

    async def endless() -> Any:
        for _ in range(10_000):
            yield b"text=" + b"x" * 100_000

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await browser.http.post("/items/1/notes", content=endless(), headers=form)
    assert answer.status_code == 413
    assert "more than Careline takes" in answer.text


async def test_what_a_handler_wrote_is_committed_before_its_answer_leaves_and_gone_when_it_fails(
    app: FastAPI, sign_in: SignIn
) -> None:
    @app.post("/teams/{name}")
    async def make(db: Db, me: Me, name: str) -> dict[str, bool]:
        db.add(Team(name=name))
        await db.flush()
        if name == "bad":
            raise Conflict("Somebody was first.")
        return {"ok": True}

    browser = await sign_in("agent")
    seen: list[str] = []
    send = httpx.ASGITransport(app)

    async def look_when_the_answer_starts(scope: Any, receive: Any, forward: Any) -> None:
        async def watched(message: Any) -> None:
            if message["type"] == "http.response.start":
                async with app.state.sessions() as other:
                    seen.extend(await other.scalars(select(Team.name).where(Team.name.in_(["good", "bad"]))))
            await forward(message)

        await app(scope, receive, watched)

    send.app = look_when_the_answer_starts
    browser.http._transport = send
    assert (await browser.send("/teams/good")).status_code == 200
    assert seen == ["good"]
    assert (await browser.send("/teams/bad")).status_code == 409
    assert seen == ["good", "good"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_a_change_asked_for_by_another_site_is_refused(sign_in: SignIn, headers: dict[str, str]) -> None:
    browser = await sign_in("agent")
    answer = await browser.http.post("/preferences", data={"theme": "dark", "csrf": browser.csrf}, headers=headers)
    assert answer.status_code == 403
    assert (
        await browser.http.post("/login", data={"email": "a@b.c", "password": "x"}, headers=headers)
    ).status_code == 403


async def test_a_change_needs_the_token_of_this_very_sign_in(sign_in: SignIn) -> None:
    browser, other = await sign_in("agent"), await sign_in("agent")
    for token in ("", other.csrf):
        assert (await browser.http.post("/preferences", data={"theme": "dark", "csrf": token})).status_code == 403
    by_header = await browser.http.post("/preferences", data={"theme": "dark"}, headers={"X-CSRF": browser.csrf})
    assert by_header.status_code == 303
    assert 'data-theme="dark"' in (await browser.get("/desk")).text


async def test_static_files_are_kept_for_ever_under_an_address_of_their_content(sign_in: SignIn) -> None:
    browser = await sign_in("")
    page = (await browser.get("/login")).text
    address = re.search(r'/static/[^"]+\.css', page)
    assert address
    answer = await browser.get(address.group())
    assert "immutable" in answer.headers["cache-control"]
    old = re.sub(r"/static/\w+/", "/static/000000000000/", address.group())
    assert (await browser.get(old)).headers["cache-control"] == "no-cache"
    assert (await browser.get("/static/x/../../app/settings.py")).status_code == 404
    assert (await browser.get("/static/x/..%2f..%2fapp/settings.py")).status_code == 404


async def test_readiness_means_a_database_with_todays_schema(app: FastAPI) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HOST) as http:
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/readyz")).json()["status"] == "ready"
        async with app.state.sessions.begin() as session:
            await session.execute(text("UPDATE alembic_version SET version_num = '0001_main_road'"))
        answer = await http.get("/readyz")
        assert answer.status_code == 503
        assert "careline migrate" in answer.json()["problem"]
        assert "careline_" in (await http.get("/metrics")).text


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil",
        "javascript:alert(1)",
        "/a\n/b",
        "desk",
        "",
    ],
)
def test_next_leads_nowhere_but_to_our_own_paths(target: str) -> None:
    assert own_path(target) == "/desk"
    assert own_path("/items/7?list=q3") == "/items/7?list=q3"
