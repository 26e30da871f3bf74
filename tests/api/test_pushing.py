"""POST /feeds/{id}/posts: posts of a program, each with its own result, however often they are brought."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.api.program import create_api
from app.models.feed import Feed, Quarantine
from app.models.item import Item
from app.models.post import Post

Program = Callable[..., Awaitable[httpx.AsyncClient]]
Sessions = async_sessionmaker[AsyncSession]


def entry(number: int, **more: Any) -> dict[str, Any]:
    return {"id": str(number), "text": "My tent leaks.", "author": {"id": f"u-{number}", "name": "Maya"}, **more}


async def test_each_entry_has_its_result_and_a_repeat_changes_nothing(
    feed_id: int, program: Program, sessions: Sessions
) -> None:
    admin = await program("admin")
    body = {"posts": [entry(2), entry(1), entry(1), {"id": "3", "text": "Whose?"}, "what?"]}

    first = (await admin.post(f"/feeds/{feed_id}/posts", json=body)).json()
    again = (await admin.post(f"/feeds/{feed_id}/posts", json=body)).json()

    assert [(one["id"], one["outcome"]) for one in first["results"]] == [
        ("2", "new"),
        ("1", "new"),
        ("1", "known"),
        ("3", "rejected"),
        ("", "rejected"),
    ]
    assert first["results"][3]["reason"] == "author: Field required"
    assert first["counts"] == {"new": 2, "known": 1, "rejected": 2}
    assert again["counts"] == {"known": 3, "rejected": 2}
    async with sessions() as session:
        assert list(await session.scalars(select(Item.state))) == ["queued", "queued"]
        assert list(await session.scalars(select(Post.external_id).order_by(Post.external_id))) == ["shop:1", "shop:2"]
        assert await session.scalar(select(func.count()).select_from(Quarantine)) == 0


async def test_history_asks_nobody_to_answer(feed_id: int, program: Program, sessions: Sessions) -> None:
    admin = await program("admin")

    await admin.post(f"/feeds/{feed_id}/posts", json={"posts": [entry(1)], "history": True})

    async with sessions() as session:
        assert [tuple(row) for row in await session.execute(select(Item.state, Item.disposition))] == [
            ("closed", "backlog")
        ]


async def test_changes_and_what_the_rules_of_the_house_leave_out_are_told(feed_id: int, program: Program) -> None:
    admin = await program("admin")
    await admin.put(f"/feeds/{feed_id}/house", json={"unwanted": ["raffle"]})

    answer = await admin.post(
        f"/feeds/{feed_id}/posts",
        json={"posts": [entry(1), entry(2, text="Win our raffle!"), {"type": "post.edited", "id": "1", "text": "x"}]},
    )

    assert [one["outcome"] for one in answer.json()["results"]] == ["new", "left_out", "changed"]


async def test_only_an_admins_token_that_may_write_brings_posts(feed_id: int, program: Program) -> None:
    agent, reading = await program("agent"), await program("admin", writes=False)

    for who in (agent, reading):
        assert (await who.post(f"/feeds/{feed_id}/posts", json={"posts": [entry(1)]})).status_code == 403


async def test_what_cannot_take_posts_says_so(feed_id: int, program: Program, sessions: Sessions, app: FastAPI) -> None:
    admin = await program("admin")
    path, body = f"/feeds/{feed_id}/posts", {"posts": [entry(1)]}

    assert (await admin.post("/feeds/999/posts", json=body)).status_code == 404
    assert (await admin.post(path, json={"posts": [entry(n) for n in range(501)]})).status_code == 422
    assert (await admin.post(path, json={"posts": []})).status_code == 422
    assert (await admin.post(path, json={"posts": [entry(1, text="x" * 3_000_000)]})).status_code == 413
    async with sessions.begin() as session:
        await session.execute(update(Feed).values(enabled=False))
    assert (await admin.post(path, json=body)).status_code == 409
    async with sessions.begin() as session:
        await session.execute(update(Feed).values(enabled=True, channel="rss"))
    off = await admin.post(path, json=body)
    assert (off.status_code, "brings its posts by itself" in off.json()["detail"]) == (409, True)


def test_the_description_tells_programs_what_a_post_is(app: FastAPI) -> None:
    described = create_api(app.state).openapi()["components"]["schemas"]

    assert {"PostIn", "ChangeIn", "AuthorIn"} <= described.keys()
    assert described["PushAsked"]["properties"]["posts"]["maxItems"] == 500
