"""How many agents a load needs: against published figures, against the plain definitions, and between the two formulas."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.routing.staffing import (
    Load,
    agents_needed,
    asa,
    erlang_b,
    erlang_c,
    occupancy,
    outlook,
    service_level,
)

PALM = Load(48 * 60, 60, patience=120)  # Mandelbaum and Zeltyn, "The Palm/Erlang-A queue", their example of a day


def test_erlang_b_is_what_the_tables_say() -> None:
    assert erlang_b(5, 3.0) == pytest.approx(0.1101, abs=5e-5)
    assert erlang_b(10, 5.0) == pytest.approx(0.0184, abs=5e-5)
    assert erlang_b(0, 7.0) == 1.0


def test_erlang_c_of_one_agent_is_its_load_and_of_two_can_be_worked_out_by_hand() -> None:
    assert erlang_c(1, 0.5) == pytest.approx(0.5)
    assert erlang_c(2, 1.0) == pytest.approx(1 / 3)
    assert erlang_c(3, 3.0) == 1.0


def test_a_hundred_calls_in_half_an_hour_of_three_minutes_need_fourteen_agents() -> None:
    load = Load(200, 180)  # the example in the documentation of pyworkforce 0.5.1

    assert agents_needed(load, 20, 0.8) == 14
    found = outlook(load, 14, 20)
    assert found.service_level == pytest.approx(0.8883500191794669)
    assert found.occupancy == pytest.approx(0.7142857142857143)
    assert erlang_c(14, load.erlangs) == pytest.approx(0.1741319335950498)


def test_impatience_turns_twenty_seconds_of_waiting_into_less_than_four() -> None:
    patient, found = outlook(Load(48 * 60, 60), 50, 20), outlook(PALM, 50, 20)

    assert (round(patient.asa, 1), round(patient.occupancy, 2)) == (20.8, 0.96)
    assert (round(found.asa, 1), round(found.occupancy, 2)) == (3.7, 0.93)
    assert round(found.abandoned, 3) == 0.031
    assert service_level(Load(48 * 60, 60), 50, 58.1) == pytest.approx(0.9, abs=5e-4)  # their 90th percentile


@pytest.mark.parametrize("agents", [1, 5, 20, 40, 50, 60, 90])
def test_erlang_a_agrees_with_its_birth_and_death_process(agents: int) -> None:
    found = outlook(PALM, agents, 20)

    chances = [1.0]  # of so many people in the system, up to a factor
    for n in range(1, 2000):
        leaving = min(n, agents) / 60 + max(0, n - agents) / 120
        chances.append(chances[-1] * 48 / 60 / leaving)
    in_line = sum((n - agents) * chance for n, chance in enumerate(chances) if n > agents) / sum(chances)
    assert found.asa == pytest.approx(in_line / (48 / 60), rel=1e-4, abs=1e-6)
    assert found.abandoned == pytest.approx(in_line / 120 / (48 / 60), rel=1e-4, abs=1e-8)


def test_endless_patience_is_erlang_c() -> None:
    assert service_level(Load(200, 180, 1e9), 14, 20) == pytest.approx(service_level(Load(200, 180), 14, 20), abs=1e-5)


def test_a_line_that_only_grows_has_no_service_level() -> None:
    load = Load(200, 180)  # ten erlangs

    assert (service_level(load, 10, 3600), asa(load, 10), occupancy(load, 10)) == (0.0, math.inf, 1.0)
    assert 0 < service_level(Load(200, 180, 60), 5, 20) < 0.6  # but with patience it does not grow for ever


def test_nothing_arrives_and_nobody_is_needed() -> None:
    assert agents_needed(Load(0, 300), 20, 0.8) == 0
    assert service_level(Load(0, 300), 0, 20) == 1.0
    assert service_level(Load(1, 300), 0, 20) == 0.0


def test_very_large_and_very_small_loads_stay_numbers() -> None:
    assert agents_needed(Load(1e6, 600), 20, 0.8) == 166_711
    assert agents_needed(Load(1e-6, 300), 20, 0.8) == 1
    assert service_level(Load(1e-9, 1, 60), 400, 20) == 1.0
    assert agents_needed(Load(100, 300), 20, 1.0) < 50  # all of them is not to be had: nearly all


@pytest.mark.parametrize("wrong", [(-1, 300, None), (1, 0, None), (1, 300, 0)])
def test_what_is_no_load_is_refused(wrong: tuple[float, float, float | None]) -> None:
    with pytest.raises(ValueError, match="take some time"):
        Load(*wrong)


@given(
    arrivals=st.floats(0.1, 3000),
    aht=st.floats(10, 3000),
    patience=st.none() | st.floats(10, 10_000),
    target=st.floats(1, 7200),
    share=st.floats(0.05, 0.99),
)
def test_the_number_needed_reaches_the_target_and_one_less_does_not(
    arrivals: float, aht: float, patience: float | None, target: float, share: float
) -> None:
    load = Load(arrivals, aht, patience)

    enough = agents_needed(load, target, share)

    assert service_level(load, enough, target) >= share
    assert enough == 0 or service_level(load, enough - 1, target) < share
    found = outlook(load, enough, target)
    assert 0 <= found.occupancy <= 1
    assert 0 <= found.abandoned < 1
    assert found.asa >= 0
