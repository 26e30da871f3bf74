"""Posts that say nearly the same: reposts, copies, a text that goes round with a word changed here and there.

MinHash (Broder 1997) over words and pairs of neighbouring words, by one hash a shingle and the least of each bin (one
permutation hashing with rotation, Li, Owen, Zhang 2012; Shrivastava, Li 2014), in bands of three: two posts of which
eight shingles in ten are the same share a band with a chance of 0.99, of which three in ten are, 0.15. What shares
one is then compared itself, so nothing is folded by chance.
"""

import zlib
from collections.abc import Collection
from itertools import pairwise

from app.listening.plain import Plain
from app.listening.tokens import PAIR, runs

FROM = 0.65  # share of the shingles of both that both have
FEWEST = 5  # words; shorter ones (thank you!) are said by many who have nothing to do with each other
_BANDS, _ROWS = 6, 3
_BINS = _BANDS * _ROWS
_MOST_WORDS = 300
_MIX = 0x9E3779B97F4A7C15
_WORD = (1 << 64) - 1


def shingles(said: Plain) -> frozenset[str]:
    """What a text is compared by; empty when it is too short for that."""
    words = _pieces(said)[:_MOST_WORDS]
    if len(words) < FEWEST:
        return frozenset()
    return frozenset([*words, *(f"{one} {other}" for one, other in pairwise(words))])


def keys(said: Plain) -> tuple[int, ...]:
    """What alike texts share one of, as signed 64-bit numbers; none for a text that is too short."""
    parts = shingles(said)
    if not parts:
        return ()
    bins: list[int | None] = [None] * _BINS
    for part in parts:
        mixed = (zlib.crc32(part.encode()) + 1) * _MIX & _WORD
        at, value = (mixed >> 56) % _BINS, mixed & 0xFFFFFFFFFFFF
        least = bins[at]
        if least is None or value < least:
            bins[at] = value
    full = _filled(bins)
    return tuple(_key(band, full[band * _ROWS : (band + 1) * _ROWS]) for band in range(_BANDS))


def alike(one: Collection[str], other: Collection[str]) -> bool:
    """Whether two texts, by their shingles, say nearly the same."""
    ones, others = frozenset(one), frozenset(other)
    return bool(ones) and len(ones & others) >= FROM * len(ones | others)


def _filled(bins: list[int | None]) -> list[int]:
    """Empty bins borrow from the next full one, marked by how far that is."""
    full = []
    for at in range(_BINS):
        step = 0
        while (value := bins[(at + step) % _BINS]) is None:
            step += 1
        full.append(value + step * _MIX & _WORD)
    return full


def _key(band: int, rows: list[int]) -> int:
    mixed = band + 1
    for row in rows:
        mixed = (mixed * _MIX + row) & _WORD
        mixed ^= mixed >> 29
    return mixed - (1 << 64) if mixed >> 63 else mixed


def _pieces(said: Plain) -> list[str]:
    """The words; of scripts without spaces the characters, since a word of theirs is a whole sentence here."""
    if said.line.isascii():
        return list(said.words)
    pieces: list[str] = []
    for run in runs(said.line):
        pieces += list(run.text) if run.kind == PAIR else [run.text]
    return pieces
