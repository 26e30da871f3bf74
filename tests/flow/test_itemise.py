from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import IncomingAuthor
from app.flow.claim import claim
from app.flow.close import close
from app.flow.ingest import ingest
from app.flow.place import place
from app.flow.raise_due import raise_due
from app.models.item import Disposition, Item
from app.models.post import Customer
from app.models.queue import Queue
from app.models.rule import Rule
from tests.company import items, make_company, post

BERLIN = ZoneInfo("Europe/Berlin")


async def test_a_rule_gives_its_steps_and_emergency_to_the_item(session: AsyncSession) -> None:
    company = await make_company(session)
    german = company.skills["German"].id
    steps = [{"after": 120, "skill": str(german), "level": 2}, {"after": 300, "skill": str(german), "level": None}]
    rule = {"requirements": {str(german): 4}, "steps": steps, "emergency": True, "conditions": {"contains": ["feuer"]}}
    session.add(Rule(position=1, name="Fire", queue_id=company.queue.id, priority=1, **rule))
    await session.flush()
    await ingest(session, company.feed, [post(1, "Feuer!")])
    [item] = await items(session)
    assert (item.steps, item.emergency, item.requirements) == (steps, True, {str(german): 4})


async def test_an_item_weighs_what_its_channel_weighs(session: AsyncSession) -> None:
    company = await make_company(session, weight=1, channel_weights={"webhook": 3})
    await ingest(session, company.feed, [post(1)])
    assert [i.weight for i in await items(session)] == [3]


async def test_a_returning_customer_prefers_the_agent_who_served_them_last(session: AsyncSession) -> None:
    company = await make_company(session, prefer_seconds=60)
    await ingest(session, company.feed, [post(1, author="ada")])
    [first] = await items(session)
    await claim(session, company.finn, first.id)
    await close(session, company.finn, first.id, Disposition.ANSWERED)
    await ingest(session, company.feed, [post(2, author="ada"), post(3, author="bob")])
    _, returning, new = await items(session)
    assert (returning.preferred_agent_id, new.preferred_agent_id) == (company.finn.id, None)


RAISES = [
    {"signal": "followers", "at_least": 10_000, "minutes": 60},
    {"signal": "tier", "is": "gold", "minutes": 120},
    {"signal": "words", "contains": ["outage"], "minutes": 30},
]


@pytest.mark.parametrize(
    ("followers", "tier", "said", "minutes"),
    [(5, "", "hello", 0), (20_000, "", "hello", 60), (5, "gold", "an OUTAGE?", 150), (10_000, "gold", "outage", 210)],
)
async def test_signals_raise_an_arriving_item_by_what_they_are_worth(
    session: AsyncSession, followers: int, tier: str, said: str, minutes: int
) -> None:
    company = await make_company(session, raises=RAISES)
    ada = IncomingAuthor(external_id="ada", handle="ada", followers=followers)
    await ingest(session, company.feed, [post(1, "before", author="ada")])
    await session.execute(update(Customer).values(tier=tier))
    await ingest(session, company.feed, [replace(post(2, said), author=ada)])
    *_, item = await items(session)
    assert item.ready_at - item.rank == timedelta(minutes=minutes)


async def test_a_second_post_raises_a_waiting_item_once(session: AsyncSession) -> None:
    company = await make_company(session, raises=[{"signal": "second_post", "minutes": 30}])
    await ingest(session, company.feed, [post(1, thread_id="t")])
    await ingest(session, company.feed, [post(2, thread_id="t")])
    await ingest(session, company.feed, [post(3, thread_id="t")])
    [item] = await items(session)
    assert (item.ready_at - item.rank, item.posts) == (timedelta(minutes=30), 3)


async def test_an_item_that_is_due_soon_moves_up_once(session: AsyncSession) -> None:
    company = await make_company(session, raises=[{"signal": "due_soon", "within": 600, "minutes": 45}])
    await ingest(session, company.feed, [post(1), post(2)])
    [first, _] = await items(session)
    await session.execute(update(Item).where(Item.id == first.id).values(due_at=func.now() + timedelta(minutes=5)))
    assert [await raise_due(session), await raise_due(session)] == [1, 0]
    first, second = await items(session)
    assert [i.ready_at - i.rank for i in (first, second)] == [timedelta(minutes=45), timedelta(0)]


def queue(**values: Any) -> Queue:
    defaults = {"timezone": "UTC", "hours": {}, "holidays": [], "served_by": "rank", "target": 3600}
    return Queue(**{**defaults, "boosts": [240, 60, 0, -60, -240], **values})


def test_the_target_counts_open_hours_only() -> None:
    office = queue(timezone="Europe/Berlin", hours={"mon": [["09:00", "17:00"]], "tue": [["09:00", "17:00"]]})
    monday = datetime(2026, 11, 23, 16, 30, tzinfo=BERLIN)
    assert place(office, monday, 3).due_at == datetime(2026, 11, 24, 9, 30, tzinfo=BERLIN)
    assert place(queue(), monday, 3).due_at == monday + timedelta(hours=1)


def test_a_queue_served_by_due_time_ranks_by_it_and_signals_still_raise() -> None:
    monday = datetime(2026, 11, 23, 9, 0, tzinfo=BERLIN)
    stands = place(queue(served_by="due"), monday, 1, raised=15)
    assert stands.rank == stands.due_at - timedelta(minutes=15)
