"""What people write into the search box: it is understood, or refused in words; never anything else."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.errors import Invalid
from app.listening import tokens
from app.models.item import OPEN_STATES, State
from app.queries.asked import EXACT, OPERATORS, WORDS, Term, moment, parse, states

PARTS = st.sampled_from(
    [
        "-",
        '"',
        " ",
        ":",
        "from:",
        "state:open",
        "before:2026",
        "lang:de",
        "ada",
        "税込",
        "ﾃﾝﾄ",
        "\x00",
        "\u3000",
        "'",
        "\\",
    ]
)
TYPED = st.one_of(st.text(max_size=60), st.lists(PARTS, max_size=12).map("".join))


@given(TYPED)
@example('fr"om:x"')
@example('-"a" --b -')
def test_anything_is_understood_or_refused_and_written_out_it_is_understood_the_same(typed: str) -> None:
    try:
        found = parse(typed)
    except Invalid:
        return
    assert parse(str(found)) == found


@given(st.text(max_size=80))
def test_no_text_makes_a_literal_that_postgres_would_read_as_something_else(text: str) -> None:
    for token in tokens.tokens(text):
        assert not token.text.startswith(tokens.MARK)
        assert tokens.quoted(token.text).startswith("'")


@given(st.text(max_size=80))
def test_every_word_of_a_text_is_kept_as_it_is_asked_for(text: str) -> None:
    kept = {(token.text, token.place) for token in tokens.tokens(text)}
    for token in tokens.asked(text, prefix=False):
        assert (token.text, token.place) in kept or token.prefix


def test_words_exact_words_operators_and_not() -> None:
    assert parse('torn "my tent" -refund from:"Ada B" -state:closed').terms == (
        Term(WORDS, "torn"), Term(EXACT, "my tent"), Term(WORDS, "refund", negated=True), Term("from", "Ada B"),
        Term("state", "closed", negated=True),
    )  # fmt: skip


def test_a_colon_alone_makes_no_operator() -> None:
    assert [term.op for term in parse("https://example.com 10:30 re:tent").terms] == [WORDS] * 3


def test_signs_that_are_no_words_ask_for_nothing() -> None:
    assert not parse("!!! -- ( ) . \x00")


@pytest.mark.parametrize(
    "typed",
    ['"open', "from:", 'queue:""', "state:asleep", "before:yesterday", "before:2026-13", "after:2026-02-30", "-before:2026",
     "has:hope", "channel:pigeon", "lang:German!", "x" * 501, "a " * 21],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_words(typed: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(typed)
    assert refused.value.field == "q"


@pytest.mark.parametrize("op", OPERATORS)
def test_an_operator_with_nothing_behind_it_says_so(op: str) -> None:
    with pytest.raises(Invalid, match=op):
        parse(f"{op}: tent")


def test_days_months_and_years_begin_where_the_reader_is() -> None:
    assert moment("2026-11", UTC) == datetime(2026, 11, 1, tzinfo=UTC)
    assert moment("2026", UTC) == datetime(2026, 1, 1, tzinfo=UTC)
    assert states("open") == OPEN_STATES
    assert states("closed") == {State.CLOSED}


@pytest.mark.parametrize(
    ("text", "same"),
    [("FRÜHJAHR", "fruhjahr"), ("Straße", "strasse"), ("naïve", "naive"), ("\uff34\uff25\uff2e\uff34", "tent"), ("مُدَرِّس", "مدرس"), ("Crème", "creme"),
     ("Łódź", "lodz"), ("ﾃﾝﾄ", "テント")],
)  # fmt: skip
def test_case_accents_and_widths_make_no_difference(text: str, same: str) -> None:
    assert tokens.folded(text) == same


def test_scripts_without_spaces_are_kept_in_pairs_and_others_in_words() -> None:
    assert [token.text for token in tokens.tokens("返金 Zelt ไม่ดี 😡")] == [
        "返金", "金", "zelt", "ไม", "ม่", "่ด", "ดี", "ี", "😡",
    ]  # fmt: skip
    assert [token.text for token in tokens.asked("返金して", prefix=True)] == ["返金", "金し", "して"]
    assert tokens.asked("税", prefix=False) == [tokens.Token("税", 1, prefix=True)]


def test_short_words_are_asked_for_whole_and_longer_ones_as_beginnings() -> None:
    assert [token.prefix for word in ("no", "tent") for token in tokens.asked(word, prefix=True)] == [False, True]
