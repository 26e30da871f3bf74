"""Configuring agents: what they may do, and how one leaves."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import sessionmaker
from app.errors import Conflict, Invalid
from app.flow.configure_agent import (
    AgentPlaces,
    AgentSettings,
    agent_places,
    agent_settings,
    change_agent,
    create_agent,
    set_password,
)
from app.flow.configure_queue import QueueSettings, create_queue
from app.flow.configure_skill import SkillSettings, create_skill
from app.flow.configure_team import TeamSettings, create_team
from app.flow.configured import fingerprint
from app.flow.passwords import matches
from app.models.agent import Agent, Presence, Role, SignIn
from app.models.assignment import Assignment
from app.models.item import Item, State, Verb, agent_actor, move
from app.models.post import Author, Conversation, Customer, Post

AYUMI = AgentSettings(name="Ayumi Tanaka", email="ayumi@example.com")
RUTH = AgentSettings(name="Ruth Adeyemi", email="ruth@example.com", role=Role.ADMIN)


async def test_an_agent_signs_in_with_the_password_that_was_set(session: AsyncSession) -> None:
    agent = await create_agent(session, AYUMI, "correct horse")

    assert agent.password_hash.startswith("$argon2id$")
    assert await matches(agent.password_hash, "correct horse")
    assert not await matches(agent.password_hash, "wrong horse")
    assert agent_settings(agent) == AYUMI


async def test_an_agent_without_a_password_cannot_sign_in(session: AsyncSession) -> None:
    agent = await create_agent(session, AYUMI, None)

    assert not await matches(agent.password_hash, "")
    assert not await matches(agent.password_hash, "!")


async def test_a_short_password_is_refused(session: AsyncSession) -> None:
    with pytest.raises(Invalid, match="8 to 200 characters; this one has 5") as refusal:
        await create_agent(session, AYUMI, "horse")

    assert refusal.value.field == "password"


async def test_an_email_belongs_to_one_agent_whatever_its_case(session: AsyncSession) -> None:
    await create_agent(session, AYUMI, None)

    with pytest.raises(Invalid) as refusal:
        await create_agent(session, AYUMI.model_copy(update={"email": "AYUMI@example.com"}), None)

    assert refusal.value.field == "email"


async def test_places_are_exactly_those_that_were_given(session: AsyncSession) -> None:
    team = await create_team(session, TeamSettings(name="Care"))
    queue = await create_queue(session, QueueSettings(name="Billing", team_id=team.id))
    german = await create_skill(session, SkillSettings(name="German"))
    places = AgentPlaces(teams=frozenset({team.id}), queues=frozenset({queue.id}), skills={german.id: 3})

    agent = await create_agent(session, AYUMI, None, places)

    assert await agent_places(session, agent.id) == places
    await change_agent(session, agent.id, AYUMI, AgentPlaces())
    assert await agent_places(session, agent.id) == AgentPlaces()


@pytest.mark.parametrize(
    ("places", "field"),
    [
        (AgentPlaces(teams=frozenset({404})), "teams"),
        (AgentPlaces(queues=frozenset({404})), "queues"),
        (AgentPlaces(skills={404: 3}), "skills"),
        (AgentPlaces(skills={404: 6}), "skills"),
    ],
)
async def test_a_place_that_does_not_exist_is_named(session: AsyncSession, places: AgentPlaces, field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        await create_agent(session, AYUMI, None, places)

    assert refusal.value.field == field


async def test_the_last_admin_stays_one(session: AsyncSession) -> None:
    ruth = await create_agent(session, RUTH, None)

    for change, field in (({"role": Role.AGENT}, "role"), ({"active": False}, "active")):
        with pytest.raises(Invalid, match="Ruth Adeyemi is the last admin") as refusal:
            await change_agent(session, ruth.id, RUTH.model_copy(update=change))
        assert refusal.value.field == field


async def test_two_admins_who_demote_each_other_at_once_leave_one(engine: AsyncEngine) -> None:
    sessions = sessionmaker(engine)
    async with sessions.begin() as session:
        ruth = await create_agent(session, RUTH, None)
        omar = RUTH.model_copy(update={"name": "Omar", "email": "omar@example.com"})
        other = await create_agent(session, omar, None)

    async def demote(agent_id: int, settings: AgentSettings) -> bool:
        try:
            async with sessions.begin() as session:
                await change_agent(session, agent_id, settings.model_copy(update={"role": Role.AGENT}))
        except Invalid:
            return False
        return True

    done = await asyncio.gather(demote(ruth.id, RUTH), demote(other.id, omar))

    assert sorted(done) == [False, True]


async def test_a_new_password_signs_out_everywhere(session: AsyncSession) -> None:
    agent = await create_agent(session, AYUMI, "correct horse")
    await _sign_in(session, agent)

    await set_password(session, agent.id, "battery staple")

    assert await session.scalar(select(func.count()).select_from(SignIn)) == 0
    assert await matches(agent.password_hash, "battery staple")


async def test_another_role_asks_to_sign_in_again(session: AsyncSession) -> None:
    await create_agent(session, RUTH, None)
    agent = await create_agent(session, AYUMI, None)
    await _sign_in(session, agent)

    await change_agent(session, agent.id, AYUMI.model_copy(update={"role": Role.SUPERVISOR}))

    assert await session.scalar(select(func.count()).select_from(SignIn)) == 0


async def test_who_leaves_hands_everything_back_and_is_signed_out(session: AsyncSession) -> None:
    agent = await create_agent(session, AYUMI, None)
    active = await _held_item(session, agent, "one")
    parked = await _held_item(session, agent, "two")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    await move(
        session, parked, Verb.PARK, State.PARKED, agent_actor(agent.id), parked_until=tomorrow, parked_for="snooze"
    )
    await _sign_in(session, agent)

    await change_agent(session, agent.id, AYUMI.model_copy(update={"active": False}))

    items = (await session.scalars(select(Item).execution_options(populate_existing=True))).all()
    assert {(item.state, item.agent_id, item.parked_until) for item in items} == {(State.QUEUED, None, None)}
    assert await session.scalar(select(func.count()).where(Assignment.until.is_(None))) == 0
    assert await session.scalar(select(func.count()).select_from(SignIn)) == 0
    presence = await session.get_one(Presence, agent.id, populate_existing=True)
    assert (presence.state, presence.load) == ("offline", 0)
    assert active.id != parked.id


async def test_a_stale_form_is_refused(session: AsyncSession) -> None:
    agent = await create_agent(session, AYUMI, None)
    await change_agent(session, agent.id, AYUMI.model_copy(update={"capacity": 9}))

    with pytest.raises(Conflict):
        await change_agent(session, agent.id, AYUMI, seen=fingerprint(AYUMI))


async def _sign_in(session: AsyncSession, agent: Agent) -> None:
    expires = datetime.now(UTC) + timedelta(hours=1)
    await session.execute(insert(SignIn).values(digest=b"x" * 32, csrf="c", agent_id=agent.id, expires_at=expires))


async def _held_item(session: AsyncSession, agent: Agent, name: str) -> Item:
    team = await create_team(session, TeamSettings(name=name))
    queue = await create_queue(session, QueueSettings(name=name, team_id=team.id))
    customer = Customer(name=name)
    conversation = Conversation(channel="demo", external_id=name)
    session.add_all([customer, conversation])
    await session.flush()
    author = Author(channel="demo", external_id=name, customer_id=customer.id, handle=name)
    session.add(author)
    await session.flush()
    now = datetime.now(UTC)
    post = Post(
        channel="demo", external_id=name, conversation_id=conversation.id, author_id=author.id, kind="mention",
        visibility="public", text="Hello?", posted_at=now,
    )  # fmt: skip
    session.add(post)
    await session.flush()
    item = Item(
        conversation_id=conversation.id, author_id=author.id, channel="demo", state=State.QUEUED, queue_id=queue.id,
        priority=3, lane=str(queue.id), rank=now, ready_at=now, due_at=now, post_id=post.id,
    )  # fmt: skip
    session.add(item)
    await session.flush()
    moved = await move(session, item, Verb.CLAIM, State.ACTIVE, agent_actor(agent.id), agent_id=agent.id)
    session.add(Assignment(item_id=item.id, agent_id=agent.id, began_by=Verb.CLAIM))
    await session.flush()
    return moved
