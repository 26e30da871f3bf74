"""Dates as people and programs write them into files. Pure.

ISO 8601, RFC 5322 (mail), seconds or milliseconds since 1970, and numbers in the order that the admin says, with a time of
12 or 24 hours. A date that names no zone is in the one that the admin chose.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import parsedate_to_datetime
from enum import StrEnum

from app.i18n import N_, _

_SINCE_1970 = re.compile(r"-?\d{9,10}(\.\d+)?|\d{12,13}")
_MILLISECONDS = 100_000_000_000  # no date in seconds that is meant is as far off
_NUMBERS = re.compile(
    r"(?P<a>\d{1,4})[./-](?P<b>\d{1,2})[./-](?P<c>\d{1,4})\.?"
    r"(?:[T,\s]+(?P<hour>\d{1,2})[:.](?P<minute>\d{2})(?:[:.](?P<second>\d{2})(?:[.,]\d+)?)?\s*(?P<half>[ap]\.?m\.?)?)?"
    r"\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE,
)
_LONG_YEAR = 4  # digits
_THIS_CENTURY = 70  # two digits below it are of this century (POSIX, strptime)
_MONTHS = 12


class Order(StrEnum):
    """What comes first in a date of numbers."""

    YEAR = "ymd"
    DAY = "dmy"
    MONTH = "mdy"

    @property
    def words(self) -> str:
        """For people."""
        return {
            Order.YEAR: _("Year, month, day (2026-11-22)"),
            Order.DAY: _("Day, month, year (22.11.2026)"),
            Order.MONTH: _("Month, day, year (11/22/2026)"),
        }[self]


def order_of(samples: Iterable[str]) -> Order:
    """The order that these dates are written in, as far as they show it."""
    for found in filter(None, (_NUMBERS.match(one.strip()) for one in samples)):
        if len(found["a"]) == _LONG_YEAR:
            return Order.YEAR
        if int(found["a"]) > _MONTHS:
            return Order.DAY
        if int(found["b"]) > _MONTHS:
            return Order.MONTH
    return Order.DAY


def read_date(text: str, order: Order, zone: tzinfo) -> datetime:
    """The moment that is meant. Raises ValueError, in words."""
    said = text.strip()
    for reader in (_since_1970, _iso, lambda one: _numbers(one, order), _mail):
        found = reader(said)
        if found is not None:
            try:
                return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
            except OverflowError:
                break
    raise ValueError(N_("'%(date)s' is no date that can be read.") % {"date": said[:60]})


def _since_1970(said: str) -> datetime | None:
    if not _SINCE_1970.fullmatch(said):
        return None
    seconds = float(said)
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds / (1000 if seconds >= _MILLISECONDS else 1))


def _iso(said: str) -> datetime | None:
    try:
        return datetime.fromisoformat(said) if len(said) > len("20261122") or not said.isdecimal() else None
    except ValueError:
        return None


def _numbers(said: str, order: Order) -> datetime | None:
    found = _NUMBERS.fullmatch(said)
    if found is None:
        return None
    a, b, c = found["a"], found["b"], found["c"]
    if len(a) == _LONG_YEAR:
        year, month, day = a, b, c
    else:
        day, month, year = (b, a, c) if order is Order.MONTH else (a, b, c)
    hour = int(found["hour"] or 0)
    if found["half"]:
        hour = hour % 12 + (12 if found["half"].lower().startswith("p") else 0)
    try:
        local = datetime(_year(year), int(month), int(day), hour, int(found["minute"] or 0), int(found["second"] or 0))  # noqa: DTZ001 - the zone follows
        return local if not found["zone"] else datetime.fromisoformat(f"{local.isoformat()}{_offset(found['zone'])}")
    except ValueError:
        return None


def _year(digits: str) -> int:
    year = int(digits)
    if len(digits) == _LONG_YEAR:
        return year
    return year + (2000 if year < _THIS_CENTURY else 1900)


def _offset(zone: str) -> str:
    return "+00:00" if zone.upper() in {"Z", "UTC", "GMT"} else zone


def _mail(said: str) -> datetime | None:
    try:
        return parsedate_to_datetime(said)
    except ValueError:
        return None
