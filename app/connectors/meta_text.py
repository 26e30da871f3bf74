"""Small things about texts that Facebook's and Instagram's posts share."""

import hashlib

_EXCERPT = 120  # characters of the post that a comment hangs on


def digest(text: str) -> str:
    """What tells this version of a text from others."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def excerpt(text: str) -> str:
    """The beginning of a text, on one line."""
    words = " ".join(text.split())
    return words if len(words) <= _EXCERPT else words[: _EXCERPT - 1] + "…"
