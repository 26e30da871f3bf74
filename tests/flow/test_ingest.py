from datetime import timedelta

import pytest
from sqlalchemy import event, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.connectors.base import PostKind
from app.flow.claim import claim
from app.flow.close import close
from app.flow.discard import discard
from app.flow.ingest import ingest
from app.flow.park import park
from app.flow.reopen import reopen
from app.models.event import Event
from app.models.item import TRACKED, Disposition, Item, State, jsonable, replay
from app.models.post import Author, Conversation, Customer, Post
from app.models.queue import Queue
from app.models.rule import Rule
from tests.company import NOW, items, make_company, post


async def count(session: AsyncSession, table: type) -> int:
    return (await session.execute(select(func.count()).select_from(table))).scalar_one()


async def test_a_post_becomes_an_item_with_its_author_customer_and_conversation(session: AsyncSession) -> None:
    company = await make_company(session)
    done = await ingest(session, company.feed, [post(1)])
    [item] = await items(session)
    assert (done.posts, done.opened, item.state, item.queue_id) == (1, 1, State.QUEUED, company.queue.id)
    assert [await count(session, t) for t in (Post, Author, Customer, Conversation)] == [1, 1, 1, 1]


async def test_a_post_that_is_known_changes_nothing(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1)])
    again = await ingest(session, company.feed, [post(1), post(1)])
    assert (again.posts, await count(session, Post), await count(session, Event)) == (0, 1, 1)


async def test_several_posts_of_one_conversation_are_one_item(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, thread_id="t"), post(2, thread_id="t", author="author-1")])
    await ingest(session, company.feed, [post(3, thread_id="t", author="author-1")])
    [item] = await items(session)
    assert (item.posts, await count(session, Customer)) == (3, 1)


async def test_a_parent_we_know_decides_the_conversation_when_the_channel_names_another_thread(
    session: AsyncSession,
) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1)])
    await ingest(session, company.feed, [post(2, thread_id="torn-off", in_reply_to="post-1", author="author-1")])
    await ingest(session, company.feed, [post(3, thread_id="x", in_reply_to="post-2"), post(4, in_reply_to="post-3")])
    [item] = await items(session)
    assert item.posts == 4


async def test_the_first_sync_of_a_feed_imports_silently(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1), post(2)], quiet=True)
    assert [(i.state, i.disposition) for i in await items(session)] == [(State.CLOSED, Disposition.BACKLOG)] * 2


async def test_more_of_the_same_history_opens_no_second_item(session: AsyncSession) -> None:
    company = await make_company(session)
    for number in (1, 2):
        await ingest(session, company.feed, [post(number, thread_id="old")], quiet=True)
    assert [i.disposition for i in await items(session)] == [Disposition.BACKLOG]
    await ingest(session, company.feed, [post(3, thread_id="old")])
    assert [i.state for i in await items(session)] == [State.QUEUED]


async def test_our_own_posts_and_reposts_are_kept_and_never_queued(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, own=True), post(2, repost=True)])
    assert (await count(session, Post), await items(session)) == (2, [])


async def test_a_rule_that_discards_keeps_the_item_out_of_the_queue(session: AsyncSession) -> None:
    company = await make_company(session)
    session.add(Rule(position=1, name="Spam", conditions={"contains": ["cheap watches"]}, discard=True))
    await session.flush()
    await ingest(session, company.feed, [post(1, "CHEAP\u200b WATCHES here"), post(2)])
    assert [i.state for i in await items(session)] == [State.DISCARDED, State.QUEUED]


async def test_rules_set_queue_skills_priority_and_tags(session: AsyncSession) -> None:
    company = await make_company(session)
    billing = company.skills["Billing"].id
    rule = {"conditions": {"matches": r"charged? twice", "kinds": ["direct"]}, "requirements": {str(billing): 3}}
    session.add(Rule(position=1, name="Money", queue_id=company.queue.id, priority=1, tags=["money"], **rule))
    await session.flush()
    twice = "You charged twice"
    await ingest(session, company.feed, [post(1, twice, kind=PostKind.DIRECT), post(2, twice)])
    direct, public = await items(session)
    assert (direct.priority, direct.requirements, direct.tags) == (1, {str(billing): 3}, ["money"])
    assert direct.lane == f"{company.queue.id}:{billing}=3"
    assert (public.priority, public.requirements, public.lane) == (3, {}, str(company.queue.id))


async def test_rank_is_the_time_it_became_ready_less_what_the_priority_is_worth(session: AsyncSession) -> None:
    company = await make_company(session, boosts=[240, 60, 0, -60, -240])
    session.add(Rule(position=1, name="Hot", conditions={"contains": ["fire"]}, queue_id=company.queue.id, priority=1))
    await session.flush()
    await ingest(session, company.feed, [post(1, "fire!"), post(2)])
    hot, plain = await items(session)
    assert hot.ready_at - hot.rank == timedelta(minutes=240)
    assert plain.rank == plain.ready_at
    assert plain.due_at - plain.ready_at == timedelta(seconds=company.queue.target)


async def test_a_new_post_reopens_what_was_closed_lately(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, thread_id="t")])
    [item] = await items(session)
    await claim(session, company.ayumi, item.id)
    await close(session, company.ayumi, item.id, Disposition.ANSWERED)
    done = await ingest(session, company.feed, [post(2, thread_id="t", author="author-1")])
    [item] = await items(session)
    assert (done.reopened, item.state, item.posts, item.disposition) == (1, State.QUEUED, 2, None)


async def test_after_the_reopen_window_a_new_post_opens_a_new_item(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, thread_id="t")])
    [item] = await items(session)
    await close(session, company.ayumi, item.id, Disposition.NO_REPLY)
    await session.execute(update(Queue).values(reopen_within=60))
    await session.execute(update(Item).values(ended_at=func.now() - timedelta(minutes=2)))
    await ingest(session, company.feed, [post(2, thread_id="t")])
    assert [i.state for i in await items(session)] == [State.CLOSED, State.QUEUED]


async def test_a_new_post_wakes_a_parked_item_for_the_agent_who_parked_it(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, thread_id="t")])
    [item] = await items(session)
    await claim(session, company.ayumi, item.id)
    now = (await session.execute(select(func.now()))).scalar_one()
    await park(session, company.ayumi, item.id, now + timedelta(hours=2))
    await ingest(session, company.feed, [post(2, thread_id="t", author="author-1")])
    [item] = await items(session)
    assert (item.state, item.agent_id, item.parked_until) == (State.ACTIVE, company.ayumi.id, None)


async def test_a_time_in_the_future_is_taken_for_now(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, posted_at=NOW + timedelta(days=4000))])
    [kept] = (await session.scalars(select(Post))).all()
    assert kept.posted_at == kept.received_at


HOSTILE = "NUL\x00, surrogate \ud800, zero\u200bwidth, bidi \u202etxet\u202c, 日本語, عربي, 👩‍👩‍👧‍👦"


async def test_text_of_any_script_is_kept_and_what_postgres_refuses_is_dropped(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, HOSTILE, payload={"raw": HOSTILE})])
    [kept] = (await session.scalars(select(Post))).all()
    assert kept.text == HOSTILE.replace("\x00", "").replace("\ud800", "?")


async def test_a_pattern_is_looked_for_in_text_that_no_encoding_holds(session: AsyncSession) -> None:
    company = await make_company(session)
    pattern = {"matches": "bidi.*日本語"}
    session.add(Rule(position=1, name="Odd", conditions=pattern, queue_id=company.queue.id, priority=1))
    await session.flush()
    await ingest(session, company.feed, [post(1, HOSTILE)])
    [item] = await items(session)
    assert item.priority == 1


async def test_replaying_an_items_events_gives_its_row(session: AsyncSession) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, thread_id="t")])
    [item] = await items(session)
    await claim(session, company.ayumi, item.id)
    await ingest(session, company.feed, [post(2, thread_id="t")])
    await close(session, company.ayumi, item.id, Disposition.ANSWERED)
    await ingest(session, company.feed, [post(3, thread_id="t")])
    [item] = await items(session)
    told = replay(await session.scalars(select(Event).order_by(Event.id)))
    assert {k: _time(v) for k, v in told.items()} == {c: _time(jsonable(getattr(item, c))) for c in TRACKED}


def _time(value: object) -> object:
    return value.replace("+00:00", "") if isinstance(value, str) else value


async def test_a_batch_of_a_hundred_posts_is_a_handful_of_statements(engine: AsyncEngine) -> None:
    statements: list[str] = []
    async with AsyncSession(engine, expire_on_commit=False) as session:
        company = await make_company(session)
        await session.commit()
        event.listen(engine.sync_engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
        await ingest(session, company.feed, [post(n) for n in range(100)])
        await session.commit()
    assert len(statements) <= 13


async def test_two_feeds_that_bring_one_conversation_at_once_open_one_item(engine: AsyncEngine) -> None:
    async with AsyncSession(engine, expire_on_commit=False) as one, AsyncSession(engine, expire_on_commit=False) as two:
        company = await make_company(one)
        await one.commit()
        await ingest(one, company.feed, [post(1, thread_id="t")])
        await two.execute(text("SET lock_timeout = '100ms'"))
        with pytest.raises(Exception, match="lock timeout"):
            await ingest(two, company.feed, [post(2, thread_id="t")])
        await two.rollback()
        await one.commit()
        done = await ingest(two, company.feed, [post(2, thread_id="t")])
        await two.commit()
        assert (done.opened, done.joined, len(await items(two))) == (0, 1, 1)


async def test_a_post_joins_an_older_item_that_was_reopened_although_a_newer_one_has_ended(
    session: AsyncSession,
) -> None:
    company = await make_company(session)
    await ingest(session, company.feed, [post(1, thread_id="t")])
    [older] = await items(session)
    await discard(session, company.ayumi, older.id)
    await ingest(session, company.feed, [post(2, thread_id="t")])
    await close(session, company.ayumi, (await items(session))[1].id, Disposition.NO_REPLY)
    await reopen(session, company.ayumi, older.id)
    done = await ingest(session, company.feed, [post(3, thread_id="t")])
    assert (done.joined, [i.state for i in await items(session)]) == (1, [State.QUEUED, State.CLOSED])
