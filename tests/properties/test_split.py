"""Splitting loses nothing, and every part fits, whatever was written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connectors.base import Capabilities, Length
from app.connectors.length import fits
from app.connectors.split import Unsplittable, split
from app.flow.thread import numbered_text, parts_of

PIECES = st.sampled_from(
    ["Hello. ", "Is it? ", "word ", "注文した商品。", "まだ", "👩‍👩‍👧‍👦", "e\u0301", "\n\n", "https://example.com/a/very/long/path ", "@ada@a.example ", "x" * 30]
)  # fmt: skip
TEXTS = st.lists(PIECES, min_size=1, max_size=60).map("".join).map(str.strip).filter(bool)
RULES = [Capabilities(length_limit=n, length_counts=rule) for n, rule in ((60, Length.GRAPHEMES), (70, Length.MASTODON), (40, Length.CHARACTERS))]  # fmt: skip
BYTES = Capabilities(length_limit=60, length_counts=Length.GRAPHEMES, byte_limit=90)


@pytest.mark.parametrize("can", [*RULES, BYTES], ids=lambda can: f"{can.length_counts}-{can.byte_limit}")
@given(text=TEXTS)
def test_the_parts_are_the_text_and_each_fits(can: Capabilities, text: str) -> None:
    parts = split(text, lambda part: fits(part, can, "@ada "))
    assert "".join(parts) == text
    assert all(part.strip() and fits(part.strip(), can, "@ada ") for part in parts)


@given(text=TEXTS)
def test_numbered_parts_fit_with_their_numbers(text: str) -> None:
    can = Capabilities(length_limit=80, length_counts=Length.GRAPHEMES)
    parts = parts_of(text, lambda part: fits(part, can), numbered=True)
    sent = [numbered_text(part, place, len(parts), numbered=True) for place, part in enumerate(parts, 1)]
    assert all(fits(part, can) for part in sent)


def test_it_is_cut_after_a_sentence_rather_than_within_one() -> None:
    text = "The tent is on its way. It comes on Monday, by noon."
    assert split(text, lambda part: len(part) <= 40) == ["The tent is on its way. ", "It comes on Monday, by noon."]


def test_a_word_that_is_too_long_is_cut_between_graphemes() -> None:
    family = "👩‍👩‍👧‍👦"
    assert split(family * 3, lambda part: len(part) <= len(family)) == [family] * 3


def test_what_can_never_fit_is_said_so() -> None:
    with pytest.raises(Unsplittable):
        split("text", lambda part: False)
