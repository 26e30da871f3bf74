"""The kernel's rules, one by one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.routing.decisions import Candidate, Cause, Match, Overflow, Rejection, Upcoming, What
from app.routing.inputs import Agent, Item, Policy, Queue, Step
from app.routing.kernel import Kernel

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CARE, BILLING = 1, 2
GERMAN, REFUNDS = 10, 11
ANA, BEN, EVA = 1, 2, 3


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def an_item(item_id: int, **changes: Any) -> Item:
    return replace(Item(item_id, 1, CARE, rank=later(item_id), ready_at=NOON), **changes)


def an_agent(agent_id: int, **changes: Any) -> Agent:
    return replace(Agent(agent_id, frozenset({CARE}), available_since=later(agent_id - 100)), **changes)


def a_kernel(*told: Item | Agent, queue: Queue | None = None) -> Kernel:
    kernel = Kernel()
    kernel.put_queue(Queue(BILLING))
    kernel.put_queue(queue or Queue(CARE))
    for one in told:
        if isinstance(one, Item):
            kernel.put_item(one)
        else:
            kernel.put_agent(one)
    return kernel


def pairs(kernel: Kernel, seconds: float = 0) -> list[tuple[int, int]]:
    return [(one.item.id, one.agent_id) for one in kernel.run(later(seconds)) if isinstance(one, Match)]


def test_the_earliest_rank_is_served_first_by_who_has_been_available_longest() -> None:
    kernel = a_kernel(an_item(7), an_item(5), an_agent(BEN), an_agent(ANA))
    assert pairs(kernel) == [(5, ANA), (7, BEN)]


def test_items_of_one_rank_are_served_by_id() -> None:
    kernel = a_kernel(an_item(7, rank=NOON), an_item(5, rank=NOON), an_agent(ANA))
    assert pairs(kernel) == [(5, ANA)]


def test_who_was_just_given_an_item_goes_to_the_end_of_the_line() -> None:
    both = [an_agent(agent_id, capacity=2, most_asked=2) for agent_id in (ANA, BEN)]
    kernel = a_kernel(*(an_item(n) for n in range(1, 5)), *both)
    assert pairs(kernel) == [(1, ANA), (2, BEN), (3, ANA), (4, BEN)]


def test_one_open_offer_at_a_time_unless_the_agent_may_have_more() -> None:
    kernel = a_kernel(an_item(1), an_item(2), an_agent(ANA, capacity=5))
    assert pairs(kernel) == [(1, ANA)]
    kernel.put_agent(an_agent(ANA, capacity=5, load=1))
    assert pairs(kernel) == [(2, ANA)]


def test_putting_the_same_again_changes_nothing() -> None:
    item, agent = an_item(1, requirements={GERMAN: 3}), an_agent(ANA)
    kernel = a_kernel(item, agent)
    assert pairs(kernel) == []
    kernel.put_item(item)
    kernel.put_agent(agent)
    kernel.put_queue(Queue(CARE))
    assert kernel.run(NOON) == []


def test_a_match_that_did_not_hold_is_put_again_and_decided_anew() -> None:
    kernel = a_kernel(an_item(1), an_agent(ANA))
    assert pairs(kernel) == [(1, ANA)]
    kernel.put_item(an_item(1, version=2, refused={ANA: later(300)}))
    kernel.put_agent(an_agent(ANA))
    assert pairs(kernel) == []
    assert kernel.next_at() == later(300)
    assert pairs(kernel, 300) == [(1, ANA)]


def test_an_item_that_was_dropped_and_an_agent_who_left_are_not_matched() -> None:
    kernel = a_kernel(an_item(1), an_item(2), an_agent(ANA), an_agent(BEN))
    kernel.drop_item(1)
    kernel.drop_agent(ANA)
    kernel.drop_item(99)
    kernel.drop_agent(99)
    assert pairs(kernel) == [(2, BEN)]


def test_an_item_refused_by_one_agent_does_not_hold_up_its_lane() -> None:
    kernel = a_kernel(an_item(1, refused={ANA: later(60)}), an_item(2), an_agent(ANA))
    assert pairs(kernel) == [(2, ANA)]


def test_a_heavy_item_waits_for_room_and_a_light_one_behind_it_does_not() -> None:
    kernel = a_kernel(an_item(1, weight=3), an_item(2), an_agent(ANA, capacity=3, load=1))
    assert pairs(kernel) == [(2, ANA)]


def test_an_emergency_goes_above_capacity_by_one_item_where_the_queue_allows_it() -> None:
    full = an_agent(ANA, capacity=2, load=2, most_asked=9)
    hurry = [an_item(n, emergency=True) for n in (1, 2)]
    assert pairs(a_kernel(*hurry, full)) == []
    assert pairs(a_kernel(*hurry, full, queue=Queue(CARE, emergency_over=True))) == [(1, ANA)]


def test_a_channel_cap_counts_items_of_that_channel_only() -> None:
    talker = an_agent(ANA, capacity=5, caps={"form": 1}, loads={"form": 1}, load=1)
    kernel = a_kernel(an_item(1, channel="form"), an_item(2, channel="rss"), talker)
    assert pairs(kernel) == [(2, ANA)]


def test_most_spare_capacity_comes_first_under_that_policy() -> None:
    kernel = a_kernel(
        an_item(1), an_agent(ANA, capacity=3, load=2), an_agent(BEN, capacity=3), queue=Queue(CARE, Policy.MOST_SPARE)
    )
    assert pairs(kernel) == [(1, BEN)]


def test_the_greatest_margin_over_what_was_asked_comes_first_under_best_skilled() -> None:
    able = [an_agent(ANA, skills={GERMAN: 3, REFUNDS: 5}), an_agent(BEN, skills={GERMAN: 4, REFUNDS: 1})]
    best = Queue(CARE, Policy.BEST_SKILLED)
    [match] = a_kernel(an_item(1, requirements={GERMAN: 2}), *able, queue=best).run(NOON)
    assert isinstance(match, Match)
    assert match.candidates == (Candidate(BEN, later(-98), 1, 2), Candidate(ANA, later(-99), 1, 1))


def test_a_relaxed_item_still_goes_to_who_comes_nearest_to_what_it_asked() -> None:
    item = an_item(1, requirements={GERMAN: 5}, steps=(Step(30, GERMAN, None),))
    kernel = a_kernel(item, an_agent(ANA), an_agent(BEN, skills={GERMAN: 2}), queue=Queue(CARE, Policy.BEST_SKILLED))
    assert pairs(kernel, 29) == []
    assert kernel.next_at() == later(30)
    assert pairs(kernel, 30) == [(1, BEN)]


def test_a_returning_customer_waits_for_the_agent_who_knows_them() -> None:
    item = an_item(1, preferred=ANA, prefer_seconds=60)
    kernel = a_kernel(item, an_item(2), an_agent(ANA, ready=False), an_agent(BEN))
    assert pairs(kernel) == [(2, BEN)]
    kernel.put_agent(an_agent(BEN))
    assert pairs(kernel, 59) == []
    assert kernel.explain_item(1, later(59)).kept_for == ANA
    assert kernel.next_at() == later(60)
    assert pairs(kernel, 60) == [(1, BEN)]


def test_the_agent_who_knows_the_customer_gets_them_before_who_is_available_longer() -> None:
    [match] = a_kernel(an_item(1, preferred=BEN, prefer_seconds=60), an_agent(ANA), an_agent(BEN)).run(NOON)
    assert isinstance(match, Match)
    assert (match.agent_id, match.preferred) == (BEN, True)
    assert match.sight.rejected() == {ANA: Rejection.KEPT}


def test_nobody_waits_for_an_agent_who_has_signed_out_or_said_no() -> None:
    away = an_agent(ANA, ready=False, present=False)
    assert pairs(a_kernel(an_item(1, preferred=ANA, prefer_seconds=60), away, an_agent(BEN))) == [(1, BEN)]
    refused = an_item(1, preferred=ANA, prefer_seconds=60, refused={ANA: later(30)})
    assert pairs(a_kernel(refused, an_agent(ANA, ready=False), an_agent(BEN))) == [(1, BEN)]


def test_when_the_agent_who_knows_the_customer_signs_out_the_wait_is_over() -> None:
    kernel = a_kernel(an_item(1, preferred=ANA, prefer_seconds=60), an_agent(ANA, ready=False), an_agent(BEN))
    assert pairs(kernel) == []
    kernel.put_agent(an_agent(ANA, ready=False, present=False))
    assert pairs(kernel) == [(1, BEN)]


def test_an_item_overflows_after_its_time_and_keeps_its_rank() -> None:
    helper = an_agent(BEN, queues=frozenset({BILLING}))
    kernel = a_kernel(an_item(1), helper, queue=Queue(CARE, overflow_to=BILLING, overflow_after=120))
    assert kernel.run(later(119)) == []
    assert kernel.next_at() == later(120)
    moved, match = kernel.run(later(120))
    assert moved == Overflow(an_item(1), BILLING, Cause.TIME)
    assert isinstance(match, Match)
    assert (match.item.rank, match.item.queue_id, match.item.version) == (later(1), BILLING, 2)


def test_an_item_overflows_at_once_when_nobody_signed_in_could_ever_serve_it_and_somebody_there_could() -> None:
    queue = Queue(CARE, overflow_to=BILLING, overflow_when_nobody=True)
    lunch = an_agent(ANA, ready=False)
    other = an_agent(BEN, queues=frozenset({BILLING}), ready=False)
    kernel = a_kernel(an_item(1), lunch, other, queue=queue)
    assert kernel.run(NOON) == []
    kernel.put_agent(replace(lunch, present=False))
    assert kernel.run(NOON) == [Overflow(an_item(1), BILLING, Cause.NOBODY)]


def test_at_night_when_nobody_is_signed_in_anywhere_items_stay_where_they_are() -> None:
    kernel = a_kernel(an_item(1), queue=Queue(CARE, overflow_to=BILLING, overflow_when_nobody=True))
    assert kernel.run(NOON) == []


def test_an_item_never_returns_to_a_queue_that_it_left() -> None:
    kernel = a_kernel(an_item(1), queue=Queue(CARE, overflow_to=BILLING, overflow_after=10))
    kernel.put_queue(Queue(BILLING, overflow_to=CARE, overflow_after=20))
    assert [one.to for one in kernel.run(later(60)) if isinstance(one, Overflow)] == [BILLING]
    assert kernel.next_at() is None


def test_time_never_goes_back() -> None:
    kernel = a_kernel(an_item(1, requirements={GERMAN: 1}, steps=(Step(30, GERMAN, None),)))
    kernel.run(later(30))
    kernel.put_agent(an_agent(ANA))
    assert pairs(kernel, 0) == [(1, ANA)]


def test_an_item_of_an_unknown_queue_is_refused_with_a_reason() -> None:
    with pytest.raises(KeyError, match="queue 99, which the kernel was not told of"):
        a_kernel().put_item(an_item(1, queue_id=99))


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        (Rejection.NOT_MEMBER, {"queues": frozenset({BILLING})}),
        (Rejection.SKILL, {"skills": {GERMAN: 1}}),
        (Rejection.ABSENT, {"ready": False, "present": False}),
        (Rejection.NOT_READY, {"ready": False}),
        (Rejection.NO_ROOM, {"load": 1}),
        (Rejection.CHANNEL_FULL, {"caps": {"form": 0}}),
        (Rejection.ASKED, {"capacity": 2, "asked": 1}),
    ],
)
def test_each_agent_is_told_why_not(reason: Rejection, changes: dict[str, Any]) -> None:
    agent = an_agent(ANA, **{"skills": {GERMAN: 2}, **changes})
    kernel = a_kernel(an_item(1, requirements={GERMAN: 2}, channel="form"), agent)
    assert pairs(kernel) == []
    assert kernel.explain_item(1, NOON).rejected == {ANA: reason}


def test_a_waiting_item_tells_what_happens_next_and_when() -> None:
    item = an_item(
        1,
        requirements={GERMAN: 4},
        steps=(Step(60, GERMAN, 2), Step(90, GERMAN, None)),
        preferred=ANA,
        prefer_seconds=30,
        refused={BEN: later(75)},
    )
    kernel = a_kernel(item, queue=Queue(CARE, overflow_to=BILLING, overflow_after=120))
    kernel.run(NOON)
    assert kernel.explain_item(1, NOON).upcoming == (
        Upcoming(later(30), What.PREFERENCE_ENDS, agent_id=ANA),
        Upcoming(later(60), What.RELAX, skill=GERMAN, level=2),
        Upcoming(later(75), What.REFUSAL_ENDS, agent_id=BEN),
        Upcoming(later(90), What.RELAX, skill=GERMAN),
        Upcoming(later(120), What.OVERFLOW, queue_id=BILLING),
    )
    assert kernel.explain_item(1, later(60)).needs == {GERMAN: 2}


def test_a_decision_keeps_who_stood_where_when_it_was_made() -> None:
    kernel = a_kernel(an_item(1), an_agent(ANA), an_agent(BEN, ready=False), an_agent(EVA, load=1))
    [match] = kernel.run(NOON)
    kernel.drop_agent(BEN)
    kernel.put_agent(an_agent(EVA))
    kernel.put_agent(an_agent(9))
    assert isinstance(match, Match)
    assert match.sight.rejected() == {BEN: Rejection.NOT_READY, EVA: Rejection.NO_ROOM}
    assert match.total == 1


def test_an_item_whose_rank_changed_is_served_at_its_new_place_only() -> None:
    kernel = a_kernel(an_item(1), an_item(2), an_item(3))
    kernel.run(NOON)
    kernel.put_item(an_item(1, rank=later(60)))
    kernel.put_item(an_item(3, rank=later(-60)))
    kernel.put_agent(an_agent(ANA, capacity=3, most_asked=3))
    assert pairs(kernel) == [(3, ANA), (2, ANA), (1, ANA)]
