"""Words, numbers and times in the reader's language and zone.

Every visible string goes through the catalogue in `locale/` (`_("...")`, `{% trans %}`); English is the source. The
reader is known per request and kept in a context variable, so that handlers, verbs and templates ask the same
catalogue. Workers, programs and logs have no reader: they get English, and UTC.
"""

import re
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_time
from babel.lists import format_list
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.support import NullTranslations, Translations

LOCALES = Path(__file__).parents[1] / "locale"
DOMAIN = "careline"
LANGUAGES = {"en": "English", "de": "Deutsch", "es": "Español", "ja": "日本語", "ar": "العربية"}  # in their own words
MINUTE, HOUR, DAY = 60, 3600, 86400
RIGHT_TO_LEFT = "right-to-left"
FEWEST_WORDS = 3  # of its own that a message needs to be recognised by
_PLACE = re.compile(r"(?<!%)%\((\w+)\)s")


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads: a locale, a time zone, and the catalogue of that locale, found once and asked for every word."""

    locale: Locale
    zone: tzinfo
    catalogue: NullTranslations = field(compare=False, repr=False)

    @property
    def language(self) -> str:
        """The BCP 47 tag for `<html lang>`."""
        return str(self.locale).replace("_", "-")

    @property
    def direction(self) -> str:
        """`rtl` or `ltr`, for `<html dir>`."""
        return "rtl" if self.locale.character_order == RIGHT_TO_LEFT else "ltr"


@lru_cache(maxsize=32)
def _load(language: str) -> NullTranslations:
    """The catalogue of a language, from the translators' own file: some 50 ms, once a process."""
    path = LOCALES / language / "LC_MESSAGES" / f"{DOMAIN}.po"
    if not path.exists():
        return NullTranslations()
    packed = BytesIO()
    write_mo(packed, read_po(BytesIO(path.read_bytes()), locale=language))
    packed.seek(0)
    return Translations(packed, DOMAIN)


NOBODY = Reader(Locale("en"), UTC, _load("en"))
reader: ContextVar[Reader] = ContextVar("reader", default=NOBODY)


@lru_cache(maxsize=256)
def reader_of(language: str, zone: str) -> Reader:
    """The reader for an agent's language and zone; English and UTC where we do not know them."""
    try:
        locale = Locale.parse(language, sep="-" if "-" in language else "_")
    except (UnknownLocaleError, ValueError):
        locale = NOBODY.locale
    catalogue = _load(locale.language)
    try:
        return Reader(locale, ZoneInfo(zone), catalogue)
    except (ZoneInfoNotFoundError, ValueError):
        return Reader(locale, UTC, catalogue)


def _catalogue() -> NullTranslations:
    return reader.get().catalogue


def _(text: str) -> str:
    """The text in the reader's language."""
    return str(_catalogue().gettext(text)) if text else ""  # what is empty would be the catalogue's own header


def N_(text: str) -> str:  # noqa: N802 - gettext's own name for it
    """Mark a text for the catalogue where nobody reads yet (a constant, a field's title); `_` translates it later."""
    return text


def ngettext(one: str, many: str, n: int) -> str:
    """The text for `n` things in the reader's language."""
    return str(_catalogue().ngettext(one, many, n))


def pgettext(context: str, text: str) -> str:
    """The text in the reader's language, where the same English word needs different ones."""
    return str(_catalogue().pgettext(context, text))


def npgettext(context: str, one: str, many: str, n: int) -> str:
    """The text for `n` things, told apart by context."""
    return str(_catalogue().npgettext(context, one, many, n))


def retold(said: str) -> str:
    """A sentence that was kept in English (why a feed fails, why an item came back), in the reader's language.

    Workers write for nobody in particular, in the catalogue's own English. It is found there again, by the text or by
    the pattern that the text was filled into; what was filled in is retold in turn. What is not found stays as it is.
    """
    return _retold(said, reader.get().catalogue) if said else ""


@lru_cache(maxsize=4096)
def _retold(said: str, catalogue: NullTranslations) -> str:
    found = str(catalogue.gettext(said))
    if found != said:
        return found
    for pattern, msgid in _patterns(catalogue):
        match = pattern.fullmatch(said)
        if match is not None:
            filled = {  # a single word is somebody's name, or a number
                name: _retold(value, catalogue) if " " in value else value for name, value in match.groupdict().items()
            }
            return str(catalogue.gettext(msgid)) % filled
    return said


@lru_cache(maxsize=16)
def _patterns(catalogue: NullTranslations) -> tuple[tuple[re.Pattern[str], str], ...]:
    """The catalogue's messages with places to fill, those that say the most first."""
    known = [msgid for msgid in getattr(catalogue, "_catalog", {}) if isinstance(msgid, str) and _PLACE.search(msgid)]
    said = [(msgid, _PLACE.sub("", msgid)) for msgid in known]
    worth = sorted((one for one in said if len(one[1].split()) >= FEWEST_WORDS), key=lambda one: -len(one[1]))
    return tuple((_pattern(msgid), msgid) for msgid, _words in worth)


def _pattern(msgid: str) -> re.Pattern[str]:
    parts, at, seen = [], 0, set[str]()
    for place in _PLACE.finditer(msgid):
        name = place[1]
        parts.append(re.escape(msgid[at : place.start()].replace("%%", "%")))
        parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>.+?)")
        seen.add(name)
        at = place.end()
    return re.compile("".join([*parts, re.escape(msgid[at:].replace("%%", "%"))]), re.DOTALL)


def number(value: float) -> str:
    """A number with the reader's separators."""
    return format_decimal(value, locale=reader.get().locale)


def listed(words: Sequence[str]) -> str:
    """Words as a list in the reader's language: `Ayumi, Diego and Finn`."""
    who = reader.get()
    apart = [f"\u2068{word}\u2069" for word in words] if who.direction == "rtl" else list(words)  # names of any script
    return format_list(apart, locale=who.locale)


def month(at: datetime, now: datetime) -> str:
    """A month as short as it stays clear: `May` this year, else `May 2025`."""
    who = reader.get()
    local = at.astimezone(who.zone)
    pattern = "LLLL" if local.year == now.astimezone(who.zone).year else who.locale.datetime_skeletons["yMMMM"].pattern
    return format_date(local.date(), pattern, locale=who.locale)


HOURS, DAYS = N_("%(hours)d h %(minutes)02d"), N_("%(days)d d %(hours)02d h")  # static/js/clock.js fills them in too


def clock(span: timedelta | float) -> str:
    """A span as a stop-watch shows it: `0:42`, `12:07`, `1 h 02`, `3 d 04 h`. static/js/clock.js counts on in it."""
    seconds = max(0, int(span.total_seconds() if isinstance(span, timedelta) else span))
    if seconds < HOUR:
        return f"{seconds // MINUTE}:{seconds % MINUTE:02d}"
    if seconds < DAY:
        return _(HOURS) % {"hours": seconds // HOUR, "minutes": seconds % HOUR // MINUTE}
    return _(DAYS) % {"days": seconds // DAY, "hours": seconds % DAY // HOUR}


def ago(moment: datetime, now: datetime) -> str:
    """How long ago, in whole words: `5 s ago`, `12 min ago`, `3 h ago`, `2 d ago`."""
    seconds = max(0, int((now - moment).total_seconds()))
    if seconds < MINUTE:
        return _("%d s ago") % seconds
    if seconds < HOUR:
        return _("%d min ago") % (seconds // MINUTE)
    if seconds < DAY:
        return _("%d h ago") % (seconds // HOUR)
    return _("%d d ago") % (seconds // DAY)


def moment(at: datetime, now: datetime) -> str:
    """A time as short as it stays clear: `10:07` today, `21 Nov, 10:07` this year, else with the year."""
    who = reader.get()
    local, today = at.astimezone(who.zone), now.astimezone(who.zone)
    time = format_time(local, "short", locale=who.locale, tzinfo=who.zone)
    if local.date() == today.date():
        return time
    pattern = "MMMd" if local.year == today.year else "yMMMd"
    day = format_date(local.date(), who.locale.datetime_skeletons[pattern].pattern, locale=who.locale)
    return str(who.locale.datetime_formats["short"]).replace("{1}", day).replace("{0}", time)


def full(at: datetime) -> str:
    """A time with everything, for a tooltip: `Sunday, 22 November 2026, 10:07:31 CET`."""
    who = reader.get()
    return format_datetime(at, "full", tzinfo=who.zone, locale=who.locale)


def own_language() -> str:
    """The primary tag of the reader's language: `de`."""
    return str(reader.get().locale.language)


def is_own_language(tag: str | None) -> bool:
    """Whether a text's BCP 47 tag is the reader's own language, of whatever region. What has none is not known to be."""
    return primary(tag) == own_language()


def primary(tag: str | None) -> str:
    """The primary tag of a BCP 47 tag: `pt` for `pt-BR`; empty where there is none."""
    found = (tag or "").replace("_", "-").partition("-")[0].lower()
    return "" if found == "und" else found


def direction_of(tag: str) -> str:
    """`rtl` or `ltr` for a text in this language; `auto` where nobody knows it."""
    try:
        order = Locale.parse(tag.replace("-", "_")).character_order
    except (UnknownLocaleError, ValueError):
        return "auto"
    return "rtl" if order == RIGHT_TO_LEFT else "ltr"


def language_name(tag: str) -> str:
    """`German` for `de`; the tag itself where nobody knows it."""
    try:
        found = Locale.parse(tag.replace("-", "_")).get_display_name(reader.get().locale)
    except (UnknownLocaleError, ValueError):
        return tag
    return found or tag
