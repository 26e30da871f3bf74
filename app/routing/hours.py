"""When a queue is open: spans of the week in its own time zone, less its holidays. Pure: no clock, no database."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from re import fullmatch
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.errors import Invalid
from app.i18n import _

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = 24 * 60
ENTIRE = ((0, DAY),)

Minutes = tuple[int, int]  # from and to, since midnight of the day the span begins on
Span = tuple[datetime, datetime]  # in UTC


class OpenHours:
    """The open time of a queue. No hours at all mean every hour of every day.

    A span may run over midnight (`["22:00", "06:00"]`); it belongs to the day it begins on. A holiday takes the spans
    that begin on it, and cuts short the one that runs into it. What is counted is real seconds: where clocks change,
    a wall time that is skipped is the moment of the change, and one that comes twice is the first of the two.
    """

    def __init__(self, timezone: str, hours: Mapping[str, Sequence[Sequence[str]]], holidays: Sequence[str]) -> None:
        """Read hours (`{"mon": [["09:00", "17:30"]]}`) and dates (`"2027-01-01"`). `Invalid` names field and part."""
        self.zone = read_zone(timezone)
        self._week = read_week(hours)
        self._holidays = frozenset(read_date(day) for day in holidays)
        self._days: dict[date, tuple[Span, ...]] = {}

    @property
    def always(self) -> bool:
        """Whether it never closes: neither hours nor holidays were given."""
        return not self._week and not self._holidays

    def is_open(self, at: datetime) -> bool:
        """Whether the queue is open at this moment. The moment it closes is outside."""
        return self.always or next(self._spans(at))[0] <= at

    def next_open(self, at: datetime) -> datetime:
        """`at` itself while open, else the moment it opens next."""
        return at if self.always else max(at, next(self._spans(at))[0])

    def next_close(self, at: datetime) -> datetime | None:
        """When it closes after being open, now or next; None when that is more than a year away."""
        if self.always:
            return None
        spans = self._spans(at)
        end = next(spans)[1]
        for start, later in spans:
            if start > end:
                return end
            if later > at + timedelta(days=366):
                return None
            end = later
        return None

    def add(self, at: datetime, seconds: float) -> datetime:
        """The moment after so many open seconds from `at`, in UTC; `at` itself for none."""
        if seconds < 0:
            raise ValueError(_("open seconds to add cannot be negative"))
        at, left = at.astimezone(UTC), timedelta(seconds=seconds)
        if self.always or not left:
            return at + left
        for start, end in self._spans(at):
            begin = max(start, at)
            if left <= end - begin:
                return begin + left
            left -= end - begin
        raise ValueError(_("the calendar ends before so many open seconds have passed"))

    def between(self, since: datetime, until: datetime) -> float:
        """Open seconds from `since` to `until`; 0 when `until` is not later."""
        if until <= since:
            return 0.0
        if self.always:
            return (until - since).total_seconds()
        total = timedelta()
        for start, end in self._spans(since):
            if start >= until:
                break
            total += min(end, until) - max(start, since)
        return total.total_seconds()

    def _spans(self, at: datetime) -> Iterator[Span]:
        """The spans that end after `at`, in order."""
        day = at.astimezone(self.zone).date() - timedelta(days=1)  # yesterday's may run into today
        while day < date.max - timedelta(days=2):
            for span in self._spans_of(day):
                if span[1] > at:
                    yield span
            day += timedelta(days=1)

    def _spans_of(self, day: date) -> tuple[Span, ...]:
        if day not in self._days:
            self._days[day] = tuple(self._on(day))
        return self._days[day]

    def _on(self, day: date) -> Iterator[Span]:
        if day in self._holidays:
            return
        most = DAY if day + timedelta(days=1) in self._holidays else 2 * DAY
        for start, end in self._week.get(day.weekday(), ()) if self._week else ENTIRE:
            opens, closes = _moment(day, start, self.zone), _moment(day, min(end, most), self.zone)
            if opens < closes:
                yield opens, closes


def read_zone(name: str) -> ZoneInfo:
    """The time zone of this name, as the tz database spells it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = _("There is no time zone '%(name)s'. Give its name as in Europe/Berlin or America/New_York, or UTC.")
        message %= {"name": name}
        raise Invalid(message, "timezone") from None


def read_date(day: str) -> date:
    """A date as 2027-01-31."""
    refusal = Invalid(
        _("'%(day)s' is not a date. Write holidays as 2027-01-31, one a line.") % {"day": day}, "holidays"
    )
    if not fullmatch(r"\d{4}-\d\d-\d\d", day):  # fromisoformat also takes 20270131 and 2027-W01-1
        raise refusal
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise refusal from None


def read_week(hours: Mapping[str, Sequence[Sequence[str]]]) -> dict[int, tuple[Minutes, ...]]:
    """Weekday (0 is Monday) to its spans in order. Refuses unknown days, wrong times and spans that overlap."""
    unknown = [day for day in hours if day not in WEEKDAYS]
    if unknown:
        raise Invalid(
            _("'%(unknown)s' is not a day of the week. Days are %(weekdays)s.")
            % {"unknown": unknown[0], "weekdays": ", ".join(WEEKDAYS)},
            "hours",
        )
    week = {
        number: tuple(sorted(_read_span(day, span) for span in hours[day]))
        for number, day in enumerate(WEEKDAYS)
        if hours.get(day)
    }
    _refuse_overlaps(week)
    return week


def _read_span(day: str, span: Sequence[str]) -> Minutes:
    if len(span) != 2 or isinstance(span, str):  # noqa: PLR2004 - from and to
        raise Invalid(
            _("Hours of %(day)s: a span has a start and an end, like 09:00 and 17:30, not '%(span)s'.")
            % {"day": day, "span": span},
            "hours",
        )
    start, end = (_read_time(day, part) for part in span)
    if start == DAY:
        raise Invalid(
            _("Hours of %(day)s: nothing starts at 24:00. Write it as 00:00 of the day after.") % {"day": day}, "hours"
        )
    if start == end:
        message = _("Hours of %(day)s: %(start)s-%(end)s has no length. For the entire day write 00:00-24:00.") % {
            "day": day,
            "start": span[0],
            "end": span[1],
        }
        raise Invalid(message, "hours")
    return start, end if end > start else end + DAY


def _read_time(day: str, part: str) -> int:
    """Minutes since midnight of `9:00` or `09:00`; 24:00 is the end of the day."""
    match = fullmatch(r"(\d{1,2}):(\d\d)", part) if isinstance(part, str) else None
    minutes = int(match[1]) * 60 + int(match[2]) if match and int(match[2]) < 60 else DAY + 1  # noqa: PLR2004 - minutes of an hour
    if minutes > DAY:
        raise Invalid(
            _("Hours of %(day)s: '%(part)s' is not a time of day. Write it as 09:00, up to 24:00.")
            % {"day": day, "part": part},
            "hours",
        )
    return minutes


def _refuse_overlaps(week: Mapping[int, Sequence[Minutes]]) -> None:
    spans = [(day * DAY + start, day * DAY + end, WEEKDAYS[day]) for day in sorted(week) for start, end in week[day]]
    around = [(start + 7 * DAY, end, day) for start, end, day in spans[:1]]  # Sunday night runs into Monday
    for (_start, end, day), (start, _end, following) in pairwise([*spans, *around]):
        if start < end:
            told = {"day": day, "following": following}
            if day == following:
                raise Invalid(_("Hours of %(day)s overlap: two spans may touch, but not share time.") % told, "hours")
            said = _("Hours of %(day)s run into those of %(following)s: two spans may touch, but not share time.")
            raise Invalid(said % told, "hours")


def _moment(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """The moment of a wall time, counted from the midnight that begins `day`."""
    wall = datetime.combine(day, datetime.min.time()) + timedelta(minutes=minutes)
    at = wall.replace(tzinfo=zone).astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None, fold=0) == wall:
        return at
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _change(before, at, zone)


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The moment between two at which the zone's clocks jump forward, to the second."""
    old = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        before, after = (middle, after) if middle.astimezone(zone).utcoffset() == old else (before, middle)
    return after
