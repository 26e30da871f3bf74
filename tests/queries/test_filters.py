"""Filters: what an address says is what is meant, whatever somebody typed into it."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Invalid
from app.queries import filters
from app.queries.filters import AGES, KINDS, Filter, Sort, decoded, read, sort_of

SENSIBLE = {
    "queue": st.integers(0, 10**6).map(str),
    "channel": st.sampled_from(["mastodon", "bluesky"]),
    "language": st.sampled_from(["de", "ja", "pt-br"]),
    "state": st.sampled_from(["queued", "closed", "active"]),
    "tag": st.text(min_size=1, max_size=20).map(str.strip).filter(lambda text: text and "\x00" not in text),
    "priority": st.sampled_from("12345"),
    "holder": st.sampled_from(["me", "nobody", "7"]),
    "tier": st.sampled_from(["gold", "Summit & Co"]),
    "age": st.sampled_from(list(AGES)),
    "has": st.just("media"),
    "text": st.sampled_from(["tent", '"torn tent" -refund', "from:ada zelt", "返金"]),
}
PAIRS = st.lists(st.sampled_from(list(SENSIBLE)).flatmap(lambda kind: st.tuples(st.just(kind), SENSIBLE[kind])))


@given(PAIRS)
def test_reading_what_a_filter_writes_gives_the_filter_again(pairs: list[tuple[str, str]]) -> None:
    found = read(pairs)
    assert decoded(found.encoded()) == found


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.text(max_size=300))))
def test_nonsense_is_refused_in_words_and_never_otherwise(pairs: list[tuple[str, str]]) -> None:
    refused: Invalid | None = None
    try:
        read(pairs)
    except Invalid as error:
        refused = error
    assert refused is None or (refused.field in KINDS and refused.message)


@given(st.text(max_size=200))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    with contextlib.suppress(Invalid):
        assert isinstance(decoded(text), Filter)


def test_a_filter_without_one_thing_asks_for_all_the_rest() -> None:
    found = decoded("channel=mastodon&channel=rss&language=de")
    assert found.without("channel", "rss") == decoded("channel=mastodon&language=de")
    assert not found.without("language", "de").language


@pytest.mark.parametrize("text", ["state:open", "queue:billing", '"torn', "from:", "before:2026"])
def test_a_text_that_asks_for_more_than_words_and_people_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        read([("text", text)])
    assert refused.value.field == "text"


def test_a_text_without_words_asks_for_nothing() -> None:
    assert not read([("text", " -- !? ")])


def test_an_unknown_order_is_refused() -> None:
    assert sort_of({}, Sort.RANK) == Sort.RANK
    assert sort_of({"sort": "reach"}, Sort.RANK) == Sort.REACH
    with pytest.raises(Invalid):
        sort_of({"sort": "loudest"}, Sort.RANK)


def test_more_values_than_anybody_needs_are_refused() -> None:
    with pytest.raises(Invalid):
        read(("tag", f"tag-{n}") for n in range(filters.MOST_CHOICES + 1))
