"""Hostile text made plain: HTML to the words a person would read, and text that any store can keep."""

import html
import math
import re
import unicodedata
from typing import Any

import nh3

_BLOCKS = {"p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "ul", "ol", "table"}
_TAG = re.compile(r"<(/?)([a-z0-9]+)[^<>]*>")
_SPACE = re.compile(r"[ \t\r\n\f]+")
_AROUND_BREAK = re.compile(r" *\n *")
_MANY_BREAKS = re.compile(r"\n{3,}")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_LONGEST = 1_000_000  # characters of HTML that are read; nobody writes more by hand


def plain(source: str) -> str:
    """The text of an HTML fragment: breaks and paragraphs as line breaks, scripts and styles left out.

    The fragment is first parsed as a browser would (nh3), so that broken nesting and odd quoting cannot hide text.
    """
    safe = nh3.clean(storable(source[:_LONGEST]), tags={*_BLOCKS, "br"}, attributes={})
    spaced = _SPACE.sub(" ", safe)
    broken = _TAG.sub(_as_break, spaced)
    lines = _AROUND_BREAK.sub("\n", html.unescape(broken).replace("\u00a0", " "))
    return _MANY_BREAKS.sub("\n\n", lines).strip()


def _as_break(tag: re.Match[str]) -> str:
    closing, name = tag.groups()
    if name == "br" or (name in {"li", "tr"} and not closing):
        return "\n"
    if name in {"li", "tr"}:
        return ""
    return "\n" if name == "div" else "\n\n"


def storable(text: str) -> str:
    """The text with NUL and lone surrogates, which neither UTF-8 nor Postgres can hold, shown as U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def essence(text: str) -> str:
    """What of a text survives any channel's own rendering: no white space or invisible marks."""
    normal = unicodedata.normalize("NFC", text)
    return "".join(c for c in normal if not c.isspace() and unicodedata.category(c) not in {"Cf", "Cc"})


def storable_json(value: Any) -> Any:
    """The same for everything inside a JSON value, keys included; NaN and infinities become null."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(str(key)): storable_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [storable_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
