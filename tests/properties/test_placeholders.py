"""Placeholders: what they may and may not do, whatever a text, a name or a title holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Invalid
from app.flow.placeholders import blanks, fill, refuse_blanks

NAMES = st.sampled_from(["customer.name", "agent.name", "item.id", "order number", "注文番号"])
TEXTS = st.lists(st.one_of(st.text(max_size=12), NAMES.map("{{{}}}".format))).map("".join)
VALUES = st.dictionaries(NAMES, st.one_of(st.text(max_size=20), st.just("{agent.name}"), st.just("")))


@given(TEXTS, VALUES)
def test_nothing_becomes_a_blank_that_was_none_before(text: str, values: dict[str, str]) -> None:
    texts_own = set(blanks(text))
    assert not [one for one in blanks(fill(text, values)) if one not in texts_own and one[1:-1] in values]


@given(TEXTS, VALUES)
def test_what_has_a_value_is_filled_in_and_what_has_none_stays_in_sight(text: str, values: dict[str, str]) -> None:
    for one in blanks(text):
        filled = fill(one, values)
        assert (filled == one) is not bool(values.get(one[1:-1], "").strip())


@given(TEXTS)
def test_a_text_leaves_exactly_when_it_has_no_blank(text: str) -> None:
    if blanks(text):
        with pytest.raises(Invalid):
            refuse_blanks(text)
    else:
        refuse_blanks(text)


@pytest.mark.parametrize("text", ["{}", "{ }", "{1}", "{{}}", "a } b {", "{a\nb}", '{"json": 1}', "{" + "a" * 60 + "}"])
def test_braces_that_are_no_placeholder_are_left_alone(text: str) -> None:
    assert blanks(text) == ()
    assert fill(text, {"": "x", " ": "x"}) == text


def test_it_is_no_template_language() -> None:
    text = "{customer.name.__class__} {{ 7*7 }} {% if x %} {customer.name!r} {0}"
    assert fill(text, {"customer.name": "Lena"}) == text
