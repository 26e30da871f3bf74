"""Hostile HTML and text, shown safely."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.sanitize import clean, noted, parts

HOSTILE = [
    "<script>alert(1)</script>x",
    '<img src="https://t.example/p.gif" onerror="alert(1)">',
    '<a href="javascript:alert(1)">x</a>',
    '<a href="JaVa\tScRiPt:alert(1)">x</a>',
    '<a href="data:text/html,<script>alert(1)</script>">x</a>',
    '<svg><a xlink:href="javascript:alert(1)"><text>x</text></a></svg>',
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    '<p style="position:fixed" class="btn" id="page" data-keep hx-get="/x">x</p>',
    "<form action=/logout method=post><button>x</button></form>",
    '<iframe src="//evil.example"></iframe>',
    '<meta http-equiv="refresh" content="0;url=//evil.example">',
    '<template shadowrootmode="open"><p>x</p></template>',
    '<img alt=\'"><script>alert(1)</script>\' src="https://a.example/b">',
]


@pytest.mark.parametrize("html", HOSTILE)
def test_nothing_hostile_is_left(html: str) -> None:
    safe = clean(html)
    tags = re.findall(r"<([a-z0-9]+)((?:\s+[a-z-]+=\"[^\"]*\")*)\s*/?>", safe)
    assert not {name for name, _ in tags} & {
        "script",
        "img",
        "iframe",
        "svg",
        "form",
        "button",
        "meta",
        "style",
        "template",
    }
    for _, attributes in tags:
        assert not re.search(r"\s(on\w+|style|class|id|hx-\w+|data-\w+|srcset)=", attributes)
    assert not re.search(r'href="\s*(javascript|data|vbscript)', safe, re.IGNORECASE)


def test_an_image_becomes_a_link_with_its_words_and_is_never_loaded() -> None:
    assert clean('<img src="https://a.example/b.png" alt="a torn tent">') == (
        '<a href="https://a.example/b.png" target="_blank" rel="nofollow noopener noreferrer ugc">a torn tent</a>'
    )


def test_a_link_without_a_scheme_is_made_whole_and_a_relative_one_leads_nowhere() -> None:
    assert 'href="https://a.example/x"' in clean('<a href="//a.example/x">x</a>')
    assert "href" not in clean('<a href="/logout">x</a>')


@given(st.text())
def test_whatever_comes_is_clean_after_the_first_time(html: str) -> None:
    assert clean(clean(html)) == clean(html)


@given(st.text())
def test_cutting_a_text_at_its_links_loses_nothing(text: str) -> None:
    assert "".join(part.text for part in parts(text)) == text


def test_a_link_in_a_text_ends_before_the_sentence_does() -> None:
    found = parts("Look (https://a.example/b?c=1), or http://x.example/ü. Not javascript:alert(1).")
    assert [part.href for part in found if part.href] == ["https://a.example/b?c=1", "http://x.example/ü"]


def test_a_note_marks_the_names_that_it_names_and_nothing_else() -> None:
    found = noted(
        "@Marta Nowak and @marta, not @martas or a@marta; https://x.example/@marta <b>", {"marta", "Marta Nowak"}
    )
    assert [part.text for part in found if part.named] == ["@Marta Nowak", "@marta"]
    assert [part.href for part in found if part.href] == ["https://x.example/@marta"]
    assert "".join(part.text for part in found).endswith("@marta <b>")


def test_a_note_that_names_nobody_is_cut_at_its_links_only() -> None:
    assert noted("@marta see https://x.example", ()) == parts("@marta see https://x.example")
