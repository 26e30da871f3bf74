"""Spans of time as people write them: `90 s`, `2 min`, `1 h`, `2 days`."""

from re import fullmatch

from app.errors import Invalid
from app.i18n import _

SPAN = r"\d+\s*[a-z]+"
_UNITS = {"s": 1, "min": 60, "h": 3600, "day": 86_400}
_WORDS = {
    "s": ("s", "sec", "secs", "second", "seconds"),
    "min": ("min", "mins", "minute", "minutes"),
    "h": ("h", "hour", "hours"),
    "day": ("day", "days", "d"),
}
_SECONDS = {word: _UNITS[unit] for unit, words in _WORDS.items() for word in words}


def read_span(text: str) -> int:
    """Seconds. Raises Invalid for what is no span of time."""
    match = fullmatch(r"(\d{1,9})\s*([a-z]+)", text.strip().lower())
    if match is None or match[2] not in _SECONDS:
        raise Invalid(_("'%(text)s' is not a span of time. Write it as 90 s, 2 min, 1 h or 2 days.") % {"text": text})
    return int(match[1]) * _SECONDS[match[2]]


def write_span(seconds: int) -> str:
    """The span in its greatest whole unit, as `read_span` reads it."""
    unit = max((one for one in _UNITS if seconds and seconds % _UNITS[one] == 0), key=_UNITS.__getitem__, default="s")
    count = seconds // _UNITS[unit]
    return f"{count} days" if unit == "day" and count > 1 else f"{count} {unit}"
