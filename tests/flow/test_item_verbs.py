from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict, Forbidden, Invalid, NotFound
from app.flow.claim import claim
from app.flow.close import close
from app.flow.discard import discard
from app.flow.ingest import ingest
from app.flow.note import note
from app.flow.offer import Proposal, accept, decline, expire_offers, make_offer
from app.flow.park import park
from app.flow.presence import hand_back, set_presence
from app.flow.release import release
from app.flow.reopen import reopen
from app.flow.wake import wake_by_hand, wake_due
from app.models.agent import Agent, NotReadyReason, Presence, PresenceState, Role, Team
from app.models.assignment import Assignment, Offer, Outcome
from app.models.item import TRANSITIONS, Disposition, Item, ParkReason, State, Verb, agent_actor
from tests.company import Company, add_agent, items, make_company, post


async def load_of(session: AsyncSession, agent: Agent) -> int:
    return (await session.get_one(Presence, agent.id, populate_existing=True)).load


async def one_item(session: AsyncSession, **queue: Any) -> tuple[Company, Item]:
    company = await make_company(session, **queue)
    await ingest(session, company.feed, [post(1)])
    [item] = await items(session)
    return company, item


async def offered(session: AsyncSession, company: Company, item: Item) -> Offer:
    offer = await make_offer(session, Proposal(item.id, item.version, company.ayumi.id, {"policy": "test"}))
    assert offer is not None
    return offer


async def run_out(session: AsyncSession) -> int:
    await session.execute(update(Offer).values(expires_at=func.now() - timedelta(seconds=1)))
    return await expire_offers(session)


async def test_a_claimed_item_is_in_hand_and_counts(session: AsyncSession) -> None:
    company, item = await one_item(session)
    held = await claim(session, company.ayumi, item.id)
    assert (held.state, held.agent_id, await load_of(session, company.ayumi)) == (State.ACTIVE, company.ayumi.id, 1)


async def test_the_second_who_claims_hears_who_was_first(session: AsyncSession) -> None:
    company, item = await one_item(session)
    await claim(session, company.ayumi, item.id)
    with pytest.raises(Conflict, match="Ayumi has item"):
        await claim(session, company.finn, item.id)


async def test_claiming_twice_is_claiming_once(session: AsyncSession) -> None:
    company, item = await one_item(session)
    await claim(session, company.ayumi, item.id)
    await claim(session, company.ayumi, item.id)
    assert await load_of(session, company.ayumi) == 1


async def test_an_agent_of_another_team_does_not_see_the_item(session: AsyncSession) -> None:
    _, item = await one_item(session)
    other = Team(name="Elsewhere")
    session.add(other)
    await session.flush()
    stranger = await add_agent(session, other, "Stranger")
    with pytest.raises(NotFound):
        await claim(session, stranger, item.id)


async def test_a_released_item_keeps_its_rank(session: AsyncSession) -> None:
    company, item = await one_item(session)
    rank = item.rank
    await claim(session, company.ayumi, item.id)
    back = await release(session, company.ayumi, item.id)
    assert (back.state, back.rank, back.agent_id, await load_of(session, company.ayumi)) == (
        State.QUEUED, rank, None, 0,
    )  # fmt: skip


async def test_a_colleague_cannot_release_but_a_supervisor_can(session: AsyncSession) -> None:
    company, item = await one_item(session)
    await claim(session, company.ayumi, item.id)
    with pytest.raises(Conflict, match="Ayumi holds"):
        await release(session, company.finn, item.id)
    boss = await add_agent(session, company.team, "Boss", role=Role.SUPERVISOR)
    assert (await release(session, boss, item.id)).state == State.QUEUED


async def test_an_accepted_offer_is_an_assignment(session: AsyncSession) -> None:
    company, item = await one_item(session)
    offer = await offered(session, company, item)
    held = await accept(session, company.ayumi, item.id)
    await session.refresh(offer)
    live = await session.scalar(select(Assignment.agent_id).where(Assignment.until.is_(None)))
    assert (held.state, offer.outcome, live) == (State.ACTIVE, Outcome.ACCEPTED, company.ayumi.id)
    assert await load_of(session, company.ayumi) == 1


async def test_only_the_agent_it_was_offered_to_can_accept(session: AsyncSession) -> None:
    company, item = await one_item(session)
    await offered(session, company, item)
    with pytest.raises(Conflict):
        await accept(session, company.finn, item.id)
    with pytest.raises(Conflict, match="Ayumi has item"):
        await claim(session, company.finn, item.id)


async def test_a_declined_offer_goes_back_with_its_rank(session: AsyncSession) -> None:
    company, item = await one_item(session)
    rank = item.rank
    await offered(session, company, item)
    back = await decline(session, company.ayumi, item.id, "not my product")
    assert (back.state, back.rank, await load_of(session, company.ayumi)) == (State.QUEUED, rank, 0)


async def test_an_expired_offer_cannot_be_accepted_even_before_it_was_swept(session: AsyncSession) -> None:
    company, item = await one_item(session)
    await offered(session, company, item)
    await session.execute(update(Offer).values(expires_at=func.now() - timedelta(seconds=1)))
    with pytest.raises(Conflict, match="is over"):
        await accept(session, company.ayumi, item.id)


async def test_too_many_misses_in_a_row_set_the_agent_not_ready(session: AsyncSession) -> None:
    company, item = await one_item(session, misses_limit=2)
    for _ in range(2):
        await session.refresh(item)
        await offered(session, company, item)
        assert await run_out(session) == 1
    presence = await session.get_one(Presence, company.ayumi.id, populate_existing=True)
    assert (presence.state, presence.reason, presence.load) == (PresenceState.NOT_READY, NotReadyReason.MISSED, 0)
    assert [i.state for i in await items(session)] == [State.QUEUED]


async def test_no_offer_to_an_agent_without_room(session: AsyncSession) -> None:
    company, item = await one_item(session)
    await session.execute(update(Agent).values(capacity=0))
    assert await make_offer(session, Proposal(item.id, item.version, company.ayumi.id, {})) is None


async def test_no_offer_of_an_item_that_moved_since_it_was_seen(session: AsyncSession) -> None:
    company, item = await one_item(session)
    seen = item.version
    await claim(session, company.finn, item.id)
    assert await make_offer(session, Proposal(item.id, seen, company.ayumi.id, {})) is None


async def test_who_goes_not_ready_gives_offers_back_at_once(session: AsyncSession) -> None:
    company, item = await one_item(session)
    await offered(session, company, item)
    await set_presence(session, company.ayumi, PresenceState.NOT_READY, NotReadyReason.LUNCH)
    assert [(i.state, i.agent_id) for i in await items(session)] == [(State.QUEUED, None)]
    with pytest.raises(Invalid, match="choose a reason"):
        await set_presence(session, company.ayumi, PresenceState.NOT_READY)


async def test_handing_back_empties_an_agents_hands(session: AsyncSession) -> None:
    company, item = await one_item(session)
    await claim(session, company.ayumi, item.id)
    await hand_back(session, company.ayumi.id, agent_actor(company.ayumi.id), because="the shift ended")
    assert ([i.state for i in await items(session)], await load_of(session, company.ayumi)) == ([State.QUEUED], 0)


async def test_a_parked_item_frees_capacity_and_wakes_in_time(session: AsyncSession) -> None:
    company, item = await one_item(session)
    await claim(session, company.ayumi, item.id)
    now = (await session.execute(select(func.now()))).scalar_one()
    await park(session, company.ayumi, item.id, now + timedelta(minutes=5), ParkReason.CUSTOMER)
    assert await load_of(session, company.ayumi) == 0
    await session.execute(update(Item).values(parked_until=now - timedelta(minutes=1)))
    assert await wake_due(session) == 1
    [woken] = await items(session)
    assert (woken.state, woken.agent_id, await load_of(session, company.ayumi)) == (
        State.ACTIVE, company.ayumi.id, 1,
    )  # fmt: skip


async def test_a_parked_item_wakes_into_the_queue_when_its_agent_is_gone(session: AsyncSession) -> None:
    company, item = await one_item(session)
    await claim(session, company.ayumi, item.id)
    now = (await session.execute(select(func.now()))).scalar_one()
    await park(session, company.ayumi, item.id, now + timedelta(minutes=5))
    await set_presence(session, company.ayumi, PresenceState.OFFLINE)
    await session.execute(update(Item).values(parked_until=now - timedelta(minutes=1)))
    await wake_due(session)
    assert [(i.state, i.agent_id) for i in await items(session)] == [(State.QUEUED, None)]
    assert await session.scalar(select(func.count()).where(Assignment.until.is_(None))) == 0


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(days=91)])
async def test_parking_until_the_past_or_next_year_is_refused(session: AsyncSession, ahead: timedelta) -> None:
    company, item = await one_item(session)
    await claim(session, company.ayumi, item.id)
    now = (await session.execute(select(func.now()))).scalar_one()
    with pytest.raises(Invalid, match="between now and"):
        await park(session, company.ayumi, item.id, now + ahead)


async def test_going_on_with_a_parked_item_by_hand(session: AsyncSession) -> None:
    company, item = await one_item(session)
    await claim(session, company.ayumi, item.id)
    now = (await session.execute(select(func.now()))).scalar_one()
    await park(session, company.ayumi, item.id, now + timedelta(minutes=5))
    assert (await wake_by_hand(session, company.ayumi, item.id)).state == State.ACTIVE


async def test_closing_says_how_it_ended_and_frees_the_agent(session: AsyncSession) -> None:
    company, item = await one_item(session)
    await claim(session, company.ayumi, item.id)
    closed = await close(session, company.ayumi, item.id, Disposition.ELSEWHERE)
    assert (closed.state, closed.disposition, await load_of(session, company.ayumi)) == (
        State.CLOSED, Disposition.ELSEWHERE, 0,
    )  # fmt: skip


async def test_closing_is_refused_when_the_customer_wrote_meanwhile(session: AsyncSession) -> None:
    company, item = await one_item(session)
    await claim(session, company.ayumi, item.id)
    seen = item.post_id
    await ingest(session, company.feed, [post(2, thread_id="thread-1")])
    with pytest.raises(Conflict, match="wrote again"):
        await close(session, company.ayumi, item.id, Disposition.ANSWERED, seen=seen)


async def test_a_colleagues_item_can_be_neither_closed_nor_discarded(session: AsyncSession) -> None:
    company, item = await one_item(session)
    await claim(session, company.ayumi, item.id)
    verbs: list[Callable[[], Awaitable[Item]]] = [
        lambda: close(session, company.finn, item.id, Disposition.ANSWERED),
        lambda: discard(session, company.finn, item.id),
    ]
    for verb in verbs:
        with pytest.raises(Forbidden):
            await verb()


async def test_a_discarded_item_can_be_reopened(session: AsyncSession) -> None:
    company, item = await one_item(session)
    await discard(session, company.ayumi, item.id)
    back = await reopen(session, company.ayumi, item.id)
    assert (back.state, back.disposition, back.ended_at) == (State.QUEUED, None, None)


async def test_an_item_is_not_reopened_beside_an_open_one_of_its_conversation(session: AsyncSession) -> None:
    company, item = await one_item(session)
    await discard(session, company.ayumi, item.id)
    await ingest(session, company.feed, [post(2, thread_id="thread-1")])
    with pytest.raises(Conflict, match="is open already"):
        await reopen(session, company.ayumi, item.id)


@pytest.mark.parametrize("text", ["", "  ", "x" * 10_001])
async def test_an_empty_or_endless_note_is_refused(session: AsyncSession, text: str) -> None:
    company, item = await one_item(session)
    with pytest.raises(Invalid):
        await note(session, company.ayumi, item.id, text)


def test_every_state_has_its_row_in_the_transition_table() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {to for row in TRANSITIONS.values() for ends in row.values() for to in ends} == set(State)
    assert {verb for row in TRANSITIONS.values() for verb in row} == set(Verb) - {
        Verb.OPEN,
        Verb.JOIN,
        Verb.ANSWER,
        Verb.RAISE,
        Verb.EXTEND,
        Verb.EDIT,
        Verb.WITHDRAW,
        Verb.RETRACT,
        Verb.HIDE,
        Verb.SHOW,
        Verb.AMEND,
        Verb.TAG,
        Verb.UNTAG,
        Verb.PRIORITISE,
    }
