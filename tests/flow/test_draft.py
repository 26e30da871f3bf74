"""Drafts: kept whatever else is sent, and given to who takes the item over."""

from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.flow.claim import claim
from app.flow.draft import NOTE, drop_draft, hand_over_draft, load_draft, save_draft
from app.flow.ingest import ingest
from app.flow.reply import reply
from app.models.agent import Team
from app.models.item import Item
from app.models.queue import Queue
from app.models.reply import Reply
from app.queries.drafts import begun_by, drafts
from tests.company import Company, items, make_company, post


async def begun(session: AsyncSession, text: str = "Dear Ada,", kind: str = "public") -> tuple[Company, Item]:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1)])
    [item] = await items(session)
    await claim(session, company.ayumi, item.id)
    await save_draft(session, company.ayumi, item.id, text, kind)
    return company, item


async def test_what_another_window_began_is_kept_when_something_else_is_sent(session: AsyncSession) -> None:
    company, item = await begun(session, "Half a thought")
    await reply(session, company.ayumi, item.id, "On its way.", "public", key=uuid4())
    kept = await load_draft(session, company.ayumi, item.id)
    assert kept is not None
    assert kept.text == "Half a thought"


async def test_a_draft_that_says_what_was_sent_is_no_draft_any_more(session: AsyncSession) -> None:
    company, item = await begun(session, "On its way. ")
    await reply(session, company.ayumi, item.id, "On its way.", "public", key=uuid4())
    assert await load_draft(session, company.ayumi, item.id) is None


async def test_who_takes_the_item_over_goes_on_with_the_draft_and_sees_whose_it_is(session: AsyncSession) -> None:
    company, item = await begun(session)
    await hand_over_draft(session, item.id, company.ayumi.id, company.finn.id)
    given = await load_draft(session, company.finn, item.id)
    assert given is not None
    assert (given.text, given.version, await begun_by(session, given.id)) == ("Dear Ada,", 2, "Ayumi")
    assert await load_draft(session, company.ayumi, item.id) is None


async def test_what_the_receiver_has_begun_stands_above_what_they_are_given(session: AsyncSession) -> None:
    company, item = await begun(session)
    await save_draft(session, company.finn, item.id, "My own words", NOTE)
    await hand_over_draft(session, item.id, company.ayumi.id, company.finn.id)
    [given] = (await session.scalars(select(Reply))).all()
    assert (given.agent_id, given.text, given.visibility) == (company.finn.id, "My own words\n\nDear Ada,", "public")


async def test_a_note_that_was_begun_stays_with_its_writer(session: AsyncSession) -> None:
    company, item = await begun(session, "Called twice", NOTE)
    assert await hand_over_draft(session, item.id, company.ayumi.id, company.finn.id) is None
    assert await load_draft(session, company.ayumi, item.id) is not None


async def test_ones_drafts_are_listed_also_where_the_item_went_out_of_sight(session: AsyncSession) -> None:
    company, item = await begun(session)
    [seen] = await drafts(session, company.ayumi)
    assert (seen.seen, seen.mine, seen.text, seen.said) == (True, True, "Dear Ada,", "My tent arrived torn.")
    elsewhere = Team(name="Elsewhere")
    session.add(elsewhere)
    await session.flush()
    far = Queue(name="Far", team_id=elsewhere.id)
    session.add(far)
    await session.flush()
    item.queue_id, item.agent_id, item.state = far.id, None, "queued"
    await session.flush()
    [gone] = await drafts(session, company.ayumi)
    assert (gone.seen, gone.text, gone.said, gone.name) == (False, "Dear Ada,", "", "")
    assert await drafts(session, company.finn) == []


async def test_one_may_throw_ones_own_draft_away(session: AsyncSession) -> None:
    company, item = await begun(session)
    await drop_draft(session, company.finn, item.id)
    assert await load_draft(session, company.ayumi, item.id) is not None
    await drop_draft(session, company.ayumi, item.id)
    assert await load_draft(session, company.ayumi, item.id) is None
