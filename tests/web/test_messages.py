"""Every visible string goes through the catalogue."""

import re
from pathlib import Path

import pytest

from app.web.templating import JINJA, TEMPLATES
from tools.messages import POT, extracted

PAGES = sorted(str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.html"))
NAMES = {
    "Careline",
    "Enter",
    "Ctrl",
    "Shift",
    "Esc",
    "ABCD",
    "EFGH",
    "IJKL",
    "s",
    "h",
    "A",
    "C",
    "D",
    "J",
    "K",
    "Z",
}  # names and keys


def test_the_catalogues_template_is_current() -> None:
    assert POT.read_bytes() == extracted(), "Run: python tools/messages.py"


@pytest.mark.parametrize("page", PAGES)
def test_no_template_has_words_of_its_own(page: str) -> None:
    source = (TEMPLATES / page).read_text(encoding="utf-8")
    source = re.sub(r"\{#.*?#\}", "", source, flags=re.DOTALL)
    source = re.sub(r"\{%-?\s*trans\b.*?endtrans\s*-?%\}", "", source, flags=re.DOTALL)
    source = re.sub(r"\{% block (?:layout|page_class) %\}.*?\{% endblock %\}", "", source)
    source = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", source, flags=re.DOTALL)
    shown = re.sub(r"<(script|style|svg)\b.*?</\1>", "", source, flags=re.DOTALL)
    shown += " ".join(re.findall(r'\s(?:aria-label|title|placeholder|alt)="([^"]*)"', source))
    shown = re.sub(r'[\w-]+="[^"]*"', "", re.sub(r"<[^>]*>|&\w+;", " ", shown))
    words = set(re.findall(r"[^\W\d_]+", shown))
    assert words <= NAMES


@pytest.mark.parametrize("page", PAGES)
def test_every_template_compiles(page: str) -> None:
    assert JINJA.get_template(page).name == page


def test_templates_lie_where_the_extraction_looks() -> None:
    assert {path.suffix for path in Path(TEMPLATES).rglob("*") if path.is_file()} == {".html"}


@pytest.mark.parametrize("page", PAGES)
def test_what_is_counted_is_the_first_word_of_a_plural(page: str) -> None:
    """Jinja takes the plural's form from it; a language that needs a number for that fails on a word."""
    source = (TEMPLATES / page).read_text(encoding="utf-8")
    found = re.findall(
        r"\{%-?\s*trans\b((?:(?!endtrans).)*?)-?%\}(?:(?!endtrans).)*?pluralize", source, flags=re.DOTALL
    )
    assert [one for one in found if not re.match(r"\s*n\b", one)] == []
