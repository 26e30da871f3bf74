"""Bulk: each item by its ordinary verb, told one by one; the same form twice does it once."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Invalid, NotFound
from app.flow.bulk import Deed, How, Seen, carry_out, refusal
from app.flow.claim import claim
from app.flow.close import close
from app.flow.ingest import ingest
from app.models.agent import Agent, Presence, Role, Team
from app.models.event import Event
from app.models.item import Disposition, Item, State, Verb
from app.models.queue import Queue
from tests.company import Company, add_agent, items, make_company, post


@pytest.fixture
async def company(session: AsyncSession) -> Company:
    made = await make_company(session)
    await ingest(session, made.feed, [post(n) for n in range(4)])
    return made


async def do(session: AsyncSession, me: Agent, deed: Deed, chosen: list[Item], how: How | None = None) -> list[str]:
    """What came of each item: "done", or the words."""
    seen = [Seen(item.id, item.version) for item in chosen]
    run = await carry_out(session, me, uuid4(), deed=deed, items=seen, how=how or How())
    return ["done" if one["done"] else one["words"] for one in run.told]


async def test_each_item_goes_by_its_ordinary_verb_with_its_event(session: AsyncSession, company: Company) -> None:
    chosen = await items(session)
    assert await do(session, company.ayumi, Deed.CLAIM, chosen) == ["done"] * 4
    found = await session.scalar(
        select(func.count()).where(Event.verb == Verb.CLAIM, Event.agent_id == company.ayumi.id)
    )
    assert found == 4
    presence = await session.get_one(Presence, company.ayumi.id, populate_existing=True)
    assert presence.load == 4
    later = How(until=datetime.now(UTC) + timedelta(hours=2))
    one, two, three, four = await items(session)
    assert await do(session, company.ayumi, Deed.PARK, [one], later) == ["done"]
    assert await do(session, company.ayumi, Deed.CLOSE, [two], How(disposition=Disposition.SPAM)) == ["done"]
    assert await do(session, company.ayumi, Deed.DISCARD, [three]) == ["done"]
    assert await do(session, company.ayumi, Deed.RELEASE, [four]) == ["done"]
    states = [item.state for item in await items(session)]
    assert states == [State.PARKED, State.CLOSED, State.DISCARDED, State.QUEUED]


async def test_a_refused_item_is_told_and_the_others_are_done(session: AsyncSession, company: Company) -> None:
    one, two, _three, _four = await items(session)
    await claim(session, company.finn, one.id)
    await close(session, company.finn, two.id, Disposition.SPAM)
    chosen = await items(session)
    told = await do(session, company.ayumi, Deed.CLOSE, chosen, How(disposition=Disposition.NO_REPLY))
    assert [one == "done" for one in told] == [False, False, True, True]
    assert all(told)
    assert (await items(session))[0].agent_id == company.finn.id


async def test_items_that_changed_since_they_were_seen_are_left_alone(session: AsyncSession, company: Company) -> None:
    chosen = await items(session)
    seen = [Seen(chosen[0].id, chosen[0].version - 1), Seen(chosen[1].id, chosen[1].version)]
    run = await carry_out(session, company.ayumi, uuid4(), deed=Deed.CLAIM, items=seen, how=How())
    assert [one["done"] for one in run.told] == [False, True]
    assert "changed" in run.told[0]["words"]


async def test_the_same_form_twice_does_it_once_and_tells_the_same(session: AsyncSession, company: Company) -> None:
    key, chosen = uuid4(), await items(session)
    seen = [Seen(item.id, item.version) for item in chosen]
    first = await carry_out(session, company.ayumi, key, deed=Deed.CLAIM, items=seen, how=How())
    told = list(first.told)
    again = await carry_out(session, company.ayumi, key, deed=Deed.CLAIM, items=seen, how=How())
    assert again.told == told
    assert await session.scalar(select(func.count()).where(Event.verb == Verb.CLAIM)) == 4
    with pytest.raises(NotFound):
        await carry_out(session, company.finn, key, deed=Deed.CLAIM, items=seen, how=How())


async def test_nothing_of_another_team_is_touched(session: AsyncSession, company: Company) -> None:
    shop = Team(name="Shop")
    session.add(shop)
    await session.flush()
    stranger = await add_agent(session, shop, "Stranger")
    for deed in (Deed.CLAIM, Deed.DISCARD, Deed.TAG, Deed.PRIORITISE):
        told = await do(session, stranger, deed, await items(session), How(tag="mine", priority=1))
        assert told == ["It is not in a queue of your teams."] * 4
    assert {item.state for item in await items(session)} == {State.QUEUED}


async def test_items_go_to_another_queue_together(session: AsyncSession, company: Company) -> None:
    queue = Queue(name="Second", team_id=company.team.id)
    session.add(queue)
    await session.flush()
    await session.refresh(queue)
    assert await do(session, company.ayumi, Deed.TRANSFER, await items(session), How(queue_id=queue.id)) == ["done"] * 4
    assert {item.queue_id for item in await items(session)} == {queue.id}


async def test_items_are_tagged_and_told_how_urgent_they_are_together(session: AsyncSession, company: Company) -> None:
    one, _two, _three, _four = await items(session)
    await claim(session, company.finn, one.id)
    await close(session, company.finn, one.id, Disposition.SPAM)
    assert await do(session, company.ayumi, Deed.TAG, await items(session), How(tag=" Flood ")) == ["done"] * 4
    assert {tuple(item.tags) for item in await items(session)} == {("flood",)}
    assert await do(session, company.ayumi, Deed.UNTAG, await items(session), How(tag="flood")) == ["done"] * 4
    assert {tuple(item.tags) for item in await items(session)} == {()}
    told = await do(session, company.ayumi, Deed.PRIORITISE, await items(session), How(priority=1))
    assert [words == "done" for words in told] == [False, True, True, True]
    assert [item.priority for item in await items(session)] == [3, 1, 1, 1]
    verbs = await session.execute(select(Event.verb, func.count()).group_by(Event.verb))
    counts = {row[0]: row[1] for row in verbs}
    assert (counts[Verb.TAG], counts[Verb.UNTAG], counts[Verb.PRIORITISE]) == (4, 4, 3)


@pytest.mark.parametrize(
    ("deed", "field"),
    [(Deed.CLOSE, "disposition"), (Deed.TRANSFER, "queue"), (Deed.TAG, "tag"), (Deed.PRIORITISE, "priority")],
)
async def test_what_a_deed_needs_to_know_is_asked_for(
    session: AsyncSession, company: Company, deed: Deed, field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await do(session, company.ayumi, deed, await items(session))
    assert refused.value.field == field


async def test_no_items_or_too_many_are_refused(session: AsyncSession, company: Company) -> None:
    for seen in ([], [Seen(n, 1) for n in range(201)]):
        with pytest.raises(Invalid):
            await carry_out(session, company.ayumi, uuid4(), deed=Deed.CLAIM, items=seen, how=How())


@pytest.mark.parametrize("role", [Role.AGENT, Role.SUPERVISOR])
@pytest.mark.parametrize("deed", list(Deed))
async def test_what_is_foreseen_is_what_happens(
    session: AsyncSession, company: Company, deed: Deed, role: Role
) -> None:
    one, two, three, _four = await items(session)
    company.ayumi.role = role
    await session.flush()
    await claim(session, company.finn, one.id)
    await claim(session, company.ayumi, two.id)
    await close(session, company.finn, three.id, Disposition.SPAM)
    queue = Queue(name="Second", team_id=company.team.id)
    session.add(queue)
    await session.flush()
    await session.refresh(queue)
    how = How(Disposition.SPAM, datetime.now(UTC) + timedelta(hours=1), queue_id=queue.id, tag="flood", priority=1)
    holders = {company.ayumi.id: "Ayumi", company.finn.id: "Finn"}
    chosen = await items(session)
    foreseen = [
        not refusal(company.ayumi, deed, State(item.state), (item.agent_id, holders[item.agent_id]) if item.agent_id else None)
        for item in chosen
    ]  # fmt: skip
    told = await do(session, company.ayumi, deed, chosen, how)
    assert [one == "done" for one in told] == foreseen, told
