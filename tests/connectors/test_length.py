"""Counting as the channels count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connectors.base import Capabilities, Length
from app.connectors.length import count, fits, left

FAMILY = "👩‍👩‍👧‍👦"


@pytest.mark.parametrize(
    ("text", "graphemes"),
    [
        ("", 0),
        ("hello", 5),
        (FAMILY, 1),
        ("🇩🇪🇫🇷", 2),
        ("e\u0301", 1),
        ("क्षत्रिय", 3),
        ("a\r\nb", 3),
        ("1️⃣", 1),
    ],
)
def test_a_grapheme_is_what_a_person_sees_as_one_character(text: str, graphemes: int) -> None:
    assert count(text, Length.GRAPHEMES) == graphemes


def test_characters_are_code_points() -> None:
    assert count(FAMILY, Length.CHARACTERS) == 7


@pytest.mark.parametrize(("text", "length"), [("hello", 5), ("e\u0301", 2), ("👍", 4), (FAMILY, 25), ("1️⃣", 7)])
def test_threads_counts_the_bytes_of_an_emoji(text: str, length: int) -> None:
    assert count(text, Length.THREADS) == length


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("https://example.com/" + "a" * 200, 23),
        ("http://a.io", 23),
        ("see https://example.com/a.", 4 + 23 + 1),
        ("(https://example.com/a)", 1 + 23 + 1),
        ("https://en.wikipedia.org/wiki/Careline_(queue)", 23),
        ("example.com/" + "a" * 50, 62),
        ("https://a.io https://b.io", 23 + 1 + 23),
    ],
)
def test_mastodon_counts_every_link_as_23(text: str, length: int) -> None:
    assert count(text, Length.MASTODON) == length


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("@ada@social.example hi", len("@ada hi")),
        ("@ada hi", len("@ada hi")),
        ("@ada.b@social.example:3000", len("@ada.b")),
        ("mail ada@social.example", len("mail ada@social.example")),
        ("@ada@social.example, @bob@other.example", len("@ada, @bob")),
    ],
)
def test_mastodon_counts_a_remote_mention_without_its_server(text: str, length: int) -> None:
    assert count(text, Length.MASTODON) == length


def test_mastodon_counts_graphemes() -> None:
    assert count(FAMILY * 3, Length.MASTODON) == 3


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("hello", 5),
        ("日本語", 6),
        ("e\u0301", 1),
        (FAMILY, 2),
        ("👍🏽", 2),
        ("🇩🇪", 2),
        ("1️⃣", 2),
        ("“quoted” — so", 13),
        ("…", 2),
        ("see https://example.com/a.", 4 + 23 + 1),
        ("(https://example.com/a)", 1 + 23 + 1),
        ("northwind.com is open", 23 + 8),
        ("mail me@northwind.com", 21),
        ("Hello.World", 11),
    ],
)
def test_x_weighs_letters_links_and_emoji(text: str, length: int) -> None:
    assert count(text, Length.X) == length


def test_what_is_left_counts_the_lead_too() -> None:
    allowed = Capabilities(length_limit=10, length_counts=Length.MASTODON)
    assert left("12345", allowed, "@ada@social.example ") == 0
    assert left("123456", allowed, "@ada@social.example ") == -1
    assert not fits("123456", allowed, "@ada@social.example ")


def test_the_tighter_of_two_limits_speaks() -> None:
    allowed = Capabilities(length_limit=300, length_counts=Length.GRAPHEMES, byte_limit=3000)
    assert fits("x" * 300, allowed)
    assert not fits(FAMILY * 200, allowed)
    assert left(FAMILY * 200, allowed) == 3000 - 200 * 25


def test_without_a_limit_everything_fits() -> None:
    assert left("x" * 100_000, Capabilities()) is None
    assert fits("x" * 100_000, Capabilities())


@given(st.text(), st.sampled_from(Length))
def test_any_text_has_a_length(text: str, rule: Length) -> None:
    assert count(text, rule) >= 0


@given(st.text(alphabet="@.-ahtps:/() "))
def test_text_like_links_and_mentions_is_counted_without_trouble(text: str) -> None:
    assert 0 <= count(text, Length.MASTODON) <= len(text) + 23 * text.count("://")
    assert count(text, Length.X) >= 0


def test_a_hostile_length_of_mentions_is_counted_quickly() -> None:
    assert count("@" + "a." * 50_000, Length.MASTODON) > 0
    assert count("a." * 20_000, Length.X) > 0
    assert count("a-" * 20_000 + ".com", Length.X) > 0
