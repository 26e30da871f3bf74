"""Text as rules see it, and text as the database can hold it."""

import json
import unicodedata
from typing import Any

LONGEST_TEXT = 50_000  # characters of a post that are kept; no channel we know allows as many


def storable(text: str, longest: int = LONGEST_TEXT) -> str:
    """The text as Postgres can keep it: no NUL, no lone surrogates, bounded. Everything else stays verbatim."""
    whole = text.replace("\x00", "")[:longest]
    return whole.encode("utf-8", "replace").decode("utf-8")


def storable_json(value: Any) -> str:
    """JSON as Postgres can keep it. NUL and lone surrogates, which it refuses, are looked for only when they are there."""
    text = json.dumps(value, separators=(",", ":"))
    if "\\u0000" in text or "\\ud" in text:
        text = json.dumps(_storable_parts(value), separators=(",", ":"))
    return text


def _storable_parts(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value, len(value))
    if isinstance(value, dict):
        return {storable(str(key)): _storable_parts(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_storable_parts(part) for part in value]
    return value


def matchable(text: str) -> str:
    """The text as rules compare it: compatibility forms folded, invisible format characters (zero-width, bidi) gone.

    A word is found although somebody hid a zero-width space in it.
    """
    folded = unicodedata.normalize("NFKC", text)
    return "".join(c for c in folded if unicodedata.category(c) != "Cf")
