"""/api/v1: what a program may see and do, as the agent whose token it brings."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.flow.enter_search import enter_search
from app.flow.ingest import ingest
from app.flow.reply_change import done, take
from app.flow.tokens import revoke_token
from app.models.agent import Agent, ApiToken, Presence, PresenceState
from app.models.feed import Feed
from app.models.item import Item
from app.models.reply import Reply, ReplyChange
from tests.company import post
from tests.web.conftest import HOST, House

Program = Callable[..., Awaitable[httpx.AsyncClient]]
Sessions = async_sessionmaker[AsyncSession]


async def test_the_road_by_program(program: Program, item_id: int, house: House) -> None:
    agent = await program("agent")

    listed = (await agent.get("/items", params={"state": "queued", "queue": house.billing})).json()
    assert [one["id"] for one in listed["data"]] == [item_id]
    claimed = await agent.post(f"/items/{item_id}/assignment")
    assert (claimed.status_code, claimed.json()["state"]) == (201, "active")
    assert claimed.json()["agent"] == {"id": house.ids["agent"], "name": "Agent"}
    noted = await agent.post(f"/items/{item_id}/notes", json={"text": "Second tent this week."})
    assert noted.status_code == 201
    answered = await agent.post(
        f"/items/{item_id}/replies", json={"text": "We send a new one.", "visibility": "public"}
    )
    assert answered.status_code == 201, answered.text
    reply = (await agent.get(f"/replies/{answered.json()['id']}")).json()
    assert (reply["state"], reply["text"]) == ("held", "We send a new one.")
    closed = await agent.post(f"/items/{item_id}/closure", json={"disposition": "answered"})
    assert (closed.status_code, closed.json()["disposition"]) == (201, "answered")
    whole = (await agent.get(f"/items/{item_id}")).json()
    assert [one["text"] for one in whole["conversation"]] == ["My tent arrived torn."]
    assert [one["text"] for one in whole["replies"]] == ["We send a new one."]
    assert [one["text"] for one in whole["notes"]] == ["Second tent this week."]
    reopened = await agent.delete(f"/items/{item_id}/closure")
    assert reopened.json()["state"] == "queued"
    await agent.post(f"/items/{item_id}/assignment")
    assert (await agent.delete(f"/items/{item_id}/assignment")).json()["state"] == "queued"


async def test_a_sent_reply_is_edited_and_deleted_by_program(
    program: Program, item_id: int, sessions: Sessions
) -> None:
    agent, reader = await program("agent"), await program("agent", writes=False)
    await agent.post(f"/items/{item_id}/assignment")
    held = (await agent.post(f"/items/{item_id}/replies", json={"text": "It leaves on Monday."})).json()
    at = f"/replies/{held['id']}"
    assert (await agent.post(f"{at}/versions", json={"text": "It leaves today."})).status_code == 409  # not sent yet
    async with sessions.begin() as session:
        await session.execute(
            update(Reply).where(Reply.id == held["id"]).values(state="sent", external_id="shop:r-1", sent_at=func.now())
        )
    assert (await reader.post(f"{at}/versions", json={"text": "It leaves today."})).status_code == 403
    assert (await reader.delete(at)).status_code == 403
    asked = await agent.post(f"{at}/versions", json={"text": "It leaves today."})
    assert (asked.status_code, asked.json()["text"]) == (202, "It leaves on Monday.")
    assert asked.json()["change"] == asked.json()["change"] | {"kind": "edit", "state": "waiting"}
    assert (await agent.post(f"{at}/versions", json={"text": "Or tomorrow."})).status_code == 409
    async with sessions.begin() as session:
        change = (await session.scalars(select(ReplyChange))).one()
        await take(session, change)
        await done(session, change.id, 1)
    read = (await reader.get(at)).json()
    assert (read["text"], read["change"]) == ("It leaves today.", None)
    assert [one["text"] for one in read["versions"]] == ["It leaves on Monday."]
    assert read["account_id"] == held["account_id"] is not None
    gone = await agent.delete(at)
    assert (gone.status_code, gone.json()["change"]["kind"]) == (202, "delete")


async def test_items_are_narrowed_as_lists_are(program: Program, item_id: int, sessions: Sessions) -> None:
    agent = await program("agent", writes=False)
    async with sessions.begin() as session:
        await session.execute(update(Item).values(tags=["refund"], language="de-AT"))
        while await enter_search(session):
            pass
    for asked, found in (
        ("text=torn", True), ("text=boots", False), ("text=torn+-tent", False), ("tag=refund&tag=late", True), ("tag=late", False),
        ("language=de", True), ("priority=5", False), ("channel=webhook&has=media", False), ("tier=gold", False), ("age=30d", False),
    ):  # fmt: skip
        listed = (await agent.get(f"/items?{asked}")).json()
        assert [one["id"] for one in listed["data"]] == [item_id] * found, asked
    for asked in ("text=state:open", 'text="torn', "priority=9", "age=2y", "colour=red"):
        assert (await agent.get(f"/items?{asked}")).status_code == 422, asked
    stranger = await program("stranger", writes=False)
    assert (await stranger.get("/items?text=torn")).json()["data"] == []


async def test_the_same_key_is_the_same_reply(program: Program, item_id: int, sessions: Sessions) -> None:
    agent = await program("agent")
    await agent.post(f"/items/{item_id}/assignment")
    sent = {"text": "Hello.", "key": "7f3c1f9e-6c0b-4b55-9f0a-0d9a2c1f5b11"}

    first = await agent.post(f"/items/{item_id}/replies", json=sent)
    second = await agent.post(f"/items/{item_id}/replies", json=sent)

    assert first.json()["id"] == second.json()["id"]
    async with sessions() as session:
        assert len((await session.scalars(select(Reply))).all()) == 1


async def test_the_second_who_claims_is_told(program: Program, item_id: int) -> None:
    first, second = await program("agent"), await program("supervisor")
    await first.post(f"/items/{item_id}/assignment")

    late = await second.post(f"/items/{item_id}/assignment")

    assert late.status_code == 409
    assert late.headers["content-type"] == "application/problem+json"
    assert late.json()["status"] == 409


EVERYTHING = [
    ("GET", "/items/{item}", None),
    ("GET", "/items/{item}/why", None),
    ("POST", "/items/{item}/assignment", None),
    ("DELETE", "/items/{item}/assignment", None),
    ("POST", "/items/{item}/replies", {"text": "x"}),
    ("POST", "/items/{item}/notes", {"text": "x"}),
    ("POST", "/items/{item}/closure", {"disposition": "spam"}),
    ("DELETE", "/items/{item}/closure", None),
    ("GET", "/posts/{post}", None),
    ("GET", "/replies/{reply}", None),
    ("GET", "/posts?item={item}", None),
]


async def test_who_is_not_of_the_team_finds_nothing_on_any_route(
    program: Program, item_id: int, sessions: Sessions
) -> None:
    agent, stranger = await program("agent"), await program("stranger")
    await agent.post(f"/items/{item_id}/assignment")
    made = await agent.post(f"/items/{item_id}/replies", json={"text": "Hello."})
    ids = {"item": item_id, "post": made.json()["post_id"], "reply": made.json()["id"]}

    for method, path, body in EVERYTHING:
        answer = await stranger.request(method, path.format(**ids), json=body)
        assert answer.status_code == 404, (method, path, answer.text)
    assert (await stranger.get("/items")).json()["data"] == []
    assert (await stranger.get("/posts")).json()["data"] == []
    assert [one["name"] for one in (await stranger.get("/queues")).json()["data"]] == ["Orders"]
    assert (await stranger.get("/feeds")).status_code == 403
    async with sessions() as session:
        assert (await session.get_one(Item, item_id)).state == "active"


async def test_a_token_that_may_only_read_changes_nothing(program: Program, item_id: int) -> None:
    reader = await program("agent", writes=False)

    assert (await reader.get(f"/items/{item_id}")).status_code == 200
    for method, path, body in EVERYTHING:
        if method != "GET":
            answer = await reader.request(method, path.format(item=item_id), json=body)
            assert answer.status_code == 403, (method, path)
            assert "may only read" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/items", "/items/1", "/posts", "/posts/1", "/replies/1", "/feeds", "/queues"])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer careline_no"}, {"Authorization": "Basic YTpi"}])
async def test_without_a_good_token_nothing_is_told(app: FastAPI, path: str, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HOST) as http:
        answer = await http.get(f"/api/v1{path}", headers=headers)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="careline"'
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_token_dies_with_its_revocation_and_with_its_agent(
    program: Program, sessions: Sessions, house: House
) -> None:
    agent, admin = await program("agent"), await program("admin")
    async with sessions.begin() as session:
        await session.execute(update(Agent).where(Agent.id == house.ids["agent"]).values(active=False))
    assert (await agent.get("/items")).status_code == 401
    assert (await admin.get("/items")).status_code == 200
    async with sessions.begin() as session:
        assert await revoke_token(session, "test") == 2
    assert (await admin.get("/items")).status_code == 401


async def test_a_token_is_stored_as_a_digest_only(program: Program, sessions: Sessions) -> None:
    admin = await program("admin")
    token = admin.headers["authorization"].removeprefix("Bearer ")

    async with sessions() as session:
        stored = (await session.scalars(select(ApiToken))).one()
    assert token.encode() not in stored.digest
    assert len(stored.digest) == 32


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("replies", {"text": "x", "agent_id": 1}, "agent_id"),
        ("replies", {"text": "x", "visibility": "everybody"}, "visibility"),
        ("replies", {}, "text"),
        ("notes", {"text": ""}, "text"),
        ("notes", {"text": "x", "item_id": 2}, "item_id"),
        ("closure", {"disposition": "bored"}, "disposition"),
    ],
)
async def test_what_cannot_be_read_names_its_field_and_nobody_names_an_owner(
    program: Program, item_id: int, path: str, body: dict[str, object], field: str
) -> None:
    agent = await program("agent")

    answer = await agent.post(f"/items/{item_id}/{path}", json=body)

    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == [field]


async def test_an_unknown_filter_is_refused_rather_than_ignored(program: Program) -> None:
    agent = await program("agent")

    answer = await agent.get("/items", params={"sate": "queued"})

    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "sate", "message": "there is no such field"}]
    assert (await agent.get("/items", params={"limit": 101})).status_code == 422


async def test_a_refusal_of_a_verb_names_its_field(program: Program, item_id: int) -> None:
    agent = await program("agent")
    await agent.post(f"/items/{item_id}/assignment")

    answer = await agent.post(f"/items/{item_id}/replies", json={"text": "   "})

    assert answer.status_code == 422
    assert answer.json()["field"] == "text"


async def test_pages_follow_each_other_without_gaps_or_repeats(
    program: Program, sessions: Sessions, feed_id: int
) -> None:
    async with sessions.begin() as session:
        await ingest(session, await session.get_one(Feed, feed_id), [post(n) for n in range(7)])
    agent = await program("agent")

    for what in ("items", "posts"):
        seen: list[int] = []
        after = None
        while True:
            page = (await agent.get(f"/{what}", params={"limit": 3} | ({"after": after} if after else {}))).json()
            seen += [one["id"] for one in page["data"]]
            after = page["next"]
            if after is None:
                break
        assert len(seen) == 7
        assert seen == sorted(set(seen), reverse=True)


async def test_feeds_are_told_to_admins_without_secrets(program: Program, feed_id: int) -> None:
    admin = await program("admin")

    answer = await admin.get("/feeds")

    feed = answer.json()["data"][0]
    assert (feed["id"], feed["name"], feed["account"], feed["condition"]) == (feed_id, "Shop", "Shop", "listening")
    assert "whsec" not in answer.text
    assert "settings" not in feed


async def test_openapi_describes_every_route_and_needs_no_other_host(app: FastAPI) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HOST) as http:
        described = (await http.get("/api/v1/openapi.json")).json()
        unknown = await http.get("/api/v1/nothing")

    assert set(described["paths"]) == {
        "/items", "/items/{item_id}", "/items/{item_id}/assignment", "/items/{item_id}/replies",
        "/items/{item_id}/why", "/items/{item_id}/notes", "/items/{item_id}/closure", "/items/{item_id}/acceptance", "/items/{item_id}/refusal",
        "/items/{item_id}/offer/extension", "/posts", "/posts/{post_id}", "/replies/{reply_id}", "/replies/{reply_id}/versions", "/posts/{post_id}/hiding",
        "/items/{item_id}/transfer", "/items/{item_id}/watch", "/items/{item_id}/consults",
        "/items/{item_id}/consults/{consult_id}", "/items/{item_id}/consults/{consult_id}/answer",
        "/items/{item_id}/macros/{macro_id}", "/saved", "/saved/{saved_id}", "/macros", "/macros/{macro_id}",
        "/feeds", "/feeds/{feed_id}/house", "/feeds/{feed_id}/posts", "/queues", "/presence", "/reasons", "/search",
    }  # fmt: skip
    assert "HTTPBearer" in described["components"]["securitySchemes"]
    assert (unknown.status_code, unknown.headers["content-type"]) == (404, "application/problem+json")


async def test_a_browsers_cookie_opens_nothing_here(app: FastAPI, house: House) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HOST) as http:
        await http.post("/login", data={"email": "admin@example.com", "password": "correct horse"})
        assert http.cookies
        assert (await http.get("/api/v1/items")).status_code == 401


async def test_why_a_waiting_item_waits_and_why_a_held_one_is_with_whom(
    program: Program, item_id: int, house: House, sessions: Sessions
) -> None:
    agent, supervisor = await program("agent"), await program("supervisor")
    async with sessions.begin() as session:
        await session.execute(update(Presence).values(state=PresenceState.OFFLINE))

    waits = (await agent.get(f"/items/{item_id}/why")).json()

    assert (waits["state"], waits["decided"]) == ("queued", None)
    told = waits["waiting"]["rejected"]
    assert told == [{"agent_id": house.ids["agent"], "name": "Agent", "reason": "absent", "lacks": []}]
    assert waits["waiting"]["candidates"] == []
    given = {"agent": house.ids["agent"], "how": "now"}
    assert (await supervisor.post(f"/items/{item_id}/assignment", json=given)).status_code == 201
    held = (await agent.get(f"/items/{item_id}/why")).json()
    assert (held["state"], held["waiting"]) == ("active", None)
    assert (held["decided"]["agent"], held["decided"]["how"]) == ("Agent", "assign")


async def test_a_supervisors_program_offers_or_gives_an_item_and_an_agents_may_not(
    program: Program, item_id: int, house: House
) -> None:
    agent, supervisor = await program("agent"), await program("supervisor")
    body = {"agent": house.ids["agent"]}

    refused = await agent.post(f"/items/{item_id}/assignment", json=body)
    offered = await supervisor.post(f"/items/{item_id}/assignment", json=body)

    assert refused.status_code == 403
    assert (offered.status_code, offered.json()["state"]) == (201, "offered")
    why = (await agent.get(f"/items/{item_id}/why")).json()["decided"]
    assert (why["how"], why["decision"]) == ("offer", {"by": house.ids["supervisor"], "by_name": "Supervisor"})
    for wrong in ({"agent": house.ids["stranger"], "how": "now"}, {**body, "how": "gently"}, {"how": "now"}):
        assert (await supervisor.post(f"/items/{item_id}/assignment", json=wrong)).status_code == 422, wrong


async def test_a_program_says_that_its_agent_is_away_and_back(program: Program, item_id: int, house: House) -> None:
    telephone = await program("agent")
    assert (await telephone.get("/reasons")).json()["data"] == ["break", "lunch", "training", "technical"]
    away = await telephone.put("/presence", json={"state": "not_ready", "reason": "lunch"})
    assert (away.status_code, away.json()["state"], away.json()["reason"]) == (200, "not_ready", "lunch")
    refused = await telephone.put("/presence", json={"state": "not_ready", "reason": "a call"})
    assert (refused.status_code, refused.json()["field"]) == (422, "reason")
    await telephone.put("/presence", json={"state": "ready"})
    assert (await telephone.get("/presence")).json()["state"] == "ready"
    reader = await program("agent", writes=False)
    assert (await reader.put("/presence", json={"state": "ready"})).status_code == 403


async def test_a_program_answers_the_offers_of_its_agent(
    program: Program, item_id: int, sessions: Sessions, house: House
) -> None:
    agent, supervisor = await program("agent"), await program("supervisor")
    nothing = await agent.post(f"/items/{item_id}/offer/extension")
    assert (nothing.status_code, "is over" in nothing.json()["detail"]) == (409, True)
    give = {"agent": house.ids["agent"], "how": "offer"}
    await supervisor.post(f"/items/{item_id}/assignment", json=give)
    longer = await agent.post(f"/items/{item_id}/offer/extension")
    assert (longer.status_code, longer.json()["extended"]) == (201, 1)
    assert (await supervisor.post(f"/items/{item_id}/offer/extension")).status_code == 409
    declined = await agent.post(f"/items/{item_id}/refusal", json={"reason": "limit"})
    assert (declined.status_code, declined.json()["state"]) == (201, "queued")
    await supervisor.post(f"/items/{item_id}/assignment", json=give)
    assert (await agent.post(f"/items/{item_id}/acceptance")).json()["state"] == "active"
