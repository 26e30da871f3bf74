"""A supervisor gives an item to an agent: an offer, or straight into their hands."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict, Forbidden, Invalid, NotFound
from app.flow.assign import assign
from app.flow.claim import claim
from app.flow.draft import load_draft, save_draft
from app.flow.offer import accept
from app.flow.park import park
from app.models.agent import Agent, PresenceState, Role
from app.models.assignment import Assignment, Offer, Outcome
from app.models.item import Item, ParkReason, State, Verb
from tests.company import items
from tests.flow.scene import Scene


class Gift(Scene):
    """The item waits, and Marta gives it."""

    async def give(self, agent: Agent, *, force: bool, by: Agent | None = None) -> Item:
        return await assign(self.session, by or self.marta, self.item.id, agent.id, force=force)


@pytest.fixture
async def scene(session: AsyncSession) -> Gift:
    return await Gift.begin(session)


async def test_by_force_it_is_in_their_hands_at_once_and_the_history_says_who_did_it(scene: Gift) -> None:
    given = await scene.give(scene.finn, force=True)

    assert (given.state, given.agent_id) == (State.ACTIVE, scene.finn.id)
    assert (await scene.presence(scene.finn)).load == 1
    held = (await scene.session.scalars(select(Assignment).where(Assignment.until.is_(None)))).one()
    assert (held.agent_id, held.began_by) == (scene.finn.id, Verb.ASSIGN)
    told = await scene.last_event()
    assert (told.verb, told.agent_id, told.why["because"]) == (Verb.ASSIGN, scene.marta.id, "Marta gave it to Finn")


async def test_by_force_it_may_exceed_their_capacity_and_find_them_away(scene: Gift) -> None:
    scene.finn.capacity = 0
    await scene.presence(scene.finn, state=PresenceState.OFFLINE)
    assert (await scene.give(scene.finn, force=True)).state == State.ACTIVE
    assert (await scene.presence(scene.finn)).load == 1


async def test_from_a_colleagues_hands_it_goes_over_and_the_draft_stays_with_its_writer(scene: Gift) -> None:
    ayumi, finn = scene.ayumi, scene.finn
    await claim(scene.session, ayumi, scene.item.id)
    await save_draft(scene.session, ayumi, scene.item.id, "Dear", "public")

    given = await scene.give(finn, force=True)

    assert (given.state, given.agent_id) == (State.ACTIVE, finn.id)
    assert [(await scene.presence(agent)).load for agent in (ayumi, finn)] == [0, 1]
    rows = (await scene.session.scalars(select(Assignment).order_by(Assignment.id))).all()
    ends = [(row.agent_id, row.ended_by) for row in rows]
    assert ends == [(ayumi.id, Verb.TRANSFER), (finn.id, None)]
    draft = await load_draft(scene.session, ayumi, scene.item.id)
    assert draft is not None
    assert draft.text == "Dear"
    assert await load_draft(scene.session, finn, scene.item.id) is None


async def test_parked_by_a_colleague_it_wakes_in_the_new_hands(scene: Gift) -> None:
    await claim(scene.session, scene.ayumi, scene.item.id)
    await park(scene.session, scene.ayumi, scene.item.id, datetime.now(UTC) + timedelta(days=1), ParkReason.SNOOZE)
    given = await scene.give(scene.finn, force=True)
    assert (given.state, given.agent_id, given.parked_until) == (State.ACTIVE, scene.finn.id, None)
    live = (await scene.session.scalars(select(Assignment).where(Assignment.until.is_(None)))).all()
    assert [one.agent_id for one in live] == [scene.finn.id]


async def test_as_an_offer_it_is_asked_and_says_by_whom(scene: Gift) -> None:
    offered = await scene.give(scene.finn, force=False)

    assert (offered.state, offered.agent_id) == (State.OFFERED, scene.finn.id)
    offer = (await scene.session.scalars(select(Offer))).one()
    assert offer.why == {"by": scene.marta.id, "by_name": "Marta"}
    told = await scene.last_event()
    assert (told.verb, told.actor, told.agent_id) == (Verb.OFFER, "agent", scene.marta.id)
    assert (await accept(scene.session, scene.finn, scene.item.id)).state == State.ACTIVE
    assert (await scene.presence(scene.finn)).load == 1


async def test_somebody_on_a_break_may_be_asked_by_a_person(scene: Gift) -> None:
    await scene.presence(scene.finn, state=PresenceState.NOT_READY, reason="break")
    assert (await scene.give(scene.finn, force=False)).state == State.OFFERED


@pytest.mark.parametrize("force", [True, False])
async def test_who_was_being_asked_loses_the_offer(scene: Gift, *, force: bool) -> None:
    await scene.give(scene.ayumi, force=False)

    given = await scene.give(scene.finn, force=force)

    assert (given.state, given.agent_id) == (State.ACTIVE if force else State.OFFERED, scene.finn.id)
    first = (await scene.session.scalars(select(Offer).order_by(Offer.id).limit(1))).one()
    assert (first.agent_id, first.outcome) == (scene.ayumi.id, Outcome.REVOKED)
    assert [(await scene.presence(one)).load for one in (scene.ayumi, scene.finn)] == [0, 1]


async def test_an_offer_needs_somebody_who_is_there_and_has_room(scene: Gift) -> None:
    finn = scene.finn
    await scene.presence(finn, state=PresenceState.OFFLINE)
    with pytest.raises(Conflict, match="Finn is not signed in"):
        await scene.give(finn, force=False)
    await scene.presence(finn, state=PresenceState.READY)
    finn.capacity = 0
    with pytest.raises(Conflict, match="Finn has no room for item"):
        await scene.give(finn, force=False)
    assert (await items(scene.session))[0].state == State.QUEUED


async def test_what_a_colleague_holds_is_not_offered_around(scene: Gift) -> None:
    await claim(scene.session, scene.ayumi, scene.item.id)
    with pytest.raises(Conflict, match="only what waits can be offered"):
        await scene.give(scene.finn, force=False)


async def test_only_somebody_of_the_team_whose_account_is_on_can_be_given_it(scene: Gift) -> None:
    stranger = await scene.stranger()
    scene.finn.active = False
    for agent in (stranger, scene.finn):
        with pytest.raises(Invalid, match="Choose somebody of the queue's team"):
            await scene.give(agent, force=True)


async def test_only_a_supervisor_of_the_team_gives(scene: Gift) -> None:
    with pytest.raises(Forbidden, match="Only supervisors"):
        await scene.give(scene.finn, force=True, by=scene.ayumi)
    other = await scene.stranger(role=Role.SUPERVISOR)
    with pytest.raises(NotFound):
        await scene.give(scene.finn, force=True, by=other)


async def test_who_has_it_is_not_given_it_again(scene: Gift) -> None:
    await scene.give(scene.finn, force=True)
    with pytest.raises(Conflict, match="Finn has item"):
        await scene.give(scene.finn, force=True)
