"""Figures of queues with open hours count only these; other queues count every hour."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.flow.claim import claim
from app.flow.ingest import ingest
from app.models.event import Event
from app.models.item import Item, Verb
from app.models.post import Post
from app.models.queue import Queue
from app.models.rule import Rule
from app.queries import measures
from tests.company import Company, items, make_company, post

FRIDAY = datetime(2026, 11, 20, 16, 30, tzinfo=UTC)  # half an hour before closing time
MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
BACKDATING = text("SET LOCAL session_replication_role = replica")  # events are append-only, but for this
OFFICE = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}


async def answered_on_monday(session: AsyncSession, company: Company, number: int) -> Item:
    """It was posted and came in on Friday; on Monday it was claimed after a quarter of an hour, and answered after one."""
    await ingest(session, company.feed, [post(number, posted_at=FRIDAY)])
    item = (await items(session))[-1]
    await claim(session, company.ayumi, item.id)
    on_friday, at_nine = FRIDAY + timedelta(minutes=10), MONDAY + timedelta(minutes=15)
    await session.execute(update(Post).where(Post.id == item.post_id).values(received_at=on_friday))
    await session.execute(
        update(Item).where(Item.id == item.id).values(opened_at=on_friday, answered_at=MONDAY + timedelta(hours=1))
    )
    await session.execute(BACKDATING)
    await session.execute(update(Event).where(Event.item_id == item.id, Event.verb == Verb.CLAIM).values(at=at_nine))
    await session.execute(text("SET LOCAL session_replication_role = origin"))
    return item


@pytest.mark.parametrize(
    ("hours", "asa", "frt"),
    [
        (OFFICE, timedelta(minutes=20 + 15), timedelta(minutes=30 + 60)),
        ({}, MONDAY - FRIDAY + timedelta(minutes=5), MONDAY - FRIDAY + timedelta(hours=1)),
    ],
)
async def test_a_weekend_counts_only_where_the_queue_is_open(
    session: AsyncSession, hours: dict[str, list[list[str]]], asa: timedelta, frt: timedelta
) -> None:
    company = await make_company(session, hours=hours)
    await answered_on_monday(session, company, 1)
    since = FRIDAY - timedelta(days=1)
    figures = (await measures.figures(session, [company.queue.id], since))[company.queue.id]
    assert measures.average_speed_of_answer(figures) == asa
    assert measures.first_response_time(figures) == frt
    assert await measures.median_response(session, [company.queue.id], since) == frt


async def test_queues_with_and_without_hours_have_one_median_together(session: AsyncSession) -> None:
    company = await make_company(session, hours=OFFICE)
    await answered_on_monday(session, company, 1)
    always = Queue(name="Always", team_id=company.team.id)
    session.add(always)
    await session.flush()
    await session.execute(update(Rule).values(queue_id=always.id))
    await answered_on_monday(session, company, 2)
    both = list(await session.scalars(select(Queue.id)))
    wall, counted = MONDAY - FRIDAY + timedelta(hours=1), timedelta(minutes=90)
    assert await measures.median_response(session, both, FRIDAY - timedelta(days=1)) == (wall + counted) / 2
