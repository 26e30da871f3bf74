import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from app.routing.kernel import Match, ReadyAgent, Rejection, WaitingItem, match

START = datetime(2026, 11, 22, tzinfo=UTC)
times = st.integers(0, 5).map(lambda minutes: START + timedelta(minutes=minutes))
asks = st.none() | st.integers(0, 2)
levels = st.dictionaries(st.integers(1, 3), st.integers(1, 5), max_size=2)


@st.composite
def worlds(draw: st.DrawFn, most: int = 6) -> tuple[list[WaitingItem], list[ReadyAgent]]:
    agents = [
        ReadyAgent(
            i, draw(st.frozensets(st.integers(1, 2))), draw(levels), draw(times), draw(st.integers(0, 4)), draw(asks)
        )
        for i in range(1, draw(st.integers(0, most)) + 1)
    ]
    refusals = st.frozensets(st.integers(1, most), max_size=2)
    items = [
        WaitingItem(i, 1, draw(st.integers(1, 2)), draw(levels), draw(times), draw(st.integers(1, 3)), draw(refusals))
        for i in range(1, draw(st.integers(0, most)) + 1)
    ]
    return draw(st.permutations(items)), draw(st.permutations(agents))


@dataclass
class Hands:
    """What each agent can still take, and when they were last given something."""

    room: dict[int, int]
    asks: dict[int, float]
    given_at: dict[int, int]


def empty(agents: list[ReadyAgent]) -> Hands:
    asks = {a.id: math.inf if a.asks is None else a.asks for a in agents}
    return Hands({a.id: a.room for a in agents}, asks, {a.id: -1 for a in agents})


def fits(item: WaitingItem, agent: ReadyAgent, hands: Hands) -> bool:
    return (
        item.queue_id in agent.queues
        and all(skill in agent.skills and agent.skills[skill] >= low for skill, low in item.requirements.items())
        and hands.room[agent.id] >= item.weight
        and hands.asks[agent.id] >= 1
        and agent.id not in item.refused_by
    )


def give(item: WaitingItem, agent_id: int, hands: Hands) -> None:
    hands.room[agent_id] -= item.weight
    hands.asks[agent_id] -= 1
    hands.given_at[agent_id] = max(hands.given_at.values()) + 1


def defined(items: list[WaitingItem], agents: list[ReadyAgent]) -> list[tuple[int, int]]:
    """What the kernel must decide, said once more as plainly as can be: (item, agent) in the order of decisions."""
    hands = empty(agents)
    decided = []
    for item in sorted(items, key=lambda i: (i.rank, i.id)):
        able = [agent for agent in agents if fits(item, agent, hands)]
        if able:
            first = min(able, key=lambda agent: (hands.given_at[agent.id], agent.available_since, agent.id))
            decided.append((item.id, first.id))
            give(item, first.id, hands)
    return decided


@settings(max_examples=200)
@given(worlds())
def test_the_kernel_decides_what_its_definition_says(world: tuple[list[WaitingItem], list[ReadyAgent]]) -> None:
    assert [(one.item.id, one.agent_id) for one in match(*world)] == defined(*world)


@settings(max_examples=25)
@given(worlds(most=40))
def test_whatever_waits_nobody_is_given_what_they_cannot_take(
    world: tuple[list[WaitingItem], list[ReadyAgent]],
) -> None:
    items, agents = world
    by_id = {agent.id: agent for agent in agents}
    hands = empty(agents)
    decided = match(items, agents)
    assert len({one.item.id for one in decided}) == len(decided)
    for one in decided:
        assert fits(one.item, by_id[one.agent_id], hands)
        give(one.item, one.agent_id, hands)
        assert_told(one, agents)
    assert decided == match(list(reversed(items)), list(reversed(agents)))


def assert_told(one: Match, agents: list[ReadyAgent]) -> None:
    """A decision says why of everybody."""
    assert one.candidates[0] == one.agent_id
    assert sorted([*one.candidates, *one.rejected]) == sorted(agent.id for agent in agents)
    assert set(one.rejected.values()) <= set(Rejection)


@settings(max_examples=25)
@given(worlds(most=40))
def test_nothing_that_somebody_could_take_is_left_waiting(
    world: tuple[list[WaitingItem], list[ReadyAgent]],
) -> None:
    items, agents = world
    hands = empty(agents)
    decided = match(items, agents)
    for one in decided:
        give(one.item, one.agent_id, hands)
    left = [item for item in items if item.id not in {one.item.id for one in decided}]
    assert not [(i.id, a.id) for i in left for a in agents if fits(i, a, hands)]


def test_those_who_were_not_given_anything_yet_come_first() -> None:
    agents = [ReadyAgent(i, frozenset({1}), {}, START + timedelta(minutes=i), 3) for i in (1, 2, 3)]
    items = [WaitingItem(n, 1, 1, {}, START) for n in range(7)]
    assert [one.agent_id for one in match(items, agents)] == [1, 2, 3, 1, 2, 3, 1]
