"""Split: a text that is too long for one post, as the posts of a thread. Pure; nothing of the text is lost.

Cut after a sentence where that leaves the post reasonably full, else between words, else between graphemes.
"""

from collections.abc import Callable, Iterator

import regex

_SENTENCE = regex.compile(r"[.!?…]+[\"'”’»)\]]*\s+|[。！？]+[」』]?\s*|\n\s*")  # noqa: RUF001 - Chinese and Japanese write these
_WORD = regex.compile(r"\s+")
_GRAPHEME = regex.compile(r"\X")
_FULL = 0.5  # of what would fit: a sentence's end before that is not worth a whole post


class Unsplittable(ValueError):
    """Not even one grapheme fits into a post."""


def split(text: str, fits: Callable[[str], bool]) -> list[str]:
    """The parts of a text, in order: joined they are the text, and `fits` holds for each one without its outer space.

    Raises:
        Unsplittable: `fits` is never true.
    """
    parts, start = [], 0
    while start < len(text):
        end = _end(text, start, fits)
        parts.append(text[start:end])
        start = end
    return parts


def _end(text: str, start: int, fits: Callable[[str], bool]) -> int:
    if fits(text[start:].strip()):
        return len(text)
    word = _last(text, start, _WORD, fits)
    sentence = _last(text, start, _SENTENCE, fits)
    if sentence and (not word or sentence - start >= _FULL * (word - start)):
        return sentence
    end = word or _last(text, start, _GRAPHEME, fits)
    if end is None:
        raise Unsplittable(text[start : start + 20])
    return end


def _last(text: str, start: int, boundary: regex.Pattern[str], fits: Callable[[str], bool]) -> int | None:
    """The last boundary up to which the text fits; what is longer than something too long is too long as well."""
    found = None
    for end in _ends(text, start, boundary):
        if not fits(text[start:end].strip()):
            break
        found = end
    return found


def _ends(text: str, start: int, boundary: regex.Pattern[str]) -> Iterator[int]:
    return (match.end() for match in boundary.finditer(text, start))
