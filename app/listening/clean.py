"""Text as rules see it, and text as the database can hold it."""

import json
import unicodedata
from typing import Any

import regex

LONGEST_TEXT = 50_000  # characters of a post that are kept; no channel we know allows as many
_INVISIBLE = regex.compile(r"\p{Cf}+")


def storable(text: str, longest: int = LONGEST_TEXT) -> str:
    """The text as Postgres can keep it: no NUL, no lone surrogates, bounded. Everything else stays verbatim."""
    whole = text.replace("\x00", "")[:longest]
    return whole.encode("utf-8", "replace").decode("utf-8")


def storable_json(value: Any) -> str:
    """JSON as Postgres can keep it. NUL and lone surrogates, which it refuses, are taken out only when they are there."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if "\\u0000" in text or not _is_unicode(text):
        text = json.dumps(storable_parts(value), separators=(",", ":"), ensure_ascii=False)
    return text


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def storable_parts(value: Any) -> Any:
    """The same plain value with every text in it as Postgres can keep it."""
    if isinstance(value, str):
        return storable(value, len(value))
    if isinstance(value, dict):
        return {storable(str(key)): storable_parts(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [storable_parts(part) for part in value]
    return value


def matchable(text: str) -> str:
    """The text as rules compare it: compatibility forms folded, invisible format characters (zero-width, bidi) gone.

    A word is found although somebody hid a zero-width space in it. Lone surrogates, which RE2 refuses, are gone too.
    """
    if text.isascii():
        return text  # nothing to fold, nothing invisible
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", whole))
