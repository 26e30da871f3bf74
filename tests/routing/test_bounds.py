"""What a configuration implies: how far an item can be overtaken, and warnings before anybody waits."""

from datetime import UTC, datetime

from app.routing.bounds import Concern, Danger, Demand, Overtaking, QueueOrder, overtaking, warnings
from app.routing.inputs import Agent, Item, Queue, Step

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CARE, PRESS = 1, 2
GERMAN = 10
BOOSTS = (240, 60, 0, -60, -240)
NAMES, SKILLS = {1: "Ana", 2: "Ben"}, {GERMAN: "German"}


def an_agent(agent_id: int, *queues: int, german: int = 0) -> Agent:
    return Agent(agent_id, frozenset(queues), NOON, {GERMAN: german}, capacity=3)


def concerns(
    item: Item, agents: list[Agent], queue: Queue | None = None, press: tuple[int, ...] = BOOSTS
) -> list[Concern]:
    orders = [QueueOrder(CARE, "Care", BOOSTS), QueueOrder(PRESS, "Press", press)]
    queues = {CARE: queue or Queue(CARE), PRESS: Queue(PRESS)}
    return list(warnings(orders, queues, [Demand("German mail", 3, item)], agents, names=NAMES, skills=SKILLS))


def an_item(level: int, *steps: Step, weight: int = 1) -> Item:
    return Item(1, 1, CARE, NOON, NOON, requirements={GERMAN: level}, steps=steps, weight=weight)


def test_an_item_is_overtaken_by_no_more_than_the_difference_of_the_boosts() -> None:
    found = overtaking([QueueOrder(CARE, "Care", BOOSTS)], [an_agent(1, CARE)])
    assert [one.minutes for one in found] == [0, 180, 240, 300, 480]
    assert found[0].sentence == "Nothing that comes later is served before a priority 1 item."
    assert "up to 8 h after it" in found[4].sentence


def test_queues_that_share_an_agent_overtake_each_other() -> None:
    orders = [QueueOrder(CARE, "Care", (0, 0, 0, 0, 0)), QueueOrder(PRESS, "Press", (90, 0, 0, 0, 0))]
    apart = overtaking(orders, [an_agent(1, CARE), an_agent(2, PRESS)])
    shared = overtaking(orders, [an_agent(1, CARE, PRESS)])
    assert apart[4] == Overtaking(CARE, 5, 0, 0)
    assert shared[4] == Overtaking(CARE, 5, 90, 0)


def test_requirements_that_nobody_meets_are_a_deadlock() -> None:
    [concern] = concerns(an_item(5), [an_agent(1, CARE, german=4), an_agent(2, PRESS, german=5)])
    assert concern.danger == Danger.DEADLOCK
    assert concern.sentence.startswith(
        "Nobody on the roster could ever take what rule 'German mail' sends to Care: it needs German 5."
    )


def test_an_item_too_heavy_for_everybody_is_a_deadlock() -> None:
    [concern] = concerns(an_item(1, weight=4), [an_agent(1, CARE, german=4)])
    assert concern.danger == Danger.DEADLOCK
    assert "room for weight 4" in concern.sentence


def test_requirements_that_relax_are_a_delay_instead() -> None:
    both = [an_agent(1, CARE, german=4), an_agent(2, CARE, german=4)]
    [concern] = concerns(an_item(5, Step(90, GERMAN, 4)), both)
    assert concern.danger == Danger.DELAY
    assert "it waits for at least 90 s, until its requirements relax or it overflows" in concern.sentence


def test_a_queue_that_overflows_to_somebody_able_is_a_delay_instead() -> None:
    there = [an_agent(1, PRESS, german=5), an_agent(2, PRESS, german=5)]
    [concern] = concerns(an_item(5), there, Queue(CARE, overflow_to=PRESS, overflow_after=600))
    assert (concern.danger, "10 min" in concern.sentence) == (Danger.DELAY, True)


def test_work_that_hangs_on_one_agent_starves_when_they_are_away() -> None:
    [concern] = concerns(an_item(3), [an_agent(1, CARE, german=3), an_agent(2, CARE)])
    assert (concern.danger, concern.sentence) == (
        Danger.STARVATION,
        "Only Ana could take what rule 'German mail' sends to Care (German 3): it waits whenever they are away.",
    )


def test_agents_of_a_queue_that_always_goes_first_starve_the_others() -> None:
    both = [an_agent(n, CARE, PRESS, german=3) for n in (1, 2)]
    [concern] = concerns(an_item(3), both, press=(600, 600, 600, 600, 600))
    assert concern.danger == Danger.STARVATION
    assert (
        "also serves Press, where even the least urgent item goes first unless it comes more than 10 h later"
        in concern.sentence
    )


def test_a_healthy_configuration_raises_no_concern() -> None:
    assert concerns(an_item(3), [an_agent(n, CARE, german=3) for n in (1, 2)]) == []
