"""Tags, priority and macros: the verbs, their events, and that a macro is done whole or not at all."""

from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Conflict, Forbidden, Invalid, Misuse, NotFound
from app.flow.claim import claim
from app.flow.draft import save_draft
from app.flow.ingest import ingest
from app.flow.macro import MacroSettings, plan, run_macro, save_macro, settings_of
from app.flow.prioritise import prioritise
from app.flow.saved import ALL, SavedSettings, save_reply
from app.flow.tag import tag, untag
from app.models.agent import Role
from app.models.event import Event
from app.models.item import Item, State, replay
from app.models.reply import Reply, ReplyState
from tests.company import Company, items, make_company, post


@pytest.fixture
async def company(session: AsyncSession) -> Company:
    made = await make_company(session)
    await ingest(session, made.feed, [post(1), post(2)])
    return made


async def verbs(session: AsyncSession, item: Item) -> list[str]:
    return list(await session.scalars(select(Event.verb).where(Event.item_id == item.id).order_by(Event.id)))


async def stands(session: AsyncSession, item_id: int) -> Item:
    return await session.get_one(Item, item_id, populate_existing=True)


async def replayed(session: AsyncSession, item_id: int) -> bool:
    events = await session.scalars(select(Event).where(Event.item_id == item_id).order_by(Event.id))
    item, row = await stands(session, item_id), replay(events)
    told = (row["state"], row["version"], row["tags"], row["priority"], datetime.fromisoformat(row["rank"]))
    return told == (item.state, item.version, item.tags, item.priority, item.rank)


async def test_tags_are_added_once_and_taken_away_and_each_change_is_an_event(
    session: AsyncSession, company: Company
) -> None:
    item = (await items(session))[0]
    for typed in ("  Torn  Tent ", "torn tent", "gone"):
        await tag(session, company.ayumi, item.id, typed)
    await untag(session, company.ayumi, item.id, "gone")
    await untag(session, company.ayumi, item.id, "never there")
    assert (await stands(session, item.id)).tags == ["torn tent"]
    assert (await verbs(session, item))[-3:] == ["tag", "tag", "untag"]
    assert await replayed(session, item.id)


@pytest.mark.parametrize("typed", ["", "  ", "x" * 61])
async def test_a_tag_that_is_none_is_refused(session: AsyncSession, company: Company, typed: str) -> None:
    item = (await items(session))[0]
    with pytest.raises(Invalid):
        await tag(session, company.ayumi, item.id, typed)


async def test_a_priority_moves_the_item_by_what_it_is_worth_and_back(session: AsyncSession, company: Company) -> None:
    item = (await items(session))[0]
    before, boosts = item.rank, company.queue.boosts
    higher = await prioritise(session, company.ayumi, item.id, 1)
    assert (before - higher.rank).total_seconds() == 60 * (boosts[0] - boosts[2])
    assert (await prioritise(session, company.ayumi, item.id, 3)).rank == before
    assert await replayed(session, item.id)
    with pytest.raises(Invalid):
        await prioritise(session, company.ayumi, item.id, 6)


async def test_only_who_holds_it_or_supervises_says_how_urgent_it_is(session: AsyncSession, company: Company) -> None:
    item = (await items(session))[0]
    await claim(session, company.ayumi, item.id)
    with pytest.raises(Forbidden):
        await prioritise(session, company.finn, item.id, 1)
    company.finn.role = Role.SUPERVISOR
    assert (await prioritise(session, company.finn, item.id, 1)).priority == 1


async def made(session: AsyncSession, company: Company, body: str = "Sorry, {customer.name}", **more: Any) -> int:
    saved = await save_reply(session, company.ayumi, SavedSettings(title="Sorry", body=body))
    settings = MacroSettings(name="Sorry", add_tags=("torn",), priority=2, reply=saved.id, **more)
    return (await save_macro(session, company.ayumi, settings)).id


async def test_a_macro_does_all_its_steps_with_the_events_of_doing_them_by_hand(
    session: AsyncSession, company: Company
) -> None:
    item = (await items(session))[0]
    macro = await made(session, company, end="close:answered")
    await claim(session, company.ayumi, item.id)
    ended = await run_macro(session, company.ayumi, item.id, macro, uuid4())
    assert (ended.state, ended.tags, ended.priority, ended.disposition) == (State.CLOSED, ["torn"], 2, "answered")
    reply = (await session.scalars(select(Reply))).one()
    assert (reply.text, reply.state, reply.then_close) == ("Sorry, Author-1", ReplyState.HELD, "answered")
    assert (await verbs(session, item))[-3:] == ["tag", "prioritise", "close"]
    assert await replayed(session, item.id)


@pytest.mark.parametrize("body", ["Sorry about {order number}", "{customer.nmae}"])
async def test_a_macro_that_cannot_be_done_changes_nothing(session: AsyncSession, company: Company, body: str) -> None:
    item = (await items(session))[0]
    macro = await made(session, company, body, end="park:1h")
    await claim(session, company.ayumi, item.id)
    before = await verbs(session, item)
    with pytest.raises(Invalid, match="Fill in"):
        await run_macro(session, company.ayumi, item.id, macro, uuid4())
    after = await stands(session, item.id)
    assert (after.state, after.tags, after.priority) == (State.ACTIVE, [], 3)
    assert await verbs(session, item) == before
    assert await session.scalar(select(func.count()).select_from(Reply)) == 0


async def test_a_preview_tells_the_reply_and_the_trouble_and_leaves_everything_as_it_was(
    session: AsyncSession, company: Company
) -> None:
    item = (await items(session))[0]
    macro = await made(session, company, end="park:customer")
    assert "Claim it first" in (await plan(session, company.ayumi, item.id, macro, uuid4())).trouble
    await claim(session, company.ayumi, item.id)
    before = await verbs(session, item)
    planned = await plan(session, company.ayumi, item.id, macro, uuid4())
    assert (planned.reply, planned.trouble) == ("Sorry, Author-1", "")
    assert await verbs(session, item) == before
    assert (await stands(session, item.id)).state == State.ACTIVE
    assert await session.scalar(select(func.count()).select_from(Reply)) == 0
    await run_macro(session, company.ayumi, item.id, macro, uuid4())
    assert (await stands(session, item.id)).state == State.PARKED


async def test_a_reply_that_was_begun_is_never_lost_to_a_macro(session: AsyncSession, company: Company) -> None:
    item = (await items(session))[0]
    macro = await made(session, company)
    await claim(session, company.ayumi, item.id)
    await save_draft(session, company.ayumi, item.id, "Half a thought", "public")
    with pytest.raises(Conflict, match="begun a reply"):
        await run_macro(session, company.ayumi, item.id, macro, uuid4())
    assert (await session.scalars(select(Reply.text))).all() == ["Half a thought"]


async def test_a_macro_is_run_by_who_holds_the_item_and_may_use_it(session: AsyncSession, company: Company) -> None:
    first, second = await items(session)
    macro = await made(session, company)
    await claim(session, company.finn, first.id)
    with pytest.raises(Conflict):
        await run_macro(session, company.ayumi, first.id, macro, uuid4())
    with pytest.raises(NotFound):
        await run_macro(session, company.finn, first.id, macro, uuid4())
    with pytest.raises(Conflict):
        await run_macro(session, company.ayumi, second.id, macro, uuid4())


async def test_what_is_shared_needs_a_supervisor_and_a_shared_reply(session: AsyncSession, company: Company) -> None:
    own = await save_reply(session, company.ayumi, SavedSettings(title="Mine", body="Hello"))
    shared = MacroSettings(name="For all", reply=own.id, whose=ALL)
    with pytest.raises(Forbidden):
        await save_macro(session, company.ayumi, shared)
    company.ayumi.role = Role.SUPERVISOR
    with pytest.raises(Invalid):
        await save_macro(session, company.ayumi, shared)
    with pytest.raises(Misuse):
        await save_macro(session, company.ayumi, MacroSettings(name="Nothing"))


async def test_a_macro_is_kept_as_its_form_showed_it(session: AsyncSession, company: Company) -> None:
    settings = MacroSettings(
        name="Out", add_tags=("a", "b"), remove_tags=("c",), priority=5, end=f"transfer:{company.queue.id}"
    )
    assert settings_of(await save_macro(session, company.ayumi, settings)) == settings


async def test_a_macro_sends_on_to_a_queue(session: AsyncSession, company: Company) -> None:
    item = (await items(session))[0]
    settings = MacroSettings(name="Out", add_tags=("moved",), end=f"transfer:{company.queue.id}")
    macro = await save_macro(session, company.ayumi, settings)
    await claim(session, company.ayumi, item.id)
    moved = await run_macro(session, company.ayumi, item.id, macro.id, uuid4())
    assert (moved.state, moved.tags) == (State.QUEUED, ["moved"])
