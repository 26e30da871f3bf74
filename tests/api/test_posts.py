"""/api/v1/posts/{id}/hiding: a program has a post hidden and shown again, as far as its agent may."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.models.feed import Feed
from app.models.item import Item
from app.models.post import Post

Program = Callable[..., Awaitable[httpx.AsyncClient]]
Sessions = async_sessionmaker[AsyncSession]


@pytest.fixture
async def post_id(item_id: int, sessions: Sessions) -> int:
    """The item's post, as a comment on a Page."""
    async with sessions.begin() as session:
        found = await session.scalar(select(Item.post_id).where(Item.id == item_id))
        assert found is not None
        await session.execute(update(Feed).values(channel="facebook"))
        await session.execute(update(Item).where(Item.id == item_id).values(channel="facebook"))
        await session.execute(
            update(Post).where(Post.id == found).values(channel="facebook", ref={"id": "1", "hide": True})
        )
        return found


async def test_a_program_has_a_post_hidden_and_shown_again(program: Program, item_id: int, post_id: int) -> None:
    agent = await program("agent")
    assert (await agent.post(f"/posts/{post_id}/hiding")).status_code == 409  # nobody holds it
    assert (await agent.post(f"/items/{item_id}/assignment")).status_code == 201
    asked = await agent.post(f"/posts/{post_id}/hiding")
    assert asked.status_code == 202
    assert asked.json() == {"post_id": post_id, "hidden": False, "wanted": True, "trouble": ""}
    assert (await agent.delete(f"/posts/{post_id}/hiding")).json()["wanted"] is False


async def test_what_is_not_for_its_eyes_is_not_there(program: Program, post_id: int) -> None:
    stranger = await program("stranger")
    assert (await stranger.post(f"/posts/{post_id}/hiding")).status_code == 404
    assert (await stranger.post("/posts/999999/hiding")).status_code == 404
