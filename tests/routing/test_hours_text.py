"""Hours as people write them, and as Careline shows them back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Invalid
from app.routing.hours import WEEKDAYS
from app.routing.hours_text import parse_hours, show_hours


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("", ""),
        ("Mon-Fri 09:00-17:30; Sat 10:00-14:00", "Mon-Fri 09:00-17:30; Sat 10:00-14:00"),
        ("monday \u2013 friday 9\u201317", "Mon-Fri 09:00-17:00"),
        ("Mon, Wed-Thu 9.30-12, 13-17:00", "Mon, Wed-Thu 09:30-12:00, 13:00-17:00"),
        ("daily 00:00-24:00", "Mon-Sun 00:00-24:00"),
        ("Sat-Mon: 22-6\nTue 8-9", "Mon, Sat-Sun 22:00-06:00; Tue 08:00-09:00"),
        ("Tue 13-17; Tue 9-12", "Tue 09:00-12:00, 13:00-17:00"),
    ],
)
def test_hours_are_read_as_typed_and_shown_in_one_way(typed: str, shown: str) -> None:
    assert show_hours(parse_hours(typed)) == shown
    assert show_hours(parse_hours(shown)) == shown


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("always", "Hours, 'always': write days and then times"),
        ("Mon-Fri 9-17; Foo 9-17", "Hours, 'Foo 9-17': 'Foo' is not a day"),
        ("T 9-17", "'T' is not a day"),
        ("Mon 9 to 17", "Hours, 'Mon 9 to 17': '9 to 17' is not a span"),
        ("Mon-Tue-Wed 9-17", "not a range of days"),
        ("Mon, Mon-Tue 9-17", "a day stands there twice"),
        ("Mon 9-25", "Hours of mon: '25:00' is not a time of day"),
        ("Mon 9-12, 11-14", "Hours of mon overlap"),
        ("Mon-Fri 9-17; Wed 16-18", "Hours of wed overlap"),
    ],
)
def test_a_part_that_makes_no_sense_is_named(typed: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        parse_hours(typed)


times = st.tuples(st.integers(0, 11), st.integers(12, 23)).map(lambda span: [f"{span[0]:02}:05", f"{span[1]:02}:30"])


@given(hours=st.dictionaries(st.sampled_from(WEEKDAYS), st.lists(times, min_size=1, max_size=1)))
def test_what_is_shown_is_read_as_the_same_hours(hours: dict[str, list[list[str]]]) -> None:
    assert parse_hours(show_hours(hours)) == hours
