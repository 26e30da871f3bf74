"""Named budgets of a credential: counted or told, kept over restarts, spread over their time."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.connectors import registry
from app.connectors.base import (
    Allowance,
    Batch,
    Budget,
    Connector,
    Json,
    Link,
    OutgoingReply,
    Period,
    Quota,
    Sent,
    Spent,
)
from app.errors import RateLimited, Unreachable
from app.models.account import BudgetShare, NamedBudget
from app.models.feed import Feed, Health
from app.models.reply import ReplyState
from app.queries.budgets import budgets
from app.queries.feeds import feeds
from tests.parcels import FakeParcels, Keyed
from tests.postoffice import Office, post_office

LIMIT = 3_000_000  # parcels a month, so large that a day of the month makes no difference to what is due


@dataclass
class Meter:
    """What the channel does with the next call."""

    spends: int = 1
    told: Budget | None = None
    fails: Exception | None = None
    rooms: list[Any] = field(default_factory=list)


METER = Meter()


class Metered(Keyed):
    """Counts the parcels read in a month, and tells of a window for its calls and one for replies."""

    name: ClassVar[str] = "parcels-metered"

    def allowances(self, settings: Any, credentials: Any, *, replying: bool = False) -> tuple[Allowance, ...]:
        if replying:
            return (Allowance("replies", "Replies"),)
        return Allowance("reads", "Parcels a month", Quota(LIMIT, Period.MONTH)), Allowance("calls", "Calls")

    async def fetch(self, link: Link, cursor: Json) -> Batch:
        METER.rooms.append(link.room.get("reads"))
        await link.note(Spent("reads", METER.spends))
        if METER.told is not None:
            await link.note(METER.told)
        if METER.fails is not None:
            raise METER.fails
        return await super().fetch(link, cursor)

    async def send(self, link: Link, reply: OutgoingReply) -> Sent:
        if METER.fails is not None:
            raise METER.fails
        return await super().send(link, reply)


class FakeMetered(FakeParcels):
    connector: ClassVar[Connector] = Metered()


@pytest.fixture
async def metered(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    monkeypatch.setitem(registry.BUILT_IN, "parcels-metered", "tests.workers.test_allowance:Metered")
    monkeypatch.setattr("tests.workers.test_allowance.METER", Meter())
    async with post_office(engine, FakeMetered(), "parcels-metered") as office:
        yield office


async def wait_of(office: Office, feed: Feed) -> float:
    return await office.seconds_until(feed.next_poll_at)


async def test_what_calls_use_is_added_up_and_shown(metered: Office) -> None:
    METER.spends = 30
    await metered.poll()
    await metered.poll()
    async with metered.sessions() as session:
        [line] = await feeds(session)
        [reads] = await budgets(session, line.purse)
    assert (reads.title, reads.remaining, reads.allowance) == ("Parcels a month", LIMIT - 60, LIMIT)
    assert (line.remaining, line.allowance) == (LIMIT - 60, LIMIT)


async def test_a_call_that_fails_has_counted(metered: Office) -> None:
    METER.fails = Unreachable("The road is closed.")
    await metered.poll()
    async with metered.sessions() as session:
        assert await session.scalar(select(NamedBudget.spent)) == 1
        assert await session.scalar(select(BudgetShare.spent)) == 1


async def test_a_new_month_begins_anew(metered: Office) -> None:
    await metered.poll()
    async with metered.sessions.begin() as session:
        for row in (await session.scalar(select(NamedBudget)), await session.scalar(select(BudgetShare))):
            assert row is not None
            row.spent, row.resets_at = LIMIT, func.now() - timedelta(days=3)
    feed = await metered.poll()
    async with metered.sessions() as session:
        assert await session.scalar(select(NamedBudget.spent)) == 1
    assert feed.health == Health.OK


async def test_a_month_that_is_used_up_stops_polls_until_the_next_and_not_replies(metered: Office) -> None:
    item = await metered.ask()
    METER.spends = LIMIT
    assert (await metered.poll()).trouble.startswith(f"Parcels a month: 0 of {LIMIT} left until ")
    feed = await metered.poll()
    assert len(METER.rooms) == 2
    assert feed.health == Health.DEGRADED
    assert (await metered.go((await metered.hold(item)).id)).state == ReplyState.SENT


async def test_a_poll_knows_how_much_it_may_use(metered: Office) -> None:
    await metered.poll()
    assert LIMIT // 31 // 2 < METER.rooms[0] <= LIMIT


async def test_calls_are_spread_over_their_window_without_a_word_while_the_feeds_own_interval_allows(
    metered: Office,
) -> None:
    async with metered.sessions.begin() as session:
        now = (await session.execute(select(func.now()))).scalar_one()
    METER.told = Budget(7, 10, now + timedelta(minutes=12), "calls")
    feed = await metered.poll()
    assert 100 < await wait_of(metered, feed) < 140
    assert (feed.health, feed.trouble) == (Health.OK, "")


async def test_a_limit_of_one_allowance_leaves_the_others_alone(metered: Office) -> None:
    item = await metered.ask()
    METER.fails = RateLimited("Calls are limited.", timedelta(minutes=5), "calls")
    await metered.poll()
    METER.fails = None
    feed = await metered.poll()
    assert feed.trouble.startswith("Calls:")
    assert len(METER.rooms) == 2
    assert (await metered.go((await metered.hold(item)).id)).state == ReplyState.SENT


async def test_a_reply_waits_for_the_allowance_of_replies(metered: Office) -> None:
    held = await metered.hold(await metered.ask())
    METER.fails = RateLimited("Replies are limited.", timedelta(minutes=5), "replies")
    await metered.go(held.id)
    METER.fails = None
    waiting = await metered.go(held.id)
    assert waiting.state == ReplyState.QUEUED
    assert 200 < await metered.seconds_until(waiting.due_at) <= 300
    assert (await metered.poll()).health == Health.OK
