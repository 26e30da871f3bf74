"""Signals that raise an item: as admins write them, as queues store them, and when they hold."""

import pytest

from app.errors import Invalid
from app.routing.raises import DueSoon, due_soon, most, on_arrival, parse, read, second_post, stored, write

LINES = ["followers 10000: 60", "tier gold: 120", "second post: 30", "due within 10 min: 60", "says outage, down: 45"]
RAISES = [stored(parse(line)) for line in LINES]


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_written_back_as_it_was_read(line: str) -> None:
    assert write(parse(line)) == line
    assert read([stored(parse(line))]) == (parse(line),)


def test_a_queue_stores_the_signals_as_plain_json() -> None:
    assert RAISES == [
        {"signal": "followers", "minutes": 60, "at_least": 10000},
        {"signal": "tier", "is": "gold", "minutes": 120},
        {"signal": "second_post", "minutes": 30},
        {"signal": "due_soon", "minutes": 60, "within": 600},
        {"signal": "words", "contains": ["outage", "down"], "minutes": 45},
    ]


def test_spelling_is_forgiven_where_the_meaning_is_clear() -> None:
    assert write(parse(" Due within 1 hour :  5 min ")) == "due within 1 h: 5"
    assert write(parse("SAYS outage,, outage ,site  down: 5")) == "says outage, site down: 5"
    assert write(parse("tier Gold: premium: 5")) == "tier Gold: premium: 5"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("followers 10000", "a signal, a colon and minutes"),
        ("followers 10000: lots", "a signal, a colon and minutes"),
        ("followers many: 60", "'followers many' is no signal"),
        ("followers 0: 60", "from 1"),
        ("full moon: 60", "'full moon' is no signal"),
        ("second post: 0", "1 to 43200 minutes"),
        ("due within soon: 5", "'soon' is not a span of time"),
        ("due within 31 days: 5", "30 days"),
        ("says ,: 5", "name words"),
        ("says \u200b: 5", "name words"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_line(line: str, says: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(line)
    assert refused.value.field == "raises"
    assert says in refused.value.message
    assert repr(line) in refused.value.message or line in refused.value.message


def test_the_signals_that_hold_on_arrival_are_summed_and_named() -> None:
    assert on_arrival(RAISES, 10_000, "Gold", "Is the site DOWN?") == (
        225,
        ("followers>=10000", "tier=gold", "words=down,outage"),
    )
    assert on_arrival(RAISES, 9_999, "silver", "Hello") == (0, ())
    assert on_arrival(RAISES, None, "", "out\u200bage") == (45, ("words=down,outage",))


def test_a_second_post_and_a_near_due_time_have_their_own_moment() -> None:
    assert second_post(RAISES) == (30, ("second_post",))
    assert second_post([]) == (0, ())
    later = stored(parse("due within 1 min: 5"))
    assert due_soon([later, *RAISES]) == (DueSoon(60, 600), DueSoon(5, 60))


def test_the_most_an_item_can_be_raised_by_is_all_of_it() -> None:
    assert most(RAISES) == 60 + 120 + 30 + 60 + 45
