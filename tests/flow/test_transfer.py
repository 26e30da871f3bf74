"""Transfer: to a colleague, to another queue, to whoever has a skill; with a note, and with its rank kept."""

from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict, Forbidden, Invalid, NotFound
from app.flow.claim import claim
from app.flow.draft import load_draft, save_draft
from app.flow.offer import decline
from app.flow.park import park
from app.flow.transfer import to_agent, to_line
from app.models.agent import Agent, PresenceState
from app.models.assignment import Assignment, Offer
from app.models.item import Item, State, Verb
from app.models.queue import Queue
from app.models.reply import Note
from app.models.together import Notice, NoticeKind
from tests.company import add_skill
from tests.flow.scene import Scene
from tests.properties.invariants import broken, untold


class Transfer(Scene):
    """Ayumi holds the item; Finn could take it."""

    async def give(self, *, straight: bool = True, by: Agent | None = None, **more: Any) -> Item:
        return await to_agent(self.session, by or self.ayumi, self.item.id, self.finn.id, straight=straight, **more)

    async def send(self, *, by: Agent | None = None, **more: Any) -> Item:
        return await to_line(self.session, by or self.ayumi, self.item.id, **more)


@pytest.fixture
async def scene(session: AsyncSession) -> Transfer:
    scene = await Transfer.begin(session)
    scene.item = await claim(session, scene.ayumi, scene.item.id)
    return scene


@pytest.fixture
async def skill(scene: Transfer) -> int:
    return scene.company.skills["Billing"].id


async def test_straight_it_is_in_their_hands_with_the_note_and_a_notice(scene: Transfer) -> None:
    given = await scene.give(note="She moved to Bremen.")

    assert (given.state, given.agent_id) == (State.ACTIVE, scene.finn.id)
    note = (await scene.session.scalars(select(Note))).one()
    assert (note.agent_id, note.text) == (scene.ayumi.id, "She moved to Bremen.")
    notice = (await scene.session.scalars(select(Notice))).one()
    assert (notice.agent_id, notice.kind, notice.actor_id) == (scene.finn.id, NoticeKind.TRANSFER, scene.ayumi.id)
    assert notice.why == {"said": "She moved to Bremen."}
    told = await scene.last_event()
    assert (told.verb, told.agent_id, told.why["note"]) == (Verb.TRANSFER, scene.ayumi.id, "She moved to Bremen.")


async def test_as_an_offer_it_may_be_declined_and_waits_then_with_its_rank(scene: Transfer) -> None:
    rank = scene.item.rank
    offered = await scene.give(straight=False, note="Yours?")
    assert (offered.state, offered.agent_id) == (State.OFFERED, scene.finn.id)
    offer = (await scene.session.scalars(select(Offer))).one()
    assert offer.why == {"by": scene.ayumi.id, "by_name": "Ayumi", "note": "Yours?"}

    back = await decline(scene.session, scene.finn, scene.item.id, "other")
    assert (back.state, back.agent_id, back.rank) == (State.QUEUED, None, rank)


async def test_to_a_queue_it_keeps_its_rank_and_what_it_asks_for(scene: Transfer) -> None:
    other = Queue(name="Returns", team_id=scene.company.team.id)
    scene.session.add(other)
    await scene.session.flush()
    sent = await scene.send(queue_id=other.id, note="A return.")
    assert (sent.state, sent.queue_id, sent.agent_id, sent.lane) == (State.QUEUED, other.id, None, str(other.id))
    assert sent.rank == scene.item.rank
    live = select(func.count()).select_from(Assignment).where(Assignment.until.is_(None))
    assert await scene.session.scalar(live) == 0
    assert (await scene.presence(scene.ayumi)).load == 0
    assert (await scene.last_event()).why["queue"] == "Returns"


async def test_to_a_skill_it_waits_for_somebody_who_has_it(scene: Transfer, skill: int) -> None:
    sent = await scene.send(needs={skill: 4})
    assert (sent.state, sent.requirements) == (State.QUEUED, {str(skill): 4})
    assert sent.lane == f"{sent.queue_id}:{skill}=4"
    assert (await scene.last_event()).why["needs"] == "Billing 4"


async def test_it_does_not_wait_for_who_gave_it_away(scene: Transfer, skill: int) -> None:
    scene.item.preferred_agent_id = scene.ayumi.id
    await scene.session.flush()
    assert (await scene.send(needs={skill: 1})).preferred_agent_id is None


@pytest.mark.parametrize("level", [0, 6])
async def test_a_level_is_one_to_five_and_a_skill_exists(scene: Transfer, skill: int, level: int) -> None:
    with pytest.raises(Invalid, match="a level from 1 to 5"):
        await scene.send(needs={skill: level})
    with pytest.raises(Invalid, match="a skill that exists"):
        await scene.send(needs={skill + 1000: 3})


async def test_a_missing_skill_is_said_and_may_be_overruled(scene: Transfer, skill: int) -> None:
    await scene.send(needs={skill: 3})
    await add_skill(scene.session, scene.ayumi, scene.company.skills["Billing"], 3)
    await claim(scene.session, scene.ayumi, scene.item.id)
    with pytest.raises(Conflict, match="Finn lacks Billing 3"):
        await scene.give()
    assert (await scene.give(overrule=True)).agent_id == scene.finn.id


@pytest.mark.parametrize(
    ("values", "said"),
    [({"load": 5}, "has no room for it"), ({"state": PresenceState.OFFLINE}, "is not signed in")],
)
async def test_a_full_or_absent_colleague_is_given_it_by_a_supervisor_only(
    scene: Transfer, values: dict[str, Any], said: str
) -> None:
    await scene.presence(scene.finn, **values)
    for by in (scene.ayumi, scene.marta):
        with pytest.raises(Conflict, match=said):
            await scene.give(by=by)
    with pytest.raises(Conflict, match="Ask a supervisor"):
        await scene.give(overrule=True)
    assert (await scene.give(by=scene.marta, overrule=True)).agent_id == scene.finn.id


async def test_somebody_on_a_break_is_given_it_when_one_insists(scene: Transfer) -> None:
    await scene.presence(scene.finn, state=PresenceState.NOT_READY, reason="break")
    with pytest.raises(Conflict, match="is not ready"):
        await scene.give()
    assert (await scene.give(overrule=True)).state == State.ACTIVE


async def test_what_a_colleague_holds_is_sent_on_by_a_supervisor_only(scene: Transfer) -> None:
    with pytest.raises(Forbidden, match="A colleague has item"):
        await scene.send(by=scene.finn, needs={})
    sent = await scene.send(by=scene.marta)
    assert (sent.state, sent.agent_id) == (State.QUEUED, None)


async def test_what_waits_is_put_into_hands_by_a_supervisor_only(scene: Transfer) -> None:
    await scene.send()
    with pytest.raises(Forbidden, match="only supervisors put what waits"):
        await scene.give()
    assert (await scene.give(straight=False)).state == State.OFFERED


async def test_what_is_parked_wakes_as_it_is_sent_on(scene: Transfer) -> None:
    soon = await scene.session.scalar(select(func.now() + func.make_interval(0, 0, 0, 1)))
    await park(scene.session, scene.ayumi, scene.item.id, soon)
    given = await scene.give()
    assert (given.state, given.agent_id, given.parked_until) == (State.ACTIVE, scene.finn.id, None)


async def test_a_stranger_is_neither_sender_nor_receiver(scene: Transfer) -> None:
    olga = await scene.stranger()
    with pytest.raises(NotFound):
        await scene.give(by=olga)
    with pytest.raises(Invalid, match="Choose somebody of the queue's team"):
        await to_agent(scene.session, scene.ayumi, scene.item.id, olga.id, straight=True)


async def test_a_refused_transfer_writes_no_note(scene: Transfer) -> None:
    await scene.presence(scene.finn, state=PresenceState.OFFLINE)
    with pytest.raises(Conflict):
        async with scene.session.begin_nested():
            await scene.give(note="Lost?")
    assert await scene.session.scalar(select(func.count()).select_from(Note)) == 0


async def test_a_begun_reply_goes_along(scene: Transfer) -> None:
    await save_draft(scene.session, scene.ayumi, scene.item.id, "Dear", "public")
    await scene.give()
    assert await load_draft(scene.session, scene.ayumi, scene.item.id) is None
    draft = await load_draft(scene.session, scene.finn, scene.item.id)
    assert draft is not None
    assert draft.text == "Dear"


async def test_a_begun_reply_stays_as_a_note_when_nobody_knows_who_goes_on(scene: Transfer, skill: int) -> None:
    await save_draft(scene.session, scene.ayumi, scene.item.id, "Dear", "public")
    await scene.send(needs={skill: 2})
    note = (await scene.session.scalars(select(Note))).one()
    assert (note.agent_id, note.text) == (scene.ayumi.id, "Begun reply, not sent:\n\nDear")


async def test_its_events_still_tell_its_row(scene: Transfer, skill: int) -> None:
    await scene.send(needs={skill: 2})
    await scene.give(by=scene.marta, overrule=True)
    assert [*await broken(scene.session), *await untold(scene.session)] == []
