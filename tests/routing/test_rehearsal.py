"""Rehearsal: cases that can be worked out by hand, and what holds for every one."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.routing.inputs import Agent, Item, Queue, Step
from app.routing.rehearsal import Arrival, Fate, Outcome, Station, Unserved, Worker, merged, rehearse
from app.routing.tally import Tally, tally

NINE = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
BILLING, ORDERS = 1, 2
GERMAN = 7


def at(seconds: float) -> datetime:
    return NINE + timedelta(seconds=seconds)


def arrival(number: int, seconds: float, handling: float = 100, due: float = 600, **more: Any) -> Arrival:
    ready = at(seconds)
    item = Item(**{"id": number, "version": 1, "queue_id": BILLING, "rank": ready, "ready_at": ready, **more})
    return Arrival(item, handling, ready + timedelta(seconds=due))


def worker(number: int, *shifts: tuple[float, float], **more: Any) -> Worker:
    agent = Agent(**{"id": number, "queues": frozenset({BILLING, ORDERS}), "available_since": NINE, **more})
    return Worker(agent, tuple((at(start), at(end)) for start, end in shifts))


def play(arrivals: Sequence[Arrival], *workers: Worker, **station: Any) -> tuple[Outcome, Tally]:
    outcome = rehearse([Station(Queue(BILLING), **station), Station(Queue(ORDERS))], workers, arrivals)
    return outcome, tally([BILLING, ORDERS], workers, outcome)


def times(fate: Fate) -> tuple[float, float, float]:
    found = fate.offered_at, fate.taken_at, fate.done_at
    return tuple((one - NINE).total_seconds() for one in found if one is not None)  # type: ignore[return-value]  # three


def test_one_agent_serves_three_items_one_after_the_other() -> None:
    items = [arrival(1, 0), arrival(2, 10), arrival(3, 300, due=104)]

    outcome, found = play(items, worker(1, (0, 1000)))

    assert [times(fate) for fate in outcome.fates] == [(0, 5, 105), (105, 110, 210), (300, 305, 405)]
    billing = found.queues[BILLING]
    assert (billing.arrived, billing.served, billing.in_time) == (3, 3, 2)  # the third is one second late
    assert billing.service_level == pytest.approx(200 / 3)
    assert (billing.median, billing.p90, billing.longest) == (5, 100, 100)
    assert found.agents[1].occupancy == pytest.approx(100 * 3 * 105 / 1000)
    assert found.agents[1].got == {BILLING: 3}
    assert outcome.ended_at == at(1000)


def test_an_agent_with_capacity_for_two_handles_two_side_by_side_but_is_asked_one_thing_at_a_time() -> None:
    outcome, _ = play([arrival(1, 0), arrival(2, 0), arrival(3, 0)], worker(1, (0, 1000), capacity=2))

    assert [times(fate) for fate in outcome.fates] == [(0, 5, 105), (5, 10, 110), (105, 110, 210)]


def test_priority_goes_first_when_an_agent_comes_in() -> None:
    items = [arrival(1, 0), arrival(2, 10, rank=at(-3600))]

    outcome, _ = play(items, worker(1, (60, 1000)))

    assert [times(fate)[0] for fate in outcome.fates] == [165, 60]


def test_who_goes_home_finishes_what_they_have_and_takes_no_more() -> None:
    outcome, found = play([arrival(1, 0), arrival(2, 0)], worker(1, (0, 50)))

    assert times(outcome.fates[0]) == (0, 5, 105)
    assert outcome.fates[1].why == Unserved.NO_TIME
    assert found.agents[1].occupancy == 100  # what they did after their shift does not count


def test_wrap_up_comes_between_two_items_and_auto_accept_takes_no_time() -> None:
    items = [arrival(1, 0), arrival(2, 0)]

    outcome, _ = play(items, worker(1, (0, 1000)), wrap_up=30, auto_accept=True)

    assert [times(fate) for fate in outcome.fates] == [(0, 0, 100), (130, 130, 230)]


def test_a_requirement_that_relaxes_lets_the_item_go_when_its_time_has_come() -> None:
    item = arrival(1, 0, requirements={GERMAN: 3}, steps=(Step(60, GERMAN, None),))

    outcome, _ = play([item], worker(1, (0, 1000)))

    assert times(outcome.fates[0]) == (60, 65, 165)


def test_an_item_that_overflows_counts_where_it_arrived() -> None:
    queues = [Station(Queue(BILLING, overflow_to=ORDERS, overflow_after=120)), Station(Queue(ORDERS))]
    orders_only = [worker(1, (0, 1000), queues=frozenset({ORDERS}))]

    outcome = rehearse(queues, orders_only, [arrival(1, 0)])

    found = tally([BILLING, ORDERS], orders_only, outcome)
    assert times(outcome.fates[0]) == (120, 125, 225)
    assert (found.queues[BILLING].arrived, found.queues[BILLING].overflowed) == (1, 1)
    assert found.queues[ORDERS].arrived == 0


@pytest.mark.parametrize(
    ("workers", "why"),
    [
        ([], Unserved.NO_MEMBER),
        ([worker(1, (0, 1000), queues=frozenset({ORDERS}))], Unserved.NO_MEMBER),
        ([worker(1, (0, 1000), skills={GERMAN: 2})], Unserved.NO_SKILL),
        ([worker(1, (0, 1000), skills={GERMAN: 3}, capacity=1)], Unserved.NO_ROOM),
        ([worker(1, (0, 1000), skills={GERMAN: 3}, capacity=2, caps={"x": 0})], Unserved.NO_ROOM),
        ([worker(1, (-90, -30), skills={GERMAN: 3}, capacity=2)], Unserved.NOBODY_IN),
    ],
)
def test_what_nobody_serves_is_explained(workers: list[Worker], why: Unserved) -> None:
    item = arrival(1, 0, due=10, requirements={GERMAN: 3}, weight=2, channel="x")

    outcome, found = play([item], *workers)

    assert outcome.fates[0].why == why
    assert found.queues[BILLING].unserved == {why: 1}
    assert found.queues[BILLING].service_level == (0 if found.queues[BILLING].overdue else None)


def test_nothing_at_all_comes_to_nothing() -> None:
    outcome, found = play([], worker(1))

    assert outcome == Outcome((), None)
    assert found.queues[BILLING].service_level is None
    assert found.agents[1].occupancy is None


def test_progress_is_told_and_may_stop_it() -> None:
    told: list[int] = []
    items = [arrival(n, n, handling=1) for n in range(1, 1001)]
    rehearse([Station(Queue(BILLING))], [worker(1, (0, 2000))], items, progress=told.append)

    def stop(_let_in: int) -> None:
        raise InterruptedError

    assert told == sorted(told)
    assert 1 < len(told) < 20
    with pytest.raises(InterruptedError):
        rehearse([Station(Queue(BILLING))], [worker(1, (0, 2000))], items, progress=stop)


def test_an_id_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="id of its own"):
        play([arrival(1, 0), arrival(1, 5)])


def test_spans_that_touch_are_one() -> None:
    assert merged([(at(5), at(9)), (at(0), at(5)), (at(20), at(20)), (at(10), at(12))]) == [
        (at(0), at(9)),
        (at(10), at(12)),
    ]


seconds = st.integers(0, 3000)
levels = st.dictionaries(st.integers(1, 3), st.integers(1, 3), max_size=2)
arrivals_of_a_day = st.lists(
    st.builds(
        lambda start, handling, queue_id, rank, needs, weight, channel: (
            start, handling, {"queue_id": queue_id, "rank": at(start - rank), "requirements": needs, "weight": weight,
                              "channel": channel}
        ),
        seconds, st.integers(0, 900), st.sampled_from([BILLING, ORDERS]), st.integers(0, 600), levels,
        st.integers(1, 2), st.sampled_from(["x", "rss"]),
    ),
    max_size=25,
).map(lambda rows: [arrival(n, start, handling, **more) for n, (start, handling, more) in enumerate(rows, 1)])  # fmt: skip
rosters = st.lists(
    st.builds(
        lambda shifts, queues, skills, capacity, caps: (
            [(start, start + length) for start, length in shifts],
            {"queues": queues, "skills": skills, "capacity": capacity, "caps": caps},
        ),
        st.lists(st.tuples(seconds, st.integers(0, 2000)), max_size=2),
        st.frozensets(st.sampled_from([BILLING, ORDERS])),
        levels, st.integers(0, 4), st.dictionaries(st.sampled_from(["x", "rss"]), st.integers(0, 2)),
    ),
    max_size=4,
).map(lambda rows: [worker(n, *shifts, **more) for n, (shifts, more) in enumerate(rows, 1)])  # fmt: skip


@given(items=arrivals_of_a_day, roster=rosters, wrap_up=st.sampled_from([0, 60]))
def test_every_item_is_served_or_explained_and_nobody_is_ever_over_capacity(
    items: list[Arrival], roster: list[Worker], wrap_up: float
) -> None:
    outcome, found = play(items, *roster, wrap_up=wrap_up)

    assert sorted(fate.item.id for fate in outcome.fates) == [one.item.id for one in items]
    assert all((fate.agent_id is None) == (fate.why is not None) for fate in outcome.fates)
    for one in roster:
        mine = [fate for fate in outcome.fates if fate.agent_id == one.agent.id]
        for fate in mine:
            _fits(fate, one)
        for moment in {fate.offered_at for fate in mine}:
            held = [fate for fate in mine if fate.offered_at <= moment < fate.done_at]  # type: ignore[operator]  # all set
            assert sum(fate.item.weight for fate in held) <= one.agent.capacity
            for channel, most in one.agent.caps.items():
                assert sum(fate.item.channel == channel for fate in held) <= most
        occupancy = found.agents[one.agent.id].occupancy
        assert occupancy is None or 0 <= occupancy <= 100.0001


def _fits(fate: Fate, one: Worker) -> None:
    assert fate.item.queue_id in one.agent.queues
    assert all(one.agent.skills.get(skill, 0) >= level for skill, level in fate.item.requirements.items())
    assert fate.offered_at is not None
    assert fate.offered_at >= fate.item.ready_at
    assert any(start <= fate.offered_at < end for start, end in one.shifts)


@given(items=arrivals_of_a_day, roster=rosters)
def test_the_same_day_twice_ends_the_same_in_whatever_order_it_is_told(
    items: list[Arrival], roster: list[Worker]
) -> None:
    once, again = play(items, *roster), play(items[::-1], *roster)

    assert once == again


def test_who_refuses_an_offer_is_not_asked_again_for_a_while_and_the_item_keeps_its_rank() -> None:
    refused = replace(arrival(1, 0), refusals=(30.0,))
    workers = worker(1, (0, 1000)), worker(2, (0, 1000), available_since=at(1))

    outcome, found = play([refused, arrival(2, 25), arrival(3, 29)], *workers, reoffer_after=900)

    assert [(fate.agent_id, times(fate)[0]) for fate in outcome.fates] == [(2, 130), (2, 25), (1, 30)]
    assert [fate.refused for fate in outcome.fates] == [1, 0, 0]
    assert found.queues[BILLING].refused == 1


def test_what_is_parked_was_answered_takes_no_room_and_comes_back_to_its_agent() -> None:
    parked = replace(arrival(1, 0, handling=100), parked=200)

    outcome, found = play([parked, arrival(2, 60, handling=20)], worker(1, (0, 1000), capacity=1))

    assert [times(fate) for fate in outcome.fates] == [(0, 5, 305), (60, 65, 85)]
    assert outcome.fates[0].answered_at == at(55)
    assert found.agents[1].occupancy == pytest.approx(100 * (55 + 50 + 25) / 1000)


def test_what_stood_there_when_it_began_comes_first_and_waited_since_it_was_ready() -> None:
    stood = replace(arrival(1, -600), enters=at(0))

    outcome, found = play([arrival(2, 0), stood], worker(1, (0, 1000)))

    assert [fate.item.id for fate in sorted(outcome.fates, key=lambda fate: fate.taken_at or NINE)] == [1, 2]
    assert found.queues[BILLING].longest == 605


def test_a_signal_moves_an_item_forward_that_still_waits() -> None:
    late = replace(arrival(3, 20), raises=((at(50), 60.0),))

    outcome, _ = play([arrival(1, 0), arrival(2, 10), late], worker(1, (0, 1000)))

    assert [times(fate)[0] for fate in outcome.fates] == [0, 210, 105]
