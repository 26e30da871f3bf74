"""Lexicons: phrases by class, found in one pass over a post by RE2, however many there are.

A lexicon is a file in `words/`. `[complaint de]` begins the phrases of a class in a language; they count in posts that
may be in that language. Phrases stand between commas; `cancel*` is
any word that begins so, `(a|b)` either, `(a )?` maybe, `..` up to three words in between. Scripts without spaces are
found anywhere. A line that ends in `= 2` weighs twice.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import re2
import regex

from app.listening.plain import fold

FOLDER = Path(__file__).parent / "words"
MOST_MEMORY = 64 << 20  # bytes for the automaton of one lexicon
_HEAD = re.compile(r"\[(\w+) (\w+)\]")
_WEIGHT = re.compile(r"\s*=\s*(-?\d+)$")
_SOLID = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]")  # scripts that put no space between words
_ARABIC = regex.compile(r"\p{Arabic}")
_GAP = "(?:[^ ]+ ){0,3}"


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase of a class, as its author wrote it."""

    kind: str
    language: str
    text: str
    weight: int = 1

    def said(self, line: str) -> str:
        """The words of a line in which it was found."""
        found = re2.search(pattern(self.text), line)
        return str(found[0]).strip() if found else self.text


class Lexicon:
    """The phrases of a file, made ready. Finding is pure."""

    def __init__(self, phrases: list[Phrase]) -> None:
        """Compile the phrases. Raises ValueError for one that makes no pattern."""
        self.phrases = phrases
        options = re2.Options()
        options.max_mem = MOST_MEMORY
        self._set = re2.Set.SearchSet(options)
        self._patterns = [pattern(phrase.text) for phrase in phrases]
        for one in self._patterns:
            self._set.Add(one)
        self._always = self._set.Add(" ")
        self._set.Compile()

    def find(self, line: str, languages: Collection[str] = ()) -> list[Phrase]:
        """The phrases that stand in a line of words, as `app.listening.plain` makes it, of these languages or of all."""
        found = [self.phrases[index] for index in self._matches(line)]
        return [phrase for phrase in found if phrase.language in languages] if languages else found

    def _matches(self, line: str) -> Iterable[int]:
        """Indices of what matches. A set that ran out of memory finds nothing, not even a space: then one by one."""
        found = self._set.Match(line)
        if found:
            return sorted(index for index in found if index != self._always)
        return (index for index, one in enumerate(self._patterns) if re2.search(one, line))


def quotes(found: Iterable[Phrase], line: str, most: int) -> tuple[str, ...]:
    """The words of a line that told, the longest first; what stands in another quote is not said again."""
    told: list[str] = []
    for said in sorted({one.said(line) for one in found}, key=lambda one: (-len(one), one)):
        if not any(said in other for other in told):
            told.append(said)
    return tuple(told[:most])


@lru_cache(maxsize=8_192)
def pattern(phrase: str) -> str:
    """The RE2 pattern of a phrase."""
    if _SOLID.search(phrase):
        return fold(phrase).replace(" ", "[ ]?").replace("*", "[^ ]*").replace("..", "[^ ]{0,12}[ ]?[^ ]{0,12}")
    folded = " ".join(fold(phrase).replace("'", "").split()).replace("(", "(?:")
    folded = folded.replace("*", "[^ ]*").replace(" .. ", " " + _GAP)
    article = "[وفبلك]?(?:ال)?" if _ARABIC.match(folded) else ""  # what Arabic writes onto a word
    return f" {article}{folded} "


def read(name: str) -> Iterator[Phrase]:
    """The phrases of a file. Raises ValueError for a line outside of a class."""
    kind = language = ""
    for line in (FOLDER / f"{name}.txt").read_text("utf-8").splitlines():
        said = line.strip()
        if not said or said.startswith("//"):
            continue
        if head := _HEAD.fullmatch(said):
            kind, language = head.groups()
            continue
        if not kind:
            raise ValueError(f"{name}.txt: '{said}' stands before the first class.")
        weight = _WEIGHT.search(said)
        for phrase in _WEIGHT.sub("", said).split(","):
            yield Phrase(kind, language, phrase.strip(), int(weight[1]) if weight else 1)


@lru_cache(maxsize=8)
def lexicon(name: str) -> Lexicon:
    """A lexicon by the name of its file, made ready once."""
    return Lexicon(list(read(name)))
