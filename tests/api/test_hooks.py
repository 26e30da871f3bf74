"""POST /hooks/{key}: what a channel pushes, once."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.api import hooks
from app.connectors.signing import sign
from app.flow.hook import hook_of
from app.models.feed import Delivery, Feed, Quarantine
from app.models.item import Item
from app.models.post import Post
from tests.api.conftest import SECRET
from tests.web.conftest import HOST

Sessions = async_sessionmaker[AsyncSession]
GOOD = {"id": "1", "text": "My tent arrived torn.", "author": {"id": "lena"}}


async def _send(
    app: FastAPI, feed_id: int, content: Any, event: str = "evt-1", *, secret: str = SECRET, late: int = 0
) -> httpx.Response:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    headers = sign(secret, event, datetime.now(UTC) - timedelta(seconds=late), body)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HOST) as http:
        return await http.post(await _address(app, feed_id), content=body, headers=headers)


async def _address(app: FastAPI, feed_id: int) -> str:
    async with app.state.sessions.begin() as session:
        feed = await session.get(Feed, feed_id)
        return f"/hooks/{await hook_of(session, feed) if feed else 'nowhere'}"


async def _count(sessions: Sessions, table: type[Post | Item | Delivery | Quarantine]) -> int:
    async with sessions() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def test_a_signed_delivery_becomes_an_item(app: FastAPI, feed_id: int, sessions: Sessions) -> None:
    answer = await _send(app, feed_id, GOOD)

    assert answer.status_code == 200
    assert answer.json() == {"accepted": 1, "new": 1, "repeated": False, "rejected": []}
    assert await _count(sessions, Item) == 1
    async with sessions() as session:
        feed = await session.get_one(Feed, feed_id)
    assert (feed.health, feed.ok_at is not None, feed.post_at is not None) == ("ok", True, True)


async def test_a_repeat_is_taken_politely_and_changes_nothing(app: FastAPI, feed_id: int, sessions: Sessions) -> None:
    await _send(app, feed_id, GOOD)

    again = await _send(app, feed_id, GOOD)

    assert (again.status_code, again.json()["repeated"]) == (200, True)
    assert await _count(sessions, Post) == 1


async def test_the_same_delivery_many_times_at_once_is_stored_once(
    app: FastAPI, feed_id: int, sessions: Sessions
) -> None:
    answers = await asyncio.gather(*(_send(app, feed_id, GOOD) for _ in range(6)))

    assert {answer.status_code for answer in answers} == {200}
    assert sorted(answer.json()["repeated"] for answer in answers) == [False, True, True, True, True, True]
    assert (await _count(sessions, Post), await _count(sessions, Delivery)) == (1, 1)


async def test_one_bad_entry_is_told_and_set_aside_and_the_others_are_taken(
    app: FastAPI, feed_id: int, sessions: Sessions
) -> None:
    bad = {"id": "2", "text": "No author."}

    answer = await _send(app, feed_id, {"posts": [GOOD, bad]})

    assert answer.status_code == 200
    told = answer.json()
    assert (told["accepted"], told["rejected"][0]["id"]) == (1, "shop:2")
    assert "author" in told["rejected"][0]["reason"]
    assert await _count(sessions, Quarantine) == 1


async def test_a_delivery_of_which_nothing_can_be_read_may_be_corrected_under_its_id(
    app: FastAPI, feed_id: int, sessions: Sessions
) -> None:
    refused = await _send(app, feed_id, {"id": "1", "text": "No author."})
    corrected = await _send(app, feed_id, GOOD)

    assert (refused.status_code, corrected.status_code) == (422, 200)
    assert corrected.json()["new"] == 1


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"\xff\xfe", b'"x"'])
async def test_what_is_no_delivery_is_422(app: FastAPI, feed_id: int, sessions: Sessions, body: bytes) -> None:
    answer = await _send(app, feed_id, body)

    assert answer.status_code == 422
    assert answer.json()["error"]["message"]
    assert await _count(sessions, Post) == 0


async def test_a_wrong_or_old_signature_is_401_and_nothing_is_stored(
    app: FastAPI, feed_id: int, sessions: Sessions
) -> None:
    other = "whsec_b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVyb3Q="

    assert (await _send(app, feed_id, GOOD, secret=other)).status_code == 401
    assert (await _send(app, feed_id, GOOD, late=3600)).status_code == 401
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HOST) as http:
        assert (await http.post(await _address(app, feed_id), json=GOOD)).status_code == 401
    assert await _count(sessions, Post) == 0


async def test_a_body_of_ten_megabytes_is_413(app: FastAPI, feed_id: int) -> None:
    assert (await _send(app, feed_id, b"x" * 10_000_000)).status_code == 413


async def test_more_at_once_than_there_are_places_is_429(
    app: FastAPI, feed_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "AT_ONCE", 0)

    answer = await _send(app, feed_id, GOOD)

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")


async def test_an_unknown_feed_is_404_and_one_that_is_off_asks_to_come_again(
    app: FastAPI, feed_id: int, sessions: Sessions
) -> None:
    assert (await _send(app, 999, GOOD)).status_code == 404
    async with sessions.begin() as session:
        await session.execute(update(Feed).values(enabled=False))
    off = await _send(app, feed_id, GOOD)
    assert (off.status_code, off.headers["retry-after"]) == (503, "300")
