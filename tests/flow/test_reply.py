import asyncio
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.connectors.base import PostKind, Visibility
from app.db import sessionmaker
from app.errors import Conflict, Forbidden, Invalid, NotFound
from app.flow.claim import claim
from app.flow.close import close
from app.flow.draft import load_draft, save_draft
from app.flow.ingest import ingest
from app.flow.park import park
from app.flow.reply import arrived, reply, retry, send_now, undo
from app.models.agent import Role, Team
from app.models.feed import Feed
from app.models.item import Disposition, Item, State
from app.models.reply import Reply, ReplyState
from app.queries.pieces import held_replies
from tests.company import Company, add_agent, items, make_company, post

SAID = "A new one is on its way."


async def claimed(session: AsyncSession, **values: Any) -> tuple[Company, Item]:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, **values)])
    [item] = await items(session)
    return company, await claim(session, company.ayumi, item.id)


async def replies(session: AsyncSession) -> list[Reply]:
    found = await session.scalars(select(Reply).order_by(Reply.id).execution_options(populate_existing=True))
    return list(found)


async def test_a_reply_is_held_under_the_newest_post_for_the_queues_undo_time(session: AsyncSession) -> None:
    company, item = await claimed(session)
    await ingest(session, company.feed, [post(2, thread_id="thread-1")])
    [item] = await items(session)
    held = await reply(session, company.ayumi, item.id, f"  {SAID}\x00 ", "public")
    now = await session.scalar(select(func.now()))
    assert (held.state, held.text, held.post_id) == (ReplyState.HELD, SAID, item.post_id)
    assert held.due_at is not None
    assert now is not None
    assert (held.due_at - now).total_seconds() == company.queue.undo_seconds


async def test_who_does_not_hold_the_item_cannot_answer_it(session: AsyncSession) -> None:
    company, item = await claimed(session)
    with pytest.raises(Conflict, match="Ayumi holds item"):
        await reply(session, company.finn, item.id, SAID, "public")


async def test_an_item_in_the_queue_or_ended_cannot_be_answered(session: AsyncSession) -> None:
    company, item = await claimed(session)
    await close(session, company.ayumi, item.id, Disposition.ANSWERED)
    with pytest.raises(Conflict, match="Claim it first"):
        await reply(session, company.ayumi, item.id, SAID, "public")


async def test_a_parked_item_is_woken_before_it_is_answered(session: AsyncSession) -> None:
    company, item = await claimed(session)
    later = await session.scalar(select(func.now() + func.make_interval(0, 0, 0, 1)))
    assert later is not None
    await park(session, company.ayumi, item.id, later)
    with pytest.raises(Conflict, match="Wake it"):
        await reply(session, company.ayumi, item.id, SAID, "public")


@pytest.mark.parametrize("text", ["", " \n\t ", "\x00"])
async def test_an_empty_reply_is_refused(session: AsyncSession, text: str) -> None:
    company, item = await claimed(session)
    with pytest.raises(Invalid, match="Write something") as refused:
        await reply(session, company.ayumi, item.id, text, "public")
    assert refused.value.field == "text"


async def test_a_reply_is_never_wider_than_what_it_answers(session: AsyncSession) -> None:
    company, item = await claimed(session, kind=PostKind.DIRECT, visibility=Visibility.DIRECT)
    with pytest.raises(Invalid, match="cannot have this audience") as refused:
        await reply(session, company.ayumi, item.id, SAID, "public")
    assert refused.value.field == "visibility"
    assert (await reply(session, company.ayumi, item.id, SAID, "direct")).visibility == "direct"


async def test_where_a_channel_takes_no_replies_the_agent_is_sent_to_the_post(session: AsyncSession) -> None:
    company, item = await claimed(session)
    await session.execute(update(Item).values(channel="rss"))
    with pytest.raises(Conflict, match="takes no replies"):
        await reply(session, company.ayumi, item.id, SAID, "public")


async def test_without_its_feed_there_is_no_way_back(session: AsyncSession) -> None:
    company, item = await claimed(session)
    await session.delete(await session.get_one(Feed, company.feed.id))
    await session.flush()
    with pytest.raises(Conflict, match="no way back"):
        await reply(session, company.ayumi, item.id, SAID, "public")


async def test_a_form_that_is_sent_twice_is_one_reply(session: AsyncSession) -> None:
    company, item = await claimed(session)
    key = uuid4()
    first = await reply(session, company.ayumi, item.id, SAID, "public", key=key, then_close=Disposition.ANSWERED)
    second = await reply(session, company.ayumi, item.id, SAID, "public", key=key, then_close=Disposition.ANSWERED)
    assert (first.id, len(await replies(session))) == (second.id, 1)


async def test_a_form_that_is_sent_twice_at_the_same_moment_is_one_reply(engine: AsyncEngine) -> None:
    sessions = sessionmaker(engine)
    async with sessions.begin() as session:
        company, item = await claimed(session)
    key = uuid4()

    async def submit() -> int | None:
        try:
            async with sessions.begin() as session:
                return (await reply(session, company.ayumi, item.id, SAID, "public", key=key)).id
        except Conflict:
            return None

    answers = await asyncio.gather(*(submit() for _ in range(6)))
    async with sessions() as session:
        [only] = await replies(session)
    assert set(answers) - {None} == {only.id}


async def test_somebody_elses_key_opens_nothing(session: AsyncSession) -> None:
    company, item = await claimed(session)
    await ingest(session, company.feed, [post(2)])
    [_, other] = await items(session)
    await claim(session, company.finn, other.id)
    held = await reply(session, company.ayumi, item.id, SAID, "public")
    with pytest.raises(Forbidden):
        await reply(session, company.finn, other.id, "Something else", "public", key=held.key)


async def test_send_and_close_ends_the_item_with_its_disposition(session: AsyncSession) -> None:
    company, item = await claimed(session)
    await reply(session, company.ayumi, item.id, SAID, "public", then_close=Disposition.ANSWERED)
    [item] = await items(session)
    assert (item.state, item.disposition, item.agent_id) == (State.CLOSED, Disposition.ANSWERED, None)


async def test_of_several_held_replies_the_one_sent_last_is_the_first_to_take_back(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1), post(2)])
    first, second = [await claim(session, company.ayumi, item.id) for item in await items(session)]
    earlier = await reply(session, company.ayumi, first.id, SAID, "public")
    await session.execute(
        update(Reply)
        .where(Reply.id == earlier.id)
        .values(due_at=Reply.due_at - func.make_interval(0, 0, 0, 0, 0, 0, 1))
    )
    later = await reply(session, company.ayumi, second.id, SAID, "public")
    held = await held_replies(session, company.ayumi.id)
    assert [one.id for one in held] == [later.id, earlier.id]


async def test_undo_makes_it_a_draft_again_and_takes_a_closed_item_back_in_hand(session: AsyncSession) -> None:
    company, item = await claimed(session)
    held = await reply(session, company.ayumi, item.id, SAID, "public", then_close=Disposition.ANSWERED)
    back = await undo(session, company.ayumi, held.id)
    [item] = await items(session)
    assert (back.state, back.text, back.due_at, back.then_close) == (ReplyState.DRAFT, SAID, None, None)
    assert (item.state, item.agent_id, item.disposition) == (State.ACTIVE, company.ayumi.id, None)
    assert await load_draft(session, company.ayumi, item.id) is not None


async def test_undo_leaves_an_item_alone_that_somebody_else_has_by_now(session: AsyncSession) -> None:
    company, item = await claimed(session)
    held = await reply(session, company.ayumi, item.id, SAID, "public", then_close=Disposition.ANSWERED)
    await ingest(session, company.feed, [post(2, thread_id="thread-1")])
    await claim(session, company.finn, item.id)
    assert (await undo(session, company.ayumi, held.id)).state == ReplyState.DRAFT
    [item] = await items(session)
    assert (item.state, item.agent_id) == (State.ACTIVE, company.finn.id)


async def test_undo_keeps_what_was_typed_meanwhile(session: AsyncSession) -> None:
    company, item = await claimed(session)
    held = await reply(session, company.ayumi, item.id, SAID, "public")
    await save_draft(session, company.ayumi, item.id, "One thing more: keep the pegs.", "public")
    back = await undo(session, company.ayumi, held.id)
    assert back.text == f"{SAID}\n\nOne thing more: keep the pegs."
    assert [r.state for r in await replies(session)] == [ReplyState.DRAFT]


@pytest.mark.parametrize("state", [ReplyState.QUEUED, ReplyState.SENDING, ReplyState.SENT])
async def test_what_has_left_can_be_neither_undone_nor_hurried(session: AsyncSession, state: ReplyState) -> None:
    company, item = await claimed(session)
    held = await reply(session, company.ayumi, item.id, SAID, "public")
    await session.execute(update(Reply).values(state=state))
    with pytest.raises(Conflict, match="too late"):
        await undo(session, company.ayumi, held.id)
    with pytest.raises(Conflict, match="not held any more"):
        await send_now(session, company.ayumi, held.id)


async def test_sending_at_once_ends_the_undo_time(session: AsyncSession) -> None:
    company, item = await claimed(session)
    held = await reply(session, company.ayumi, item.id, SAID, "public")
    due = await send_now(session, company.ayumi, held.id)
    assert due.due_at == await session.scalar(select(func.now()))


async def test_a_colleague_cannot_undo_but_a_supervisor_can(session: AsyncSession) -> None:
    company, item = await claimed(session)
    held = await reply(session, company.ayumi, item.id, SAID, "public")
    with pytest.raises(Forbidden):
        await undo(session, company.finn, held.id)
    boss = await add_agent(session, company.team, "Boss", role=Role.SUPERVISOR)
    assert (await undo(session, boss, held.id)).state == ReplyState.DRAFT


async def test_a_stranger_does_not_find_the_reply(session: AsyncSession) -> None:
    company, item = await claimed(session)
    held = await reply(session, company.ayumi, item.id, SAID, "public")
    other = Team(name="Elsewhere")
    session.add(other)
    await session.flush()
    stranger = await add_agent(session, other, "Stranger")
    for verb in (undo, send_now, retry):
        with pytest.raises(NotFound):
            await verb(session, stranger, held.id)


async def test_a_draft_is_saved_as_it_grows_and_becomes_the_reply(session: AsyncSession) -> None:
    company, item = await claimed(session)
    key = uuid4()
    first = await save_draft(session, company.ayumi, item.id, "A new", "public", key=key)
    assert first.version == 1
    saved = await save_draft(session, company.ayumi, item.id, "A new one", "public", seen=1, key=key)
    assert (saved.id, saved.version) == (first.id, 2)
    held = await reply(session, company.ayumi, item.id, SAID, "public", key=key)
    assert (held.id, held.state, await load_draft(session, company.ayumi, item.id)) == (first.id, ReplyState.HELD, None)


async def test_a_second_window_does_not_write_over_the_first(session: AsyncSession) -> None:
    company, item = await claimed(session)
    await save_draft(session, company.ayumi, item.id, "First window", "public")
    await save_draft(session, company.ayumi, item.id, "First window goes on", "public", seen=1)
    with pytest.raises(Conflict, match="another window"):
        await save_draft(session, company.ayumi, item.id, "Second window", "public", seen=1)
    kept = await load_draft(session, company.ayumi, item.id)
    assert kept is not None
    assert kept.text == "First window goes on"


async def test_a_draft_that_was_sent_meanwhile_is_not_written_again(session: AsyncSession) -> None:
    company, item = await claimed(session)
    key = uuid4()
    await reply(session, company.ayumi, item.id, SAID, "public", key=key)
    with pytest.raises(Conflict, match="another window"):
        await save_draft(session, company.ayumi, item.id, "The same composer", "public", key=key)


async def test_drafts_belong_to_one_agent_and_one_item(session: AsyncSession) -> None:
    company, item = await claimed(session)
    await ingest(session, company.feed, [post(2)])
    [_, other] = await items(session)
    await save_draft(session, company.ayumi, item.id, "Mine", "public")
    await save_draft(session, company.finn, item.id, "His", "public")
    await save_draft(session, company.ayumi, other.id, "Another", "public")
    found = [
        await load_draft(session, a, i.id)
        for a, i in ((company.ayumi, item), (company.finn, item), (company.ayumi, other), (company.finn, other))
    ]
    assert [draft and draft.text for draft in found] == ["Mine", "His", "Another", None]


async def test_an_endless_draft_is_refused(session: AsyncSession) -> None:
    company, item = await claimed(session)
    with pytest.raises(Invalid, match="at most"):
        await save_draft(session, company.ayumi, item.id, "x" * 50_001, "public")


async def test_a_reply_that_arrived_is_the_own_post_that_a_feed_brought(session: AsyncSession) -> None:
    company, item = await claimed(session)
    unknown = Reply(
        item_id=item.id,
        conversation_id=item.conversation_id,
        post_id=item.post_id,
        agent_id=company.ayumi.id,
        channel="webhook",
        state=ReplyState.UNKNOWN,
        text="Done 100%_now!",
        visibility="public",
    )
    session.add(unknown)
    await session.flush()
    echo = post(2, "@ada Done 100%_now!", thread_id="thread-1", own=True, url="https://example.com/2")
    await ingest(session, company.feed, [echo])
    settled = await arrived(session, company.ayumi, unknown.id)
    assert (settled.state, settled.external_id, settled.url) == (ReplyState.SENT, "post-2", "https://example.com/2")
