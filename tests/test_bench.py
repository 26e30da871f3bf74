import json

import pytest

from bench import backlog, browser, claim, desk, faults, ingest, offer, routing, search, signals, takeover
from bench.__main__ import BENCHMARKS, main
from bench.harness import Result, percentile


async def test_ingest_is_measured_against_a_bare_insert(
    fresh_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    well_told(await ingest.measure(fresh_database, ingest.TINY), "ingest", capsys)


async def test_fresh_mentions_are_measured_in_quiet_and_during_an_import(
    fresh_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    well_told(await backlog.measure(fresh_database, backlog.TINY), "backlog", capsys)


async def test_claims_are_measured_with_few_and_with_many_items(
    fresh_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    well_told(await claim.measure(fresh_database, claim.TINY), "claim", capsys)


async def test_the_desks_pages_are_measured_as_the_app_draws_them(
    fresh_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    well_told(await desk.measure(fresh_database, desk.TINY), "desk", capsys)


async def test_the_desk_is_measured_in_a_browser_among_colleagues_who_work(
    fresh_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    well_told(await browser.measure(fresh_database, browser.TINY), "browser", capsys)


async def test_an_offer_is_measured_from_ready_to_the_screen(
    fresh_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    well_told(await offer.measure(fresh_database, offer.TINY), "offer", capsys)


async def test_offers_are_measured_against_other_queues_and_a_bare_claim(
    fresh_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    well_told(await routing.measure(fresh_database, routing.TINY), "routing", capsys)


async def test_a_takeover_is_measured_from_leading_to_the_first_offers(
    fresh_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    well_told(await takeover.measure(fresh_database, takeover.TINY), "takeover", capsys)


async def test_healthy_feeds_are_measured_beside_those_that_misbehave_in_every_way(
    fresh_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    well_told(await faults.measure(fresh_database, faults.TINY), "faults", capsys)


async def test_searches_are_measured_with_the_worst_among_them(
    fresh_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    well_told(await search.measure(fresh_database, search.TINY), "search", capsys)


async def test_listening_is_measured_alone(capsys: pytest.CaptureFixture[str]) -> None:
    well_told(await signals.measure("", signals.TINY), "signals", capsys)


def well_told(result: Result, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """How fast it was says nothing at this size; that it was measured, and told in the agreed shape, does."""
    told = json.loads(result.line())
    assert list(told) == ["name", "ratio", "goal", "met"]
    assert (told["name"], told["ratio"] > 0, told["met"]) == (name, True, result.met)
    assert "\n" not in result.line()
    said = [line for line in capsys.readouterr().out.splitlines() if "[info" not in line]
    assert all(line.startswith(name) for line in said), said


def test_a_goal_is_a_floor_or_a_ceiling() -> None:
    assert Result("ingest", 0.3, 0.25, at_least=True).met
    assert not Result("ingest", 0.2, 0.25, at_least=True).met
    assert Result("claim", 1.2, 1.5, at_least=False).met
    assert not Result("claim", 1.7, 1.5, at_least=False).met


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([5.0, 1.0, 4.0, 2.0, 3.0], 0.5) == 3.0
    assert percentile([float(n) for n in range(1, 101)], 0.99) == 99.0
    assert percentile([7.0], 0.95) == 7.0


def test_an_unknown_name_is_told_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speed"]) == 2
    told = capsys.readouterr().err
    assert "'speed'" in told
    assert all(name in told for name in BENCHMARKS)
