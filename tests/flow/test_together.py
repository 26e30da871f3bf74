"""Watching, mentioning, asking for, taking over, asking experts, looking on: who is told what, and who sees what."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict, Forbidden, Invalid, NotFound
from app.flow import consult, item_request, watch
from app.flow.claim import claim
from app.flow.close import close
from app.flow.draft import load_draft, save_draft
from app.flow.ingest import ingest
from app.flow.note import note
from app.flow.notices import drop_old, mark_read
from app.flow.park import park
from app.flow.take_over import take_over
from app.flow.viewing import look, look_away
from app.flow.visibility import readable_item, visible_item
from app.flow.wake import wake_due
from app.models.agent import Agent, Presence, PresenceState, Role, Team
from app.models.event import Event
from app.models.item import Disposition, Item, ParkReason, State
from app.models.queue import Queue
from app.models.sight import visible_queues
from app.models.together import Notice, NoticeKind, Viewer
from app.queries.together import notices, onlookers, unread, untold, wanted
from tests.company import Company, add_agent, add_skill, items, make_company, post
from tests.properties.invariants import broken
from tests.properties.invariants import untold as untold_events


class Scene:
    """Ayumi holds the only item; Finn is her colleague, Marta supervises them, Olga is of another team."""

    def __init__(self, session: AsyncSession, company: Company, item: Item, people: dict[str, Agent]) -> None:
        self.session, self.company, self.item = session, company, item
        self.ayumi, self.finn = company.ayumi, company.finn
        self.marta, self.olga = people["Marta"], people["Olga"]

    async def told(self, agent: Agent) -> list[tuple[str, int | None]]:
        """What the agent may read among their notices, the oldest first: kind, and by whom."""
        kept = {one.id for one in await notices(self.session, agent, visible_queues(agent), 50)}
        found = await self.session.scalars(select(Notice).where(Notice.id.in_(kept)).order_by(Notice.id))
        return [(one.kind, one.actor_id) for one in found]

    async def unread(self, agent: Agent) -> int:
        return await unread(self.session, agent, visible_queues(agent))

    async def presence(self, agent: Agent, **values: Any) -> None:
        await self.session.execute(update(Presence).where(Presence.agent_id == agent.id).values(values))

    async def fresh(self) -> Item:
        return await self.session.get_one(Item, self.item.id, populate_existing=True)

    async def ask(self, whom: consult.Whom | None = None, *, park: bool = False) -> int:
        asked = whom or consult.Whom("agent", self.olga.id)
        return (await consult.consult(self.session, self.ayumi, self.item.id, asked, "Is it void?", park=park)).id


@pytest.fixture
async def scene(session: AsyncSession) -> Scene:
    company = await make_company(session)
    shop = Team(name="Shop")
    session.add(shop)
    await session.flush()
    people = {
        "Marta": await add_agent(session, company.team, "Marta", role=Role.SUPERVISOR),
        "Olga": await add_agent(session, shop, "Olga"),
    }
    await ingest(session, company.feed, [post(1)])
    item = (await items(session))[0]
    return Scene(session, company, await claim(session, company.ayumi, item.id), people)


# Watching


async def test_a_watcher_is_told_of_what_others_do_and_not_of_their_own_acts(scene: Scene) -> None:
    await watch.watch(scene.session, scene.finn, scene.item.id)
    await note(scene.session, scene.finn, scene.item.id, "Mine.")
    await watch.tell_news(scene.session)
    assert await scene.told(scene.finn) == []
    await close(scene.session, scene.ayumi, scene.item.id, Disposition.NO_REPLY)
    assert await watch.tell_news(scene.session) == 1
    assert await scene.told(scene.finn) == [(NoticeKind.WATCHED, scene.ayumi.id)]


async def test_a_new_post_is_told_once_however_often_one_looks(scene: Scene) -> None:
    await watch.watch(scene.session, scene.finn, scene.item.id)
    again = post(2, "Hello?", thread_id="thread-1", author="author-1")
    await ingest(scene.session, scene.company.feed, [again])
    assert [await watch.tell_news(scene.session) for _ in range(2)] == [1, 0]


async def test_what_was_not_read_yet_is_replaced_by_the_newest(scene: Scene) -> None:
    await watch.watch(scene.session, scene.finn, scene.item.id)
    for text in ("One.", "Two."):
        await note(scene.session, scene.ayumi, scene.item.id, text)
    [told] = await notices(scene.session, scene.finn, visible_queues(scene.finn), 10)
    assert told.why == {"what": "note", "said": "Two."}


async def test_who_watches_no_longer_is_told_nothing(scene: Scene) -> None:
    await watch.watch(scene.session, scene.finn, scene.item.id)
    await watch.unwatch(scene.session, scene.finn, scene.item.id)
    await note(scene.session, scene.ayumi, scene.item.id, "One.")
    assert await scene.told(scene.finn) == []


async def test_nobody_watches_what_they_may_not_see(scene: Scene) -> None:
    with pytest.raises(NotFound):
        await watch.watch(scene.session, scene.olga, scene.item.id)


async def test_a_notice_of_what_one_may_not_see_any_more_is_neither_shown_nor_counted(scene: Scene) -> None:
    await watch.watch(scene.session, scene.finn, scene.item.id)
    await note(scene.session, scene.ayumi, scene.item.id, "A secret.")
    assert await scene.unread(scene.finn) == 1
    shop = await scene.session.scalar(select(Team.id).where(Team.name == "Shop"))
    elsewhere = Queue(name="Legal", team_id=shop)
    scene.session.add(elsewhere)
    await scene.session.flush()
    await scene.session.execute(update(Item).values(queue_id=elsewhere.id))
    assert await scene.told(scene.finn) == []
    assert await scene.unread(scene.finn) == 0


# Mentions


async def test_a_mention_tells_and_watches(scene: Scene) -> None:
    await note(scene.session, scene.ayumi, scene.item.id, "Could @finn look? Thanks, @Marta.")
    assert await scene.told(scene.finn) == [(NoticeKind.MENTION, scene.ayumi.id)]
    assert await scene.told(scene.marta) == [(NoticeKind.MENTION, scene.ayumi.id)]
    await note(scene.session, scene.ayumi, scene.item.id, "More.")
    assert (await scene.told(scene.finn))[-1] == (NoticeKind.WATCHED, scene.ayumi.id)


@pytest.mark.parametrize("text", ["mail finn@example.com", "@finnegan did it", "@@finn", "just finn", "@Ayumi"])
async def test_what_only_looks_like_a_mention_tells_nobody(scene: Scene, text: str) -> None:
    await note(scene.session, scene.ayumi, scene.item.id, text)
    assert await scene.session.scalar(select(func.count()).select_from(Notice)) == 0


async def test_the_longest_name_is_meant(scene: Scene) -> None:
    other = Agent(email="fe@northwind.example", name="Finn Eriksen", password_hash="-")
    scene.session.add(other)
    await scene.session.flush()
    await note(scene.session, scene.ayumi, scene.item.id, "@Finn Eriksen knows.")
    assert await scene.told(scene.finn) == []


async def test_who_cannot_see_it_is_not_told_and_the_writer_learns_so(scene: Scene) -> None:
    written = await note(scene.session, scene.ayumi, scene.item.id, "@Olga?")
    assert await scene.session.scalar(select(func.count()).select_from(Notice)) == 0
    assert await untold(scene.session, scene.item.id, scene.ayumi.id) == {written.id: [(scene.olga.id, "Olga")]}
    assert await untold(scene.session, scene.item.id, scene.finn.id) == {}


# Asking for, giving, keeping, taking over


async def test_the_holder_is_asked_and_gives_it_with_what_they_began_to_write(scene: Scene) -> None:
    await save_draft(scene.session, scene.ayumi, scene.item.id, "Dear", "public")
    for _ in range(2):
        await item_request.ask_for(scene.session, scene.finn, scene.item.id)
    assert await scene.told(scene.ayumi) == [(NoticeKind.WANTED, scene.finn.id)]
    [asked] = await wanted(scene.session, await scene.fresh())

    given = await item_request.give(scene.session, scene.ayumi, scene.item.id, asked.id)

    assert (given.state, given.agent_id) == (State.ACTIVE, scene.finn.id)
    assert await scene.told(scene.finn) == [(NoticeKind.GIVEN, scene.ayumi.id)]
    draft = await load_draft(scene.session, scene.finn, scene.item.id)
    assert draft is not None
    assert draft.text == "Dear"
    assert await wanted(scene.session, given) == []


async def test_the_holder_keeps_it_and_may_be_asked_again(scene: Scene) -> None:
    await item_request.ask_for(scene.session, scene.finn, scene.item.id)
    [asked] = await wanted(scene.session, await scene.fresh())
    await item_request.keep(scene.session, scene.ayumi, scene.item.id, asked.id)
    assert await scene.told(scene.finn) == [(NoticeKind.KEPT, scene.ayumi.id)]
    with pytest.raises(Conflict, match="This request is over"):
        await item_request.give(scene.session, scene.ayumi, scene.item.id, asked.id)
    await item_request.ask_for(scene.session, scene.finn, scene.item.id)
    assert len(await wanted(scene.session, await scene.fresh())) == 1


async def test_a_request_taken_back_cannot_be_met(scene: Scene) -> None:
    await item_request.ask_for(scene.session, scene.finn, scene.item.id)
    [asked] = await wanted(scene.session, await scene.fresh())
    await item_request.withdraw(scene.session, scene.finn, scene.item.id)
    with pytest.raises(Conflict, match="This request is over"):
        await item_request.give(scene.session, scene.ayumi, scene.item.id, asked.id)


async def test_only_the_holder_gives_and_a_stranger_asks_for_nothing(scene: Scene) -> None:
    await item_request.ask_for(scene.session, scene.finn, scene.item.id)
    [asked] = await wanted(scene.session, await scene.fresh())
    with pytest.raises(Forbidden, match="You do not hold item"):
        await item_request.give(scene.session, scene.finn, scene.item.id, asked.id)
    with pytest.raises(NotFound):
        await item_request.give(scene.session, scene.ayumi, scene.item.id, asked.id + 1)
    with pytest.raises(NotFound):
        await item_request.ask_for(scene.session, scene.olga, scene.item.id)


async def test_a_supervisor_takes_it_over_and_the_former_holder_learns_so(scene: Scene) -> None:
    await save_draft(scene.session, scene.ayumi, scene.item.id, "Dear", "public")
    taken = await take_over(scene.session, scene.marta, scene.item.id, scene.ayumi.id)
    assert (taken.state, taken.agent_id) == (State.ACTIVE, scene.marta.id)
    assert await scene.told(scene.ayumi) == [(NoticeKind.TAKEN, scene.marta.id)]
    event = (await scene.session.scalars(select(Event).order_by(Event.id.desc()).limit(1))).one()
    assert (event.agent_id, event.why["taken"], event.why["from"]) == (scene.marta.id, True, scene.ayumi.id)
    assert await load_draft(scene.session, scene.marta, scene.item.id) is not None
    assert [*await broken(scene.session), *await untold_events(scene.session)] == []


async def test_a_colleague_waits_until_the_holder_has_been_away(scene: Scene) -> None:
    with pytest.raises(Forbidden, match="Ayumi holds it, and is there"):
        await take_over(scene.session, scene.finn, scene.item.id)
    long_ago = func.now() - timedelta(minutes=11)
    await scene.presence(scene.ayumi, state=PresenceState.NOT_READY, reason="Break", since=func.now())
    with pytest.raises(Forbidden):
        await take_over(scene.session, scene.finn, scene.item.id)
    await scene.presence(scene.ayumi, since=long_ago)
    assert (await take_over(scene.session, scene.finn, scene.item.id)).agent_id == scene.finn.id


async def test_a_silent_desk_counts_as_away(scene: Scene) -> None:
    await scene.presence(scene.ayumi, seen_at=func.now() - timedelta(minutes=11))
    assert (await take_over(scene.session, scene.finn, scene.item.id)).agent_id == scene.finn.id


async def test_a_queue_may_let_anybody_take_over_at_once(scene: Scene) -> None:
    await scene.session.execute(update(Queue).values(take_over_after=0))
    assert (await take_over(scene.session, scene.finn, scene.item.id)).agent_id == scene.finn.id


async def test_who_saw_another_holder_takes_nothing(scene: Scene) -> None:
    with pytest.raises(Conflict, match="has gone to somebody else"):
        await take_over(scene.session, scene.marta, scene.item.id, scene.finn.id)


# Asking experts


async def test_who_is_asked_may_read_that_item_write_notes_and_answer_and_nothing_else(scene: Scene) -> None:
    asked = await scene.ask()
    assert await scene.told(scene.olga) == [(NoticeKind.CONSULT, scene.ayumi.id)]
    assert (await readable_item(scene.session, scene.olga, scene.item.id)).id == scene.item.id
    await note(scene.session, scene.olga, scene.item.id, "I look.")
    with pytest.raises(NotFound):
        await visible_item(scene.session, scene.olga, scene.item.id)
    with pytest.raises(NotFound):
        await close(scene.session, scene.olga, scene.item.id, Disposition.SPAM)
    await consult.answer(scene.session, scene.olga, scene.item.id, asked, "Yes.")
    assert (NoticeKind.ANSWER, scene.olga.id) in await scene.told(scene.ayumi)


async def test_sight_ends_with_the_item(scene: Scene) -> None:
    await scene.ask()
    await close(scene.session, scene.ayumi, scene.item.id, Disposition.NO_REPLY)
    with pytest.raises(NotFound):
        await readable_item(scene.session, scene.olga, scene.item.id)
    assert await scene.told(scene.olga) == []


async def test_sight_ends_when_the_question_is_taken_back(scene: Scene) -> None:
    asked = await scene.ask()
    with pytest.raises(Forbidden):
        await consult.withdraw(scene.session, scene.finn, scene.item.id, asked)
    await consult.withdraw(scene.session, scene.ayumi, scene.item.id, asked)
    with pytest.raises(NotFound):
        await consult.answer(scene.session, scene.olga, scene.item.id, asked, "Yes.")


async def test_the_first_of_those_with_a_skill_answers_and_the_others_see_it_no_more(scene: Scene) -> None:
    skill = scene.company.skills["Billing"]
    shop = await scene.session.scalar(select(Team).where(Team.name == "Shop"))
    assert shop is not None
    petra = await add_agent(scene.session, shop, "Petra")
    for agent in (scene.olga, petra, scene.ayumi):
        await add_skill(scene.session, agent, skill, 3)
    asked = await scene.ask(consult.Whom("skill", skill.id))
    assert [len(await scene.told(one)) for one in (scene.olga, petra, scene.ayumi)] == [1, 1, 0]
    await consult.answer(scene.session, petra, scene.item.id, asked, "Yes.")
    assert (await readable_item(scene.session, petra, scene.item.id)).id == scene.item.id
    with pytest.raises(NotFound):
        await consult.answer(scene.session, scene.olga, scene.item.id, asked, "No.")


async def test_a_colleague_who_is_not_asked_does_not_answer(scene: Scene) -> None:
    asked = await scene.ask()
    with pytest.raises(Forbidden, match="Somebody else is asked"):
        await consult.answer(scene.session, scene.finn, scene.item.id, asked, "Me!")


async def test_parked_for_an_expert_it_wakes_with_the_last_answer(scene: Scene) -> None:
    first = await scene.ask(consult.Whom("agent", scene.finn.id))
    second = await scene.ask(park=True)
    parked = await scene.fresh()
    assert (parked.state, parked.parked_for) == (State.PARKED, ParkReason.EXPERT)
    await consult.answer(scene.session, scene.olga, scene.item.id, second, "Yes.")
    assert (await scene.fresh()).state == State.PARKED
    await consult.answer(scene.session, scene.finn, scene.item.id, first, "Also yes.")
    assert ((await scene.fresh()).state, (await scene.fresh()).agent_id) == (State.ACTIVE, scene.ayumi.id)


async def test_one_parks_for_an_expert_only_what_one_holds(scene: Scene) -> None:
    with pytest.raises(Conflict, match="cannot park it"):
        await consult.consult(
            scene.session, scene.finn, scene.item.id, consult.Whom("agent", scene.olga.id), "So?", park=True
        )


@pytest.mark.parametrize("question", ["", "   "])
async def test_a_question_asks_somebody_something(scene: Scene, question: str) -> None:
    whom = consult.Whom("agent", scene.olga.id)
    with pytest.raises(Invalid):
        await consult.consult(scene.session, scene.ayumi, scene.item.id, whom, question)
    with pytest.raises(Invalid, match="Nobody is there"):
        await consult.consult(scene.session, scene.ayumi, scene.item.id, consult.Whom("agent", scene.ayumi.id), "Me?")


# Other notices


async def test_who_parked_it_is_told_when_it_wakes(scene: Scene) -> None:
    soon = await scene.session.scalar(select(func.now() + timedelta(hours=1)))
    await park(scene.session, scene.ayumi, scene.item.id, soon)
    await scene.session.execute(update(Item).values(parked_until=func.now() - timedelta(seconds=1)))
    await wake_due(scene.session)
    assert await scene.told(scene.ayumi) == [(NoticeKind.WOKE, None)]


async def test_reading_is_counted_and_old_notices_go(scene: Scene) -> None:
    await note(scene.session, scene.ayumi, scene.item.id, "@Finn @Marta")
    assert await scene.unread(scene.finn) == 1
    assert await mark_read(scene.session, scene.finn, scene.item.id) == 1
    assert [await scene.unread(one) for one in (scene.finn, scene.marta)] == [0, 1]
    await drop_old(scene.session)
    assert await scene.session.scalar(select(func.count()).select_from(Notice)) == 2
    await scene.session.execute(update(Notice).values(at=func.now() - timedelta(days=31)))
    await drop_old(scene.session)
    assert await scene.session.scalar(select(func.count()).select_from(Notice)) == 0


# Looking on


async def test_one_sees_who_else_looks_and_types_until_they_leave_or_fall_silent(scene: Scene) -> None:
    await look(scene.session, scene.finn, scene.item.id, typing=True)
    await look(scene.session, scene.ayumi, scene.item.id, typing=False)
    seen = (await onlookers(scene.session, [scene.item.id], scene.ayumi.id))[scene.item.id]
    assert [(one.name, one.typing) for one in seen] == [("Finn", True)]
    await scene.session.execute(update(Viewer).values(typing_at=func.now() - timedelta(seconds=7)))
    assert not (await onlookers(scene.session, [scene.item.id], scene.ayumi.id))[scene.item.id][0].typing
    await scene.session.execute(update(Viewer).values(seen_at=func.now() - timedelta(seconds=16)))
    assert await onlookers(scene.session, [scene.item.id], scene.ayumi.id) == {}
    await look(scene.session, scene.finn, scene.item.id, typing=False)
    await look_away(scene.session, scene.finn, scene.item.id)
    assert await onlookers(scene.session, [scene.item.id], scene.ayumi.id) == {}


async def test_a_sign_is_told_to_others_only_when_it_changes_something(scene: Scene) -> None:
    told = []
    for typing in (False, False, True, True, False):
        scene.session.sync_session.info.pop("changes", None)
        await look(scene.session, scene.finn, scene.item.id, typing=typing)
        told.append("viewers" in scene.session.sync_session.info.get("changes", {}))
    assert told == [True, False, True, False, True]


async def test_a_stranger_does_not_look_on(scene: Scene) -> None:
    with pytest.raises(NotFound):
        await look(scene.session, scene.olga, scene.item.id, typing=False)
