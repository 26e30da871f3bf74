"""A reply as a thread: posts in order, each once, and a failure in the middle stops there."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import Conflict, Invalid
from app.flow.preferences import prefer
from app.flow.reply import reply, retry, send_now, undo
from app.models.queue import Queue
from app.models.reply import Reply, ReplyState
from tests import parcels
from tests.parcels import FakeParcels
from tests.postoffice import Office, post_office

LONG = " ".join(f"This is sentence number {n} of a long story." for n in range(12))


@pytest.fixture
async def office(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    parcels.register(monkeypatch)
    async with post_office(engine, FakeParcels(), "parcels-keyed") as opened:
        yield opened


async def told(office: Office) -> list[Reply]:
    async with office.sessions() as session:
        return list(await session.scalars(select(Reply).order_by(Reply.id)))


async def states(office: Office) -> list[str]:
    return [one.state for one in await told(office)]


async def test_each_post_leaves_when_the_one_before_it_stands(office: Office) -> None:
    head = await office.hold(await office.ask(), LONG, thread=True, numbered=True)
    posts = await told(office)
    assert len(posts) >= 3
    assert [one.due_at is None for one in posts] == [False, *[True] * (len(posts) - 1)]
    await office.go(head.id)
    for one in posts[1:]:
        await office.go(one.id)
    assert set(await states(office)) == {ReplyState.SENT}
    standing = [entry["text"] for entry in office.fake.world.ledger]
    assert [text.rpartition(" (")[2] for text in standing] == [f"{n}/{len(posts)})" for n in range(1, len(posts) + 1)]
    assert " ".join(text.rpartition(" (")[0] for text in standing) == LONG


async def test_a_failure_in_the_middle_stops_there_and_goes_on_from_there(office: Office) -> None:
    head = await office.hold(item := await office.ask(), LONG, thread=True)
    posts = await told(office)
    await office.go(head.id)
    office.fake.world.gone.add("p1")
    await office.go(posts[1].id)
    assert (await states(office))[:3] == [ReplyState.SENT, ReplyState.FAILED, ReplyState.HELD]
    await office.go(posts[2].id)
    assert (await office.reply(posts[2].id)).state == ReplyState.HELD, "what comes after waits"
    office.fake.world.gone.clear()
    async with office.sessions.begin() as session:
        await retry(session, office.company.ayumi, posts[1].id)
    for one in posts[1:]:
        await office.go(one.id)
    assert set(await states(office)) == {ReplyState.SENT}
    texts = [entry["text"] for entry in office.fake.world.ledger]
    assert len(texts) == len(set(texts)) == len(posts)
    assert item.id == head.item_id


async def test_a_thread_sent_twice_is_one_thread_and_undone_it_is_what_was_typed(office: Office) -> None:
    item = await office.ask()
    head = await office.hold(item, LONG, thread=True, numbered=True)
    count = len(await told(office))
    async with office.sessions.begin() as session:
        again = await reply(
            session, office.company.ayumi, item.id, LONG, "public", key=head.key, thread=True, numbered=True
        )
        assert again.id == head.id
    assert len(await told(office)) == count
    async with office.sessions.begin() as session:
        back = await undo(session, office.company.ayumi, head.id)
    assert (back.text, back.state) == (LONG, ReplyState.DRAFT)
    assert len(await told(office)) == 1


async def test_the_rest_of_a_thread_can_be_taken_back_and_never_hurried(office: Office) -> None:
    head = await office.hold(await office.ask(), LONG, thread=True)
    posts = await told(office)
    with pytest.raises(Conflict):
        async with office.sessions.begin() as session:
            await send_now(session, office.company.ayumi, posts[1].id)
    await office.go(head.id)
    office.fake.world.gone.add("p1")
    await office.go(posts[1].id)
    async with office.sessions.begin() as session:
        back = await undo(session, office.company.ayumi, posts[2].id)
    assert LONG.endswith(back.text)
    assert await states(office) == [ReplyState.SENT, ReplyState.FAILED, ReplyState.DRAFT]


async def test_without_being_asked_a_long_text_is_no_thread(office: Office) -> None:
    item = await office.ask()
    with pytest.raises(Invalid, match="too long"):
        await office.hold(item, LONG)


async def test_the_agents_signature_stands_behind_and_counts_and_goes_with_an_undo(office: Office) -> None:
    async with office.sessions.begin() as session:
        ayumi = await session.merge(office.company.ayumi)
        await prefer(session, ayumi, signature="^AY")
        office.company.agents[0] = ayumi
    item = await office.ask()
    held = await office.hold(item, "On its way.")
    assert held.text == "On its way. ^AY"
    async with office.sessions.begin() as session:
        back = await undo(session, office.company.ayumi, held.id)
        assert back.text == "On its way."
    with pytest.raises(Invalid, match="too long"):
        await office.hold(item, "x" * 198)
    head = await office.hold(item, LONG, thread=True)
    posts = await told(office)
    assert [one.text.endswith("^AY") for one in posts] == [False] * (len(posts) - 1) + [True]
    assert head.text in LONG


async def test_a_queue_signs_with_initials_unless_the_agent_has_a_signature_of_their_own(office: Office) -> None:
    async with office.sessions.begin() as session:
        await session.execute(update(Queue).values(sign_replies=True))
    item = await office.ask()
    held = await office.hold(item, "On its way.")
    assert held.text == f"On its way. ^{office.company.ayumi.initials}"
    async with office.sessions.begin() as session:
        assert (await undo(session, office.company.ayumi, held.id)).text == "On its way."
        ayumi = await session.merge(office.company.ayumi)
        await prefer(session, ayumi, signature="Ayumi, Northwind")
        office.company.agents[0] = ayumi
    assert (await office.hold(item, "On its way.")).text == "On its way. Ayumi, Northwind"
