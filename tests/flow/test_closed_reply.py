"""Outside the open hours: who writes first is told so, once a conversation, and only where that can be said."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import Sent
from app.flow import outbox
from app.flow.ingest import ingest
from app.models.feed import Feed
from app.models.item import Item, State
from app.models.reply import Reply, ReplyState
from app.models.rule import Rule
from tests.company import Company, items, make_company, post

CLOSED = "We are closed. We write as soon as we are back."
TODAY = datetime.now(UTC).date()
HOLIDAY = [str(TODAY + timedelta(days=day)) for day in (-1, 0, 1)]


async def company_of(session: AsyncSession, **queue: Any) -> Company:
    """A company that is on holiday, whatever the time."""
    return await make_company(session, **{"holidays": HOLIDAY, "closed_reply": CLOSED, **queue})


async def said(session: AsyncSession) -> list[Reply]:
    return list(await session.scalars(select(Reply).order_by(Reply.id)))


async def test_who_writes_first_is_told_by_careline_as_they_wrote(session: AsyncSession) -> None:
    company = await company_of(session)
    await ingest(session, company.feed, [post(1), post(2, visibility="direct")])
    one, two = await said(session)
    assert {one.text, two.text} == {CLOSED}
    assert (one.agent_id, one.state) == (None, ReplyState.HELD)
    assert [one.visibility, two.visibility] == ["public", "direct"]
    assert [item.state for item in await items(session)] == [State.QUEUED, State.QUEUED]


async def test_it_leaves_at_once_by_the_outbox_and_does_not_count_as_an_answer(session: AsyncSession) -> None:
    company = await company_of(session, undo_seconds=600)
    await ingest(session, company.feed, [post(1)])
    [told] = await said(session)
    errand = await outbox.errand(session, told.id)
    assert errand is not None
    told.state = ReplyState.QUEUED
    attempt = await outbox.take(session, told)
    assert await outbox.succeed(session, told.id, attempt, Sent("said-1", None, None))
    assert (await items(session))[0].answered_at is None


async def test_it_is_said_once_a_conversation(session: AsyncSession) -> None:
    company = await company_of(session, reopen_within=0)
    await ingest(session, company.feed, [post(1)])
    await session.execute(update(Item).values(state=State.CLOSED, ended_at=func.now() - timedelta(days=1)))
    await ingest(session, company.feed, [post(2, thread_id="thread-1", in_reply_to="post-1")])
    assert len(await items(session)) == 2
    assert len(await said(session)) == 1


async def test_who_begins_one_conversation_after_the_other_is_told_once(session: AsyncSession) -> None:
    company = await company_of(session)
    for number in range(3):
        await ingest(session, company.feed, [post(number, author="a-machine-that-answers")])
    assert len(await said(session)) == 1


async def test_nothing_is_said_while_the_queue_is_open(session: AsyncSession) -> None:
    company = await company_of(session, holidays=[])
    await ingest(session, company.feed, [post(1)])
    assert await said(session) == []


async def test_nothing_is_said_without_words(session: AsyncSession) -> None:
    company = await company_of(session, closed_reply="")
    await ingest(session, company.feed, [post(1)])
    assert await said(session) == []


@pytest.mark.parametrize("values", [{"own": True}, {"repost": True}])
async def test_nothing_is_said_to_ourselves_or_to_reposts(session: AsyncSession, values: dict[str, Any]) -> None:
    company = await company_of(session)
    await ingest(session, company.feed, [post(1, **values)])
    assert await said(session) == []


async def test_nothing_is_said_to_what_a_rule_discards(session: AsyncSession) -> None:
    company = await company_of(session)
    await session.execute(update(Rule).values(discard=True))
    await ingest(session, company.feed, [post(1)])
    assert await said(session) == []


@pytest.mark.parametrize("quiet", [True, False])
async def test_nothing_is_said_to_the_backlog_of_a_first_sync(session: AsyncSession, quiet: bool) -> None:
    company = await company_of(session)
    company.feed.synced_at = None
    await session.flush()
    await ingest(session, company.feed, [post(1)], quiet=quiet)
    assert await said(session) == []


async def test_nothing_is_said_where_the_channel_takes_no_replies(session: AsyncSession) -> None:
    await company_of(session)
    rss = Feed(name="News", channel="rss", synced_at=func.now())
    session.add(rss)
    await session.flush()
    await session.refresh(rss)
    await ingest(session, rss, [post(1)])
    assert len(await items(session)) == 1
    assert await said(session) == []
