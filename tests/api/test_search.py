"""/api/v1/search: what a program finds is what its agent may see."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.flow.enter_search import enter_search

Program = Callable[..., Awaitable[httpx.AsyncClient]]


async def test_a_program_finds_what_its_agent_may_see(
    program: Program, item_id: int, sessions: async_sessionmaker[AsyncSession]
) -> None:
    async with sessions.begin() as session:
        await enter_search(session)
    found = (await (await program("agent", writes=False)).get("/search", params={"q": "torn tent"})).json()
    assert "data" in found, found
    assert [(hit["kind"], hit["item_id"], hit["text"]) for hit in found["data"]] == [
        ("post", item_id, "My tent arrived torn.")
    ]
    assert found["next"] is None
    stranger = (await (await program("stranger")).get("/search", params={"q": "torn tent"})).json()
    assert stranger == {"data": [], "people": [], "next": None, "looked_to": None}


@pytest.mark.parametrize("asked", [{"q": "state:asleep"}, {"q": "x", "after": "y"}, {"q": "x", "limit": 0}, {}])
async def test_what_makes_no_sense_is_a_problem_in_words(program: Program, asked: dict[str, str]) -> None:
    answer = await (await program("agent")).get("/search", params=asked)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
