"""/api/v1: working together, and what is kept to be used again, within what the token's agent may do."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.flow.configure_skill import SkillSettings, create_skill
from app.models.item import Item
from app.models.reply import Reply
from app.models.together import Watch
from tests.web.conftest import House

Program = Callable[..., Awaitable[httpx.AsyncClient]]
Sessions = async_sessionmaker[AsyncSession]


async def test_an_item_is_sent_to_a_queue_with_a_note_and_may_leave_ones_sight(
    program: Program, item_id: int, house: House, sessions: Sessions
) -> None:
    agent, stranger = await program("agent"), await program("stranger")
    asked = {"queue": house.orders, "note": "It is about an order."}
    assert (await stranger.post(f"/items/{item_id}/transfer", json=asked)).status_code == 404
    assert (await agent.post(f"/items/{item_id}/transfer", json=asked)).status_code == 204
    assert (await agent.get(f"/items/{item_id}")).status_code == 404
    whole = (await stranger.get(f"/items/{item_id}")).json()
    assert (whole["queue"]["id"], whole["notes"][0]["text"]) == (house.orders, "It is about an order.")


async def test_an_item_is_sent_on_for_other_skills_or_given_to_a_colleague(
    program: Program, item_id: int, house: House, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        await create_skill(session, SkillSettings(name="French"))
    agent, supervisor = await program("agent"), await program("supervisor")
    at = f"/items/{item_id}/transfer"
    unknown = await agent.post(at, json={"needs": {"Elvish": 3}})
    assert (unknown.status_code, "'Elvish'" in unknown.json()["detail"]) == (422, True)
    assert (await agent.post(at, json={"needs": {"French": 3}})).status_code == 204
    assert (await agent.get(f"/items/{item_id}")).json()["requirements"] == {"French": 3}
    given = {"agent": house.ids["agent"], "how": "now"}
    assert (await agent.post(at, json=given)).status_code == 403  # only supervisors hand out what waits
    assert (await supervisor.post(at, json={**given, "overrule": True})).status_code == 204
    assert (await agent.get(f"/items/{item_id}")).json()["agent"]["id"] == house.ids["agent"]


@pytest.mark.parametrize(
    "asked", [{}, {"agent": 1, "queue": 1}, {"note": "only"}, {"agent": 1, "needs": {"French": 1}}]
)
async def test_an_item_is_sent_to_one_place(program: Program, item_id: int, asked: dict[str, object]) -> None:
    agent = await program("agent")
    assert (await agent.post(f"/items/{item_id}/transfer", json=asked)).status_code == 422


async def test_an_expert_of_another_team_is_asked_and_answers_and_sees_no_other_item(
    program: Program, item_id: int, house: House
) -> None:
    agent, stranger, supervisor = await program("agent"), await program("stranger"), await program("supervisor")
    at = f"/items/{item_id}/consults"
    assert (await stranger.get(at)).status_code == 404
    asked = await agent.post(at, json={"agent": house.ids["stranger"], "question": "Is it ours?"})
    assert (asked.status_code, asked.json()["whom"]) == (201, "Stranger")
    one = f"{at}/{asked.json()['id']}"
    assert [told["question"] for told in (await stranger.get(at)).json()["data"]] == ["Is it ours?"]
    assert (await supervisor.post(f"{one}/answer", json={"text": "Yes."})).status_code == 403
    assert (await stranger.post(f"/items/{item_id}/closure", json={"disposition": "spam"})).status_code == 404
    answered = await stranger.post(f"{one}/answer", json={"text": "It is."})
    assert (answered.status_code, answered.json()["answer"]) == (201, "It is.")
    assert (await agent.delete(one)).status_code == 409


async def test_a_question_goes_to_one_of_agent_skill_and_team(program: Program, item_id: int, house: House) -> None:
    agent = await program("agent")
    for whom in ({}, {"agent": house.ids["admin"], "team": house.shop}):
        asked = await agent.post(f"/items/{item_id}/consults", json={**whom, "question": "Who knows?"})
        assert asked.status_code == 422
    team = await agent.post(f"/items/{item_id}/consults", json={"team": house.shop, "question": "Who knows?"})
    assert team.status_code == 201
    assert (await agent.delete(f"/items/{item_id}/consults/{team.json()['id']}")).status_code == 204


async def test_watching_begins_and_ends_and_is_for_those_who_may_read(
    program: Program, item_id: int, house: House, sessions: Sessions
) -> None:
    agent, stranger = await program("agent"), await program("stranger")
    assert (await stranger.post(f"/items/{item_id}/watch")).status_code == 404
    for _ in range(2):
        assert (await agent.post(f"/items/{item_id}/watch")).status_code == 204
    async with sessions() as session:
        assert list(await session.scalars(select(Watch.agent_id))) == [house.ids["agent"]]
    assert (await agent.delete(f"/items/{item_id}/watch")).status_code == 204
    async with sessions() as session:
        assert list(await session.scalars(select(Watch.agent_id))) == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/items/{id}/transfer"),
        ("POST", "/items/{id}/watch"),
        ("DELETE", "/items/{id}/watch"),
        ("POST", "/items/{id}/consults"),
        ("POST", "/items/{id}/consults/1/answer"),
        ("DELETE", "/items/{id}/consults/1"),
        ("POST", "/items/{id}/macros/1"),
        ("POST", "/saved"),
        ("PUT", "/saved/1"),
        ("DELETE", "/saved/1"),
        ("POST", "/macros"),
        ("PUT", "/macros/1"),
        ("DELETE", "/macros/1"),
    ],
)
async def test_a_token_that_may_only_read_changes_nothing(
    program: Program, item_id: int, method: str, path: str
) -> None:
    reader = await program("supervisor", writes=False)
    answer = await reader.request(method, path.format(id=item_id), json={})
    assert (answer.status_code, "may only read" in answer.json()["detail"]) == (403, True)


async def test_saved_replies_are_kept_by_program_and_shared_ones_by_supervisors(program: Program, house: House) -> None:
    agent, supervisor, stranger = await program("agent"), await program("supervisor"), await program("stranger")
    own = {"title": "Mine", "body": "Hello {customer.name}", "tags": ["Greeting"]}
    made = await agent.post("/saved", json=own)
    assert made.status_code == 201
    assert made.json() == {
        **own,
        "id": made.json()["id"],
        "language": "",
        "tags": ["greeting"],
        "whose": "own",
        "uses": 0,
    }
    at = f"/saved/{made.json()['id']}"
    assert (await supervisor.get(at)).status_code == 404
    assert (await stranger.put(at, json=own)).status_code == 404
    assert (await agent.put(at, json={**own, "body": "Hi"})).json()["body"] == "Hi"
    team = {"title": "Ours", "body": "Hello", "whose": str(house.care)}
    assert (await agent.post("/saved", json=team)).status_code == 403
    shared = await supervisor.post("/saved", json=team)
    assert shared.json()["whose"] == str(house.care)
    assert [one["title"] for one in (await agent.get("/saved")).json()["data"]] == ["Mine", "Ours"]
    assert (await stranger.get("/saved")).json()["data"] == []
    assert (await agent.delete(f"/saved/{shared.json()['id']}")).status_code == 403
    assert (await agent.delete(at)).status_code == 204
    assert (await agent.get(at)).status_code == 404
    assert (await agent.post("/saved", json={**own, "owner": 1})).status_code == 422


async def test_a_macro_is_kept_and_run_by_program(
    program: Program, item_id: int, house: House, sessions: Sessions
) -> None:
    agent, supervisor, stranger = await program("agent"), await program("supervisor"), await program("stranger")
    text = (await supervisor.post("/saved", json={"title": "Sorry", "body": "We are sorry.", "whose": "all"})).json()
    asked = {
        "name": "Sorry and close",
        "reply": text["id"],
        "add_tags": ["sorry"],
        "end": "close:answered",
        "whose": "all",
    }
    made = (await supervisor.post("/macros", json=asked)).json()
    assert made == made | {**asked, "remove_tags": [], "priority": None, "uses": 0}
    at, run = f"/macros/{made['id']}", f"/items/{item_id}/macros/{made['id']}"
    assert (await agent.put(at, json={**asked, "name": "Mine now"})).status_code == 403
    assert (await stranger.post(run, json={})).status_code == 404
    assert (await agent.post(run, json={})).status_code == 409  # not in their hands
    await agent.post(f"/items/{item_id}/assignment")
    ran = await agent.post(run, json={"key": "7f3c1f9e-6c0b-4b55-9f0a-0d9a2c1f5b11"})
    assert (ran.status_code, ran.json()) == (201, {"item_id": item_id, "state": "closed"})
    async with sessions() as session:
        assert await session.scalar(select(Reply.text)) == "We are sorry."
        assert (await session.scalars(select(Item.tags))).one()[-1] == "sorry"
    assert [one["uses"] for one in (await stranger.get("/macros")).json()["data"]] == [1]
    assert (await supervisor.delete(at)).status_code == 204
