"""Open hours: spans of a week in a time zone, over midnight, over clock changes, less holidays."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Invalid
from app.routing.hours import WEEKDAYS, OpenHours

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = {day: [["09:00", "17:00"]] for day in WEEKDAYS[:5]}


def berlin(*when: int) -> datetime:
    """A wall time in Berlin."""
    return datetime(*when, tzinfo=BERLIN)  # type: ignore[misc,arg-type]


def office(*holidays: str) -> OpenHours:
    """Monday to Friday, nine to five, in Berlin."""
    return OpenHours("Europe/Berlin", OFFICE, holidays)


def test_no_hours_are_always_open() -> None:
    hours = OpenHours("UTC", {}, [])
    at = datetime(2027, 1, 1, 3, tzinfo=UTC)
    assert hours.is_open(at)
    assert hours.next_open(at) == at
    assert hours.next_close(at) is None
    assert hours.add(at, 90) == at + timedelta(seconds=90)
    assert hours.between(at, at + timedelta(hours=5)) == 5 * 3600


def test_hours_are_those_of_the_queue_s_own_wall() -> None:
    hours = office()
    assert hours.is_open(datetime(2026, 11, 23, 8, tzinfo=UTC))  # 9 in Berlin
    assert not hours.is_open(datetime(2026, 11, 23, 7, 59, 59, tzinfo=UTC))
    assert not hours.is_open(datetime(2026, 11, 23, 16, tzinfo=UTC))


def test_a_target_that_begins_on_friday_afternoon_ends_on_monday() -> None:
    hours = office()
    assert hours.add(berlin(2026, 11, 20, 16, 30), 3600) == berlin(2026, 11, 23, 9, 30)
    assert hours.between(berlin(2026, 11, 20, 16, 30), berlin(2026, 11, 23, 9, 30)) == 3600


def test_what_arrives_on_a_sunday_begins_to_count_when_the_queue_opens() -> None:
    assert office().add(berlin(2026, 11, 22, 3), 600) == berlin(2026, 11, 23, 9, 10)
    assert office().next_open(berlin(2026, 11, 22, 3)) == berlin(2026, 11, 23, 9)


def test_a_holiday_is_closed_for_its_day() -> None:
    hours = office("2026-11-23")
    assert not hours.is_open(berlin(2026, 11, 23, 10))
    assert hours.next_open(berlin(2026, 11, 20, 17)) == berlin(2026, 11, 24, 9)


def test_holidays_without_hours_close_an_otherwise_open_queue() -> None:
    hours = OpenHours("Europe/Berlin", {}, ["2026-12-25", "2026-12-26"])
    assert hours.next_close(berlin(2026, 12, 20)) == berlin(2026, 12, 25)
    assert hours.next_open(berlin(2026, 12, 25, 12)) == berlin(2026, 12, 27)
    assert hours.next_close(berlin(2027, 1, 1)) is None


def test_a_night_shift_runs_over_midnight_but_not_into_a_holiday() -> None:
    night = {"thu": [["22:00", "06:00"]], "fri": [["22:00", "06:00"]]}
    hours = OpenHours("Europe/Berlin", night, [])
    assert hours.is_open(berlin(2026, 12, 25, 5, 59))
    assert hours.next_close(berlin(2026, 12, 24, 23)) == berlin(2026, 12, 25, 6)
    closed = OpenHours("Europe/Berlin", night, ["2026-12-25"])
    assert closed.next_close(berlin(2026, 12, 24, 23)) == berlin(2026, 12, 25)
    assert not closed.is_open(berlin(2026, 12, 26, 1))  # the shift of the holiday itself


def test_spans_that_touch_are_one() -> None:
    hours = OpenHours("UTC", {"mon": [["09:00", "12:00"], ["12:00", "24:00"]], "tue": [["0:00", "8:00"]]}, [])
    assert hours.next_close(datetime(2026, 11, 23, 10, tzinfo=UTC)) == datetime(2026, 11, 24, 8, tzinfo=UTC)
    full = OpenHours("UTC", {day: [["00:00", "24:00"]] for day in WEEKDAYS}, [])
    assert full.next_close(datetime(2026, 11, 23, 10, tzinfo=UTC)) is None


def test_days_on_which_clocks_change_have_their_real_length() -> None:
    hours = OpenHours("Europe/Berlin", {"sun": [["00:00", "24:00"]]}, [])
    spring, autumn = berlin(2027, 3, 28), berlin(2026, 10, 25)
    assert hours.between(spring, spring + timedelta(days=1)) == 23 * 3600
    assert hours.between(autumn, autumn + timedelta(days=1)) == 25 * 3600


def test_a_wall_time_that_the_change_skips_is_the_moment_of_the_change() -> None:
    hours = OpenHours("Europe/Berlin", {"sun": [["01:00", "02:30"], ["03:00", "04:00"]]}, [])
    change = datetime(2027, 3, 28, 1, tzinfo=UTC)
    assert hours.between(change - timedelta(hours=1), change) == 3600
    assert hours.between(change, change + timedelta(hours=3)) == 3600
    only = OpenHours("Europe/Berlin", {"sun": [["02:00", "03:00"]]}, [])
    assert only.next_open(berlin(2027, 3, 27)) == berlin(2027, 4, 4, 2)


@pytest.mark.parametrize(
    ("hours", "says"),
    [
        ({"monday": [["09:00", "17:00"]]}, "'monday' is not a day"),
        ({"mon": [["9", "17:00"]]}, "Hours of mon: '9' is not a time"),
        ({"mon": [["09:00", "25:00"]]}, "'25:00' is not a time"),
        ({"mon": [["09:00", "12:60"]]}, "'12:60' is not a time"),
        ({"mon": [["09:00"]]}, "a start and an end"),
        ({"mon": [["09:00", "09:00"]]}, "has no length"),
        ({"mon": [["24:00", "09:00"]]}, "nothing starts at 24:00"),
        ({"tue": [["09:00", "12:00"], ["11:00", "17:00"]]}, "Hours of tue overlap"),
        ({"mon": [["05:00", "17:00"]], "sun": [["22:00", "06:00"]]}, "of sun run into those of mon"),
    ],
)
def test_what_cannot_be_hours_is_refused_by_its_part(hours: dict[str, list[list[str]]], says: str) -> None:
    with pytest.raises(Invalid, match=says) as refusal:
        OpenHours("UTC", hours, [])
    assert refusal.value.field == "hours"


@pytest.mark.parametrize(
    ("zone", "day", "field"), [("Mars/Base", "2027-01-01", "timezone"), ("UTC", "1.1.2027", "holidays")]
)
def test_zones_and_dates_that_do_not_exist_are_refused(zone: str, day: str, field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        OpenHours(zone, {}, [day])
    assert refusal.value.field == field


def clock(minutes: int) -> str:
    """A time of day."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


@st.composite
def any_hours(draw: st.DrawFn) -> OpenHours:
    """Random spans of a random week, some over midnight, in zones that change their clocks at different times."""
    cuts = sorted(draw(st.sets(st.integers(0, 7 * 24 * 12 - 1).map(lambda five: five * 5), min_size=2, max_size=20)))
    week: dict[str, list[list[str]]] = {}
    for start, end in zip(cuts[::2], cuts[1::2], strict=False):
        if end - start < 24 * 60:
            day = WEEKDAYS[start // 1440]
            week.setdefault(day, []).append([clock(start % 1440), clock(end % 1440)])
    zone = draw(
        st.sampled_from(
            ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu"]
        )
    )
    holidays = draw(st.lists(st.dates(date(2026, 1, 1), date(2027, 12, 31)).map(str), max_size=5))
    return OpenHours(zone, week, holidays)


moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy adds the zone
seconds = st.integers(0, 14 * 24 * 3600)


@given(hours=any_hours(), at=moments, length=seconds)
def test_what_add_adds_between_counts(hours: OpenHours, at: datetime, length: int) -> None:
    assert hours.between(at, hours.add(at, length)) == length


@given(hours=any_hours(), since=moments, length=seconds)
def test_add_of_what_between_counts_comes_back_to_the_last_open_moment(
    hours: OpenHours, since: datetime, length: int
) -> None:
    until = since + timedelta(seconds=length)
    back = hours.add(since, hours.between(since, until))
    assert back <= until
    assert hours.between(back, until) == 0


@given(hours=any_hours(), at=moments, later=seconds, length=seconds, more=seconds)
def test_add_never_goes_back(hours: OpenHours, at: datetime, later: int, length: int, more: int) -> None:
    assert hours.add(at, length) <= hours.add(at, length + more)
    assert hours.add(at, length) <= hours.add(at + timedelta(seconds=later), length) or length == 0


@given(hours=any_hours(), a=moments, b=moments, c=moments)
def test_open_time_adds_up(hours: OpenHours, a: datetime, b: datetime, c: datetime) -> None:
    first, second, third = sorted([a, b, c])
    assert hours.between(first, third) == pytest.approx(hours.between(first, second) + hours.between(second, third))


@given(hours=any_hours(), at=moments)
def test_it_is_open_from_next_open_until_next_close(hours: OpenHours, at: datetime) -> None:
    opens = hours.next_open(at)
    assert opens >= at
    assert hours.is_open(opens)
    assert hours.between(at, opens) == 0
    closes = hours.next_close(at)
    if closes:
        assert not hours.is_open(closes)
        assert hours.between(opens, closes) == pytest.approx((closes - opens).total_seconds())
