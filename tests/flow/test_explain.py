"""Why nobody has a waiting item yet, as data and in words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict
from app.flow.assign import assign
from app.flow.claim import claim
from app.flow.explain import Explained, decided, explain
from app.flow.ingest import ingest
from app.flow.offer import accept
from app.flow.route import decide, make_offers
from app.models.agent import Agent, NotReadyReason, Presence, PresenceState, Role
from app.models.assignment import Offer, Outcome
from app.models.event import Event
from app.models.item import Item, Verb
from app.models.queue import Queue
from app.models.rule import Rule
from app.routing.decisions import Rejection, What
from app.web import why
from app.web.why import account
from tests.company import Company, add_agent, add_skill, items, make_company, post


@pytest.fixture
async def company(session: AsyncSession) -> Company:
    return await make_company(session)


async def waiting(session: AsyncSession, company: Company, german: int | None = None, **rule: Any) -> Item:
    """An item that waits, needing this level of German."""
    needs = {} if german is None else {str(company.skills["German"].id): german}
    await session.execute(update(Rule).values(requirements=needs, **rule))
    await ingest(session, company.feed, [post(1)])
    return (await items(session))[-1]


async def presence(session: AsyncSession, agent: Agent, **values: Any) -> None:
    await session.execute(update(Presence).where(Presence.agent_id == agent.id).values(**values))


def told(found: Explained) -> str:
    return account(found, found.at).head


async def test_it_says_who_has_the_skill_what_they_do_and_when_less_is_enough(
    session: AsyncSession, company: Company
) -> None:
    german = company.skills["German"].id
    await add_skill(session, company.ayumi, company.skills["German"], 3)
    await add_skill(session, company.finn, company.skills["German"], 1)
    await presence(session, company.ayumi, state=PresenceState.NOT_READY, reason=NotReadyReason.LUNCH)
    item = await waiting(session, company, german=3, steps=[{"after": 120, "skill": german, "level": 2}])

    found = await explain(session, item.id, company.finn.id)

    said = account(found, found.at)
    assert said.head == "Nobody ready has German 3. Ayumi has it and is at lunch."
    assert said.rest == ("1 lacks a skill for it: Finn",)
    assert said.me == "You have German 1; it needs 3."
    assert [one.text for one in said.coming] == ["German 2 is enough"]
    assert ">2:00</time>: German 2 is enough" in said.coming[0].line(item.ready_at)
    assert [(one.skill, one.level, one.asked) for one in found.needs] == [("German", 3, 3)]


async def test_when_nobody_of_the_queue_has_the_skill_it_says_so(session: AsyncSession, company: Company) -> None:
    item = await waiting(session, company, german=3)
    found = await explain(session, item.id, company.finn.id)
    assert told(found) == "Nobody in General has German 3."
    assert account(found, found.at).me == "You do not have German; it needs 3."


async def test_without_skills_it_says_what_everybody_does(session: AsyncSession, company: Company) -> None:
    await presence(session, company.ayumi, state=PresenceState.OFFLINE)
    await presence(session, company.finn, load=5)
    item = await waiting(session, company)
    found = await explain(session, item.id)
    assert told(found) == "Nobody is free. Ayumi is not signed in. Finn has no room (5 of 5)."
    assert account(found, found.at).rest == ()


async def test_of_many_it_counts_and_names_only_few(session: AsyncSession) -> None:
    company = await make_company(session, agents=("Ada", "Bo", "Cy", "Di", "Ed"))
    for agent in company.agents[:4]:
        await presence(session, agent, state=PresenceState.OFFLINE)
    await presence(session, company.agents[4], load=5)
    item = await waiting(session, company)
    said = account(await explain(session, item.id), datetime.now(UTC))
    assert said.head == "Nobody is free."
    assert said.rest == ("4 are not signed in", "1 has no room: Ed")


async def test_a_queue_without_members_and_one_that_is_off_say_so(session: AsyncSession) -> None:
    company = await make_company(session, agents=())
    item = await waiting(session, company)
    assert told(await explain(session, item.id)) == "General has no members yet, so nobody can be asked."
    await session.execute(update(Queue).values(active=False))
    off = await explain(session, item.id)
    assert off.paused
    assert told(off) == "The queue General is switched off, so the router leaves its items alone."


async def test_who_can_take_it_comes_in_the_order_in_which_they_are_asked(
    session: AsyncSession, company: Company
) -> None:
    await presence(session, company.finn, available_since=func.now() - timedelta(hours=1))
    item = await waiting(session, company)
    found = await explain(session, item.id, company.finn.id)
    assert [one.name for one in found.candidates] == ["Finn", "Ayumi"]
    assert told(found) == "Finn can take it, and is asked next."
    assert found.reader is None


async def test_it_waits_for_who_knows_the_customer_and_says_until_when(session: AsyncSession, company: Company) -> None:
    await session.execute(update(Queue).values(prefer_seconds=600))
    await presence(session, company.ayumi, state=PresenceState.NOT_READY)
    item = await waiting(session, company)
    await session.execute(update(Item).values(preferred_agent_id=company.ayumi.id))
    found = await explain(session, item.id, company.finn.id)
    said = account(found, found.at)
    assert said.head == "It waits for Ayumi, who knows this customer."
    assert said.me == "You could take it; it waits for a colleague who knows this customer."
    assert [one.text for one in said.coming] == ["others than Ayumi are asked, too"]


async def test_a_refusal_and_an_overflow_to_come_are_told_with_their_times(
    session: AsyncSession, company: Company
) -> None:
    other = Queue(name="Overflow", team_id=company.team.id)
    session.add(other)
    await session.flush()
    values = {"overflow_queue_id": other.id, "overflow_after": 3 * 3600}
    await session.execute(update(Queue).where(Queue.id == company.queue.id).values(**values))
    await presence(session, company.finn, state=PresenceState.OFFLINE)
    item = await waiting(session, company)
    over = func.now()
    session.add(
        Offer(item_id=item.id, agent_id=company.ayumi.id, expires_at=over, ended_at=over, outcome=Outcome.DECLINED)
    )
    await session.flush()

    found = await explain(session, item.id, company.ayumi.id)

    assert [(one.what, one.agent, one.queue) for one in found.upcoming] == [
        (What.REFUSAL_ENDS, "Ayumi", None),
        (What.OVERFLOW, None, "Overflow"),
    ]
    said = account(found, found.at)
    assert [(one.text, one.soon) for one in said.coming] == [
        ("Ayumi can be asked again", True),
        ("it goes to Overflow", False),
    ]
    assert said.coming[1].line(found.at).startswith("At <time")
    assert said.me == "You passed on it a moment ago."
    assert found.rejected[0].reason == Rejection.REFUSED


async def test_who_is_no_member_hears_that_nothing_is_offered_to_them(session: AsyncSession, company: Company) -> None:
    marta = await add_agent(session, company.team, "Marta", role=Role.SUPERVISOR)
    item = await waiting(session, company)
    found = await explain(session, item.id, marta.id)
    assert account(found, found.at).me == "You are not a member of this queue, so it is not offered to you."
    assert [one.name for one in found.candidates] == ["Ayumi", "Finn"]


async def test_names_are_never_markup(session: AsyncSession, company: Company) -> None:
    await session.execute(update(Queue).values(prefer_seconds=600))
    company.ayumi.name = "<b>Ayumi</b>"
    await presence(session, company.ayumi, state=PresenceState.NOT_READY)
    item = await waiting(session, company)
    await session.execute(update(Item).values(preferred_agent_id=company.ayumi.id))
    found = await explain(session, item.id)
    assert "others than &lt;b&gt;Ayumi" in account(found, found.at).coming[0].line(found.at)


async def test_what_does_not_wait_is_not_explained_but_its_decision_is(session: AsyncSession, company: Company) -> None:
    item = await waiting(session, company)
    assert await decided(session, item) is None
    await make_offers(session, await decide(session))
    item = (await items(session))[0]
    with pytest.raises(Conflict, match="does not wait any more"):
        await explain(session, item.id)
    asked = await decided(session, item)
    assert asked is not None
    assert (asked.how, asked.agent) == ("offer", "Ayumi")
    assert asked.decision["candidates_total"] == 2
    await accept(session, company.ayumi, item.id)
    taken = await decided(session, (await items(session))[0])
    assert taken is not None
    assert (taken.how, taken.decision["policy"]) == ("accept", "longest_available")


async def test_the_history_keeps_that_it_was_offered_but_not_the_whole_decision(
    session: AsyncSession, company: Company
) -> None:
    await waiting(session, company)
    await make_offers(session, await decide(session))
    kept = await session.scalar(select(Event.why).where(Event.verb == Verb.OFFER))
    assert kept is not None
    assert kept["candidates_total"] == 2
    assert not {"candidates", "parts", "rejected"} & kept.keys()


async def test_who_claimed_was_chosen_by_nobody(session: AsyncSession, company: Company) -> None:
    item = await waiting(session, company)
    await claim(session, company.finn, item.id)
    found = await decided(session, (await items(session))[0])
    assert found is not None
    assert (found.how, found.agent, found.decision) == ("claim", "Finn", {})


async def test_what_a_supervisor_gave_says_so(session: AsyncSession, company: Company) -> None:
    marta = await add_agent(session, company.team, "Marta", role=Role.SUPERVISOR)
    item = await waiting(session, company)
    await assign(session, marta, item.id, company.finn.id, force=True)
    found = await decided(session, (await items(session))[0])
    assert found is not None
    assert found.how == "assign"


def test_signals_are_told_in_words() -> None:
    signals = ["followers>=10000", "tier=gold", "second_post", "due_soon<=600", "words=down,outage"]
    assert why.raised(signals) == [
        "at least 10,000 followers",
        "tier gold",
        "the customer wrote again",
        "due in less than 10:00",
        "says “down,outage”",
    ]
