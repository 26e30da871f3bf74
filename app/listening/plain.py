"""A post as its words, one space between and around: what all lexicons are compared with.

`@Northwind my tent isn't here!!` is ` my tent isnt here `. Case, accents and widths are gone as in the search; names,
addresses and what is only punctuation are, too. Phrases of the lexicons are brought into the same form, so that one
search of one string finds them, whole words only.
"""

import html
import re
from dataclasses import dataclass

from app.listening import tokens
from app.listening.clean import matchable

LONGEST = 4_000  # characters that are looked at
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+")
_NAME = re.compile(r"(?<![\w.])@[\w.@-]+")
_APOSTROPHE = re.compile(r"(?<=\w)['\u2019`\u00b4](?=\w)")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Plain:
    """A post's text in the forms that the signals look at."""

    text: str  # as it was written, invisible characters gone, entities resolved
    bare: str  # without addresses and names, case kept
    words: tuple[str, ...]  # folded
    line: str  # the words with a space between and around
    addresses: int
    names: int
    tags: int


def plain(text: str) -> Plain:
    """Bring a text into these forms."""
    whole = matchable(text[:LONGEST])
    whole = html.unescape(whole) if "&" in whole else whole
    without, addresses = _ADDRESS.subn(" ", whole)
    bare, names = _NAME.subn(" ", without) if "@" in without else (without, 0)
    words = split(bare)
    return Plain(whole, bare, words, f" {' '.join(words)} ", addresses, names, bare.count("#"))


def split(text: str) -> tuple[str, ...]:
    """The folded words of a text."""
    return tuple(_WORD.findall(fold(_APOSTROPHE.sub("", text))))


def fold(text: str) -> str:
    """The text without case, accents and widths."""
    return text.lower() if text.isascii() else tokens.folded(text)
