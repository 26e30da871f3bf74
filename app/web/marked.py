"""Where in a text stands what was looked for: pieces to be drawn, some of them marked. Nothing here is markup."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.listening import tokens
from app.queries.asked import WORDS, Term

SNIPPET = 260  # characters of a hit
BEFORE = 80  # of them before the first mark


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text; `hit` is what was looked for."""

    text: str
    hit: bool = False


def pieces(text: str, terms: Iterable[Term]) -> tuple[Piece, ...]:
    """The part of the text around the first hit, in pieces. Without a hit, its beginning."""
    text = " ".join(text.split())
    spans = _merged(_spans(text, [term for term in terms if not term.negated]))
    first = spans[0][0] if spans else 0
    start = _begin(text, first)
    end = min(len(text), start + SNIPPET)
    found = list(_cut(text, spans, start, end))
    if start:
        found.insert(0, Piece("… "))
    if end < len(text):
        found.append(Piece(" …"))
    return tuple(found)


def _begin(text: str, first: int) -> int:
    """Where a snippet begins: at a word's beginning where there are words."""
    if first <= BEFORE:
        return 0
    gap = text.find(" ", first - BEFORE, first)
    return gap + 1 if gap >= 0 else first - BEFORE


def _cut(text: str, spans: list[tuple[int, int]], start: int, end: int) -> Iterator[Piece]:
    at = start
    for begin, stop in spans:
        if stop <= start or begin >= end:
            continue
        if begin > at:
            yield Piece(text[at:begin])
        yield Piece(text[max(begin, at) : min(stop, end)], hit=True)
        at = min(stop, end)
    if at < end:
        yield Piece(text[at:end])


def _spans(text: str, terms: list[Term]) -> Iterator[tuple[int, int]]:
    plain, origins = tokens.fold_mapped(text)
    placed = list(tokens.runs(plain))
    for term in terms:
        wanted = list(tokens.runs(tokens.folded(term.value)))
        for at in range(len(placed) - len(wanted) + 1):
            found = _fits(placed[at : at + len(wanted)], wanted, goes_on=term.op == WORDS)
            if found is not None:
                yield origins[found[0]], origins[found[1] - 1] + 1


def _fits(there: list[tokens.Run], wanted: list[tokens.Run], *, goes_on: bool) -> tuple[int, int] | None:
    """Where in the folded text the runs stand one after the other; None when they do not."""
    first, last = 0, 0
    for number, (one, asked) in enumerate(zip(there, wanted, strict=True)):
        ends = number == len(wanted) - 1
        if one.kind == tokens.PAIR:  # no words: anywhere in the first, at the beginning of others
            at = one.text.find(asked.text)
            if at < 0 or (number and at):
                return None
            first, last = (one.start + at if not number else first), one.start + at + len(asked.text)
        elif one.text == asked.text or (goes_on and ends and one.text.startswith(asked.text)):
            first, last = (one.start if not number else first), one.start + len(asked.text)
        else:
            return None
    return (first, last) if last > first else None


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged
