"""Text as the search keeps and asks for it: folded, cut into words, and where a script has no spaces into pairs.

Folding takes case, accents, Arabic and Hebrew vowel signs and widths away, so that `Zelt`, `ZELT` and `zelt` are one,
and `Frühjahr` is found by `fruhjahr`. Chinese, Japanese, Korean, Thai, Lao, Khmer and Burmese are cut into pairs of
neighbouring characters, each pair at the place of its first: any string of two or more is found as a run of pairs, a
single character as the beginning of a pair. An emoji is a word. Index and query call the same functions.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

LONGEST_TEXT = 20_000  # characters of a text that are looked at
LONGEST_WORD = 80
LAST_PLACE = 16_000  # Postgres keeps no higher ones apart (16,383)
MOST_PLACES = 100  # of one word in one text
MARK = "="  # the first character of what is no word: marks such as =c:mastodon
_DROPPED = ((0x300, 0x36F), (0x591, 0x5C7), (0x610, 0x61A), (0x64B, 0x65F), (0x670, 0x670), (0x640, 0x640))
_SAME = str.maketrans({"ß": "ss", "ø": "o", "đ": "d", "ł": "l", "æ": "ae", "œ": "oe", "ı": "i", "ى": "ي", "ة": "ه"})  # noqa: RUF001 - meant
_PAIRED = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1100, 0x11FF), (0x1780, 0x17FF), (0x2E80, 0x2FDF), (0x3005, 0x3007),
    (0x3040, 0x309F), (0x30A1, 0x30FA), (0x30FC, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
    (0xAC00, 0xD7FF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF),
)  # fmt: skip
WORD, PAIR, _SIGN, _GAP = "word", "pair", "sign", "gap"
_folds: dict[str, str] = {}
_kinds: dict[str, str] = {}
_KNOWN = 20_000  # characters remembered


@dataclass(frozen=True, slots=True)
class Run:
    """Characters of one kind in folded text, from `start` on."""

    kind: str
    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Token:
    """A word, or a pair of characters, at its place in the text. `prefix`: asked for as the beginning of a word."""

    text: str
    place: int
    prefix: bool = False


def folded(text: str) -> str:
    """The text without case, accents and widths."""
    return "".join(map(_fold, unicodedata.normalize("NFKC", text[:LONGEST_TEXT])))


def fold_mapped(text: str) -> tuple[str, list[int]]:
    """The folded text, and for each of its characters the index of that in `text` from which it comes."""
    parts, origins = [], []
    for index, character in enumerate(text):
        part = _fold(character)
        parts.append(part)
        origins += [index] * len(part)
    return "".join(parts), origins


def runs(plain: str) -> Iterable[Run]:
    """Folded text as runs of one kind; gaps are left out."""
    start, before = 0, _GAP
    for index, character in enumerate(plain):
        kind = _kind(character)
        if kind == before and kind != _SIGN:
            continue
        if before != _GAP:
            yield Run(before, plain[start:index], start)
        start, before = index, kind
    if before != _GAP:
        yield Run(before, plain[start:], start)


def tokens(text: str) -> list[Token]:
    """What the index keeps of a text."""
    found: list[Token] = []
    place = 1
    for run in runs(folded(text)):
        if run.kind == PAIR:
            found += [Token(run.text[at : at + 2], place + at) for at in range(len(run.text))]
            place += len(run.text)
        else:
            found.append(Token(run.text[:LONGEST_WORD], place))
            place += 1
    return found


def asked(text: str, *, prefix: bool) -> list[Token]:
    """What to ask the index for, all of it one after the other. With `prefix` the last word may go on."""
    found: list[Token] = []
    place = 1
    for run in runs(folded(text)):
        if run.kind != PAIR:
            found.append(Token(run.text[:LONGEST_WORD], place))
            place += 1
        elif len(run.text) == 1:
            found.append(Token(run.text, place, prefix=True))
            place += 1
        else:
            found += [Token(run.text[at : at + 2], place + at) for at in range(len(run.text) - 1)]
            place += len(run.text)
    if prefix and found and len(found[-1].text) > 2 and not found[-1].prefix:  # noqa: PLR2004 - shorter ones begin too much
        found[-1] = Token(found[-1].text, found[-1].place, prefix=True)
    return found


def vector(text: str, marks: Iterable[str] = ()) -> str:
    """A text and its marks as the literal of a tsvector."""
    places: dict[str, list[int]] = {}
    for token in tokens(text):
        known = places.setdefault(token.text, [])
        if token.place <= LAST_PLACE and len(known) < MOST_PLACES:
            known.append(token.place)
    words = (f"{quoted(word)}:{','.join(map(str, at))}" if at else quoted(word) for word, at in places.items())
    return " ".join([*words, *(quoted(MARK + mark) for mark in marks)])


def quoted(lexeme: str) -> str:
    """A lexeme as tsvector and tsquery literals write it."""
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"


def _fold(character: str) -> str:
    known = _folds.get(character)
    if known is None:
        apart = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", character).casefold())
        kept = "".join(one for one in apart if not any(low <= ord(one) <= high for low, high in _DROPPED))
        known = unicodedata.normalize("NFC", kept).translate(_SAME)
        if len(_folds) < _KNOWN:
            _folds[character] = known
    return known


def _kind(character: str) -> str:
    known = _kinds.get(character)
    if known is None:
        known = _told_apart(character)
        if len(_kinds) < _KNOWN:
            _kinds[character] = known
    return known


def _told_apart(character: str) -> str:
    code, category = ord(character), unicodedata.category(character)
    if any(low <= code <= high for low, high in _PAIRED) and category[0] in "LMN":
        return PAIR
    if 0xFE00 <= code <= 0xFE0F:  # noqa: PLR2004 - variation selectors say how an emoji looks
        return _GAP
    if category[0] in "LN" or category[0] == "M":
        return WORD
    return _SIGN if category == "So" else _GAP
