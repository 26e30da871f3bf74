"""How an allowance is spread: pure figures."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.connectors.base import Period
from app.flow.pace import Counted, counted, span, told

MONTH = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
READS = Counted(limit=10_000, spent=0, own=0, feeds=1, cost=1, begins=MONTH[0], ends=MONTH[1])
MIDDLE = datetime(2026, 11, 16, tzinfo=UTC)  # half of the month: 4,500 of the 9,000 that polls may use are due


def test_a_month_ends_on_the_first_in_utc() -> None:
    assert span(Period.MONTH, datetime(2026, 12, 31, 23, 59, tzinfo=UTC)) == (
        datetime(2026, 12, 1, tzinfo=UTC),
        datetime(2027, 1, 1, tzinfo=UTC),
    )


def test_googles_day_begins_at_midnight_in_california() -> None:
    assert span(Period.PACIFIC_DAY, datetime(2026, 7, 2, 6, 59, tzinfo=UTC)) == (
        datetime(2026, 7, 1, 7, tzinfo=UTC),
        datetime(2026, 7, 2, 7, tzinfo=UTC),
    )
    assert span(Period.PACIFIC_DAY, datetime(2026, 11, 1, 12, tzinfo=UTC))[1] == datetime(2026, 11, 2, 8, tzinfo=UTC)


def test_what_is_used_evenly_is_never_slowed() -> None:
    found = counted(replace(READS, spent=4_500, own=4_500), MIDDLE)
    assert found.wait == timedelta(0)
    assert found.room == 300


def test_what_runs_ahead_waits_until_the_month_has_caught_up() -> None:
    found = counted(replace(READS, spent=4_500 + 300 + 299, own=4_500 + 300 + 299), MIDDLE)
    assert timedelta(hours=23) < found.wait <= timedelta(days=1)


def test_at_the_last_tenth_polls_wait_for_the_next_month() -> None:
    found = counted(replace(READS, spent=9_000, own=10), MIDDLE)
    assert found.wait == MONTH[1] - MIDDLE
    assert found.room == 0


def test_a_thrifty_feed_is_not_slowed_by_a_greedy_one() -> None:
    greedy = replace(READS, spent=6_000, own=5_900, feeds=2)
    thrifty = replace(greedy, own=100)
    assert counted(greedy, MIDDLE).wait > timedelta(days=1)
    assert counted(thrifty, MIDDLE).wait == timedelta(0)


def test_what_one_feed_leaves_another_may_take() -> None:
    assert counted(replace(READS, spent=4_000, own=3_900, feeds=2), MIDDLE).wait == timedelta(0)


def test_a_dear_call_waits_until_there_is_room_for_the_whole_of_it() -> None:
    begins, ends = span(Period.PACIFIC_DAY, MIDDLE)
    searches = Counted(limit=10_000, spent=400, own=400, feeds=2, cost=100, begins=begins, ends=ends)
    first = counted(replace(searches, spent=0, own=0), begins)
    assert first.wait == timedelta(0)
    assert first.room >= 100
    assert timedelta(minutes=10) < counted(searches, begins + timedelta(minutes=5)).wait < timedelta(hours=2)


@pytest.mark.parametrize(("remaining", "apart"), [(11, 90), (6, 180)])
def test_the_calls_of_a_window_are_spread_over_what_is_left_of_it(remaining: int, apart: int) -> None:
    found = told(remaining, 10, timedelta(seconds=900), 1)
    assert found.wait == timedelta(seconds=apart)


def test_two_feeds_share_a_window() -> None:
    assert told(6, 10, timedelta(seconds=900), 2).wait == timedelta(seconds=360)


def test_a_window_that_is_used_up_is_waited_for() -> None:
    found = told(1, 10, timedelta(seconds=300), 1)
    assert (found.wait, found.room) == (timedelta(seconds=300), 0)
