"""HTML becomes the words a person would read."""

import json

import pytest

from app.connectors.text import plain, storable_json


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("<p>Hello</p><p>there</p>", "Hello\n\nthere"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("<ul><li>tent</li><li>boots</li></ul>", "tent\nboots"),
        ("a &amp; b &lt;c&gt; &eacute;", "a & b <c> é"),
        ("<script>alert(1)</script>seen<style>p{}</style>", "seen"),
        ('<a href="https://x.example/a"><span class="invisible">https://</span>x.example/a</a>', "https://x.example/a"),
        ("  many   \n  spaces ", "many spaces"),
        ("<b><i>badly <p>nested</b></i> text", "badly\n\nnested text"),
        ("5 < 6 and 7 > 2", "5 < 6 and 7 > 2"),
        ("", ""),
        ("مرحبا <b>بكم</b>\u200f", "مرحبا بكم\u200f"),
    ],
)
def test_html_reads_as_a_person_would_read_it(source: str, words: str) -> None:
    assert plain(source) == words


def test_deeply_nested_html_is_read_in_bounded_time() -> None:
    assert plain("<div>" * 20_000 + "deep" + "</div>" * 20_000) == "deep"


def test_characters_that_no_store_can_hold_are_replaced_everywhere() -> None:
    value = json.loads('{"a\\u0000": ["\\ud800x", {"b": "ok"}], "n": 1, "x": [NaN, 1e999]}')
    assert storable_json(value) == {"a\ufffd": ["\ufffdx", {"b": "ok"}], "n": 1, "x": [None, None]}
