"""`careline rehearse`: what was typed becomes a stretch, and the result a table."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from app.errors import Invalid
from app.flow.rehearse import Roster
from app.rehearsing import progress_bar, stretch_of, table

MONDAY = datetime(2026, 11, 16)  # noqa: DTZ001 - as typed, in the machine's time


def queue(**more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "goal": 80, "service_level": None, "median": None, "p90": None, "longest": None, "arrived": 0, "overflowed": 0,
        "unserved": {},
    }  # fmt: skip
    return {**empty, **more}


def test_figures_stand_side_by_side_with_a_word_for_what_they_mean() -> None:
    before = queue(service_level=50.0, median=60, p90=600, longest=3700, arrived=9, unserved={"no_skill": 2})
    after = queue(service_level=75.5, median=90, p90=600, longest=3600, arrived=9)
    people = {"1": {"name": "Ayumi", "occupancy": 80.0, "got": {"Billing": 7}}}
    result = {
        "lines": ["~ queue Billing: target 900 -> 600"],
        "came": 10,
        "before": {"discarded": 1, "queues": {"Billing": before}, "agents": people},
        "after": {"discarded": 1, "queues": {"Billing": after, "New": queue()}, "agents": people},
    }

    drawn = table(result)

    assert drawn == (
        "10 posts asked for an item.\n"
        "                                 before      after\n"
        "discarded by a rule                   1          1\n"
        "Billing\n"
        "  service level (goal 80 %)      50.0 %     75.5 %  better\n"
        "  wait, median                     1:00       1:30  worse\n"
        "  wait, 90th percentile           10:00      10:00\n"
        "  wait, longest                 1:01:40    1:00:00  better\n"
        "  arrived                             9          9\n"
        "  went on to another queue            0          0\n"
        "  served by nobody                    2          0  better\n"
        "    no member has the skills          2          0\n"
        "New\n"
        "  service level (goal 80 %)           -          -\n"
        "  wait, median                        -          -\n"
        "  wait, 90th percentile               -          -\n"
        "  wait, longest                       -          -\n"
        "  arrived                             -          0\n"
        "  went on to another queue            -          0\n"
        "  served by nobody                    -          0\n"
        "Agents: occupancy, items\n"
        "  Ayumi                       80.0 %, 7  80.0 %, 7\n"
        "\n"
        "What the file would change:\n"
        "  ~ queue Billing: target 900 -> 600"
    )


def test_a_stretch_lasts_a_day_unless_its_end_is_given() -> None:
    stretch = stretch_of(MONDAY, None, 500, Roster.OFFICE, 7)

    assert (stretch.until - stretch.since, stretch.items, stretch.seed) == (timedelta(days=1), 500, 7)
    assert stretch.since.tzinfo is not None
    with pytest.raises(Invalid, match="must end after it begins"):
        stretch_of(MONDAY, MONDAY - timedelta(hours=1), None, Roster.RECORDED, 1)
    with pytest.raises(Invalid, match="cannot be rehearsed"):
        stretch_of(MONDAY, None, 0, Roster.RECORDED, 1)


def test_the_bar_is_for_terminals_only(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    progress_bar(0.5)
    assert capsys.readouterr().err == ""

    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    progress_bar(0.5)
    progress_bar(1.0)
    assert capsys.readouterr().err == f"\r[{'#' * 15}{'.' * 15}]  50%\r[{'#' * 30}] 100%\n"
