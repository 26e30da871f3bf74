"""Open hours as people write them: `Mon-Fri 09:00-17:30; Sat 10:00-14:00, 15:00-18:00`. Nothing: always open."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from re import fullmatch, split

from app.errors import Invalid
from app.i18n import _
from app.routing.hours import WEEKDAYS, read_week

Hours = dict[str, list[list[str]]]
DASH = r"\s*[-\u2013\u2014]\s*"  # people also type, or paste, the longer ones
EXAMPLE = "Mon-Fri 09:00-17:30; Sat 10:00-14:00"


def parse_hours(text: str) -> Hours:
    """Weekday to its spans. Raises Invalid, naming the part that makes no sense."""
    hours: Hours = {}
    for part in (one.strip() for one in split(r"[;\n]", text)):
        if part:
            days, spans = _part(part)
            for day in days:
                hours.setdefault(day, []).extend(list(span) for span in spans)
    hours = {day: sorted(hours[day]) for day in WEEKDAYS if day in hours}
    read_week(hours)
    return hours


def show_hours(hours: Mapping[str, Sequence[Sequence[str]]]) -> str:
    """The shortest text that `parse_hours` reads as these hours."""
    told = [(day, ", ".join(f"{start}-{end}" for start, end in hours.get(day, ()))) for day in WEEKDAYS]
    parts: dict[str, list[str]] = {}
    for spans, days in groupby(told, key=lambda one: one[1]):
        if spans:
            parts.setdefault(spans, []).append(_run([day for day, _ in days]))
    return "; ".join(f"{', '.join(runs)} {spans}" for spans, runs in parts.items())


def _run(days: Sequence[str]) -> str:
    first, last = days[0].capitalize(), days[-1].capitalize()
    return first if len(days) == 1 else f"{first}-{last}"


def _part(part: str) -> tuple[Iterable[str], list[tuple[str, str]]]:
    """`Mon-Wed, Fri 9-12, 13:00-17:00` -> its days and its spans."""
    match = fullmatch(r"([^\d]*?[^\d\s,])[\s,:]+(\d.*)", part)
    if match is None:
        raise Invalid(
            _("Hours, '%(part)s': write days and then times, as in %(example)s.") % {"part": part, "example": EXAMPLE},
            "hours",
        )
    days = [day for word in match[1].split(",") for day in _days(part, word.strip())]
    if len(set(days)) < len(days):
        raise Invalid(_("Hours, '%(part)s': a day stands there twice.") % {"part": part}, "hours")
    return days, [_span(part, word.strip()) for word in match[2].split(",")]


def _days(part: str, word: str) -> list[str]:
    if word.lower() in {"daily", "every day"}:
        return list(WEEKDAYS)
    ends = [_day(part, one) for one in split(DASH, word)]
    if len(ends) > 2:  # noqa: PLR2004 - from and to
        raise Invalid(
            _("Hours, '%(part)s': '%(word)s' is not a range of days like Mon-Fri.") % {"part": part, "word": word},
            "hours",
        )
    first, last = WEEKDAYS.index(ends[0]), WEEKDAYS.index(ends[-1])
    return [WEEKDAYS[(first + step) % 7] for step in range((last - first) % 7 + 1)]


def _day(part: str, word: str) -> str:
    found = [day for day in _FULL if len(word) > 1 and day.startswith(word.lower().rstrip("."))]
    if len(found) != 1:
        raise Invalid(
            _("Hours, '%(part)s': '%(word)s' is not a day of the week. Write Mon, Tue ... Sun.")
            % {"part": part, "word": word},
            "hours",
        )
    return found[0][:3]


_FULL = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _span(part: str, word: str) -> tuple[str, str]:
    match = fullmatch(rf"(\d{{1,2}})(?:[:.](\d\d))?{DASH}(\d{{1,2}})(?:[:.](\d\d))?", word)
    if match is None:
        raise Invalid(
            _("Hours, '%(part)s': '%(word)s' is not a span of time like 09:00-17:30.") % {"part": part, "word": word},
            "hours",
        )
    return f"{int(match[1]):02}:{match[2] or '00'}", f"{int(match[3]):02}:{match[4] or '00'}"
