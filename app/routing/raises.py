"""Signals that raise the rank of a queue's items by minutes, as if they had waited so much longer.

An admin writes one a line (`parse`, `write`); a queue stores them as JSON (`stored`, and `read` back). Each signal
raises an item once: an item remembers the names of those that did.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from re import IGNORECASE, Match, fullmatch
from typing import Any, ClassVar

from app.errors import Invalid
from app.i18n import _
from app.listening.clean import matchable
from app.routing.spans import read_span, write_span

MOST_MINUTES = 30 * 24 * 60
MOST_WITHIN = 30 * 86_400  # seconds, as long as a target can be
MOST_FOLLOWERS = 1_000_000_000
MOST_TEXT = 200
EXAMPLES = (
    "followers 10000: 60",
    "tier gold: 120",
    "second post: 30",
    "due within 10 min: 60",
    "says outage, down: 60",
)
Stored = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Followers:
    """The author has at least so many followers."""

    signal: ClassVar[str] = "followers"
    minutes: int
    at_least: int

    @property
    def name(self) -> str:
        """What an item remembers it by."""
        return f"followers>={self.at_least}"

    def __str__(self) -> str:
        """As the admin writes it, without the minutes."""
        return f"followers {self.at_least}"


@dataclass(frozen=True, slots=True)
class Tier:
    """The customer's contract is of this tier, however it is capitalised."""

    signal: ClassVar[str] = "tier"
    minutes: int
    tier: str

    @property
    def name(self) -> str:
        """What an item remembers it by."""
        return f"tier={self.tier.casefold()}"

    def __str__(self) -> str:
        """As the admin writes it, without the minutes."""
        return f"tier {self.tier}"


@dataclass(frozen=True, slots=True)
class SecondPost:
    """The customer wrote again while the item waited."""

    signal: ClassVar[str] = "second_post"
    name: ClassVar[str] = "second_post"
    minutes: int

    def __str__(self) -> str:
        """As the admin writes it, without the minutes."""
        return "second post"


@dataclass(frozen=True, slots=True)
class DueSoon:
    """The item is due within so many seconds."""

    signal: ClassVar[str] = "due_soon"
    minutes: int
    within: int

    @property
    def name(self) -> str:
        """What an item remembers it by."""
        return f"due_soon<={self.within}"

    def __str__(self) -> str:
        """As the admin writes it, without the minutes."""
        return f"due within {write_span(self.within)}"


@dataclass(frozen=True, slots=True)
class Words:
    """The post mentions an incident: its text contains one of these, as in a rule."""

    signal: ClassVar[str] = "words"
    minutes: int
    contains: tuple[str, ...]

    @property
    def name(self) -> str:
        """What an item remembers it by."""
        return "words=" + ",".join(sorted(map(_folded, self.contains)))

    def __str__(self) -> str:
        """As the admin writes it, without the minutes."""
        return f"says {', '.join(self.contains)}"


Raise = Followers | Tier | SecondPost | DueSoon | Words


def parse(line: str) -> Raise:
    """The signal of a line such as `followers 10000: 60`. Raises Invalid, naming the line and what is wrong with it."""
    what, colon, minutes = line.strip().rpartition(":")
    if not colon or not fullmatch(r"\s*\d{1,9}\s*(min)?\s*", minutes):
        raise Invalid(
            _("'%(line)s': write a signal, a colon and minutes, as in %(examples)s.")
            % {"line": line, "examples": EXAMPLES[0]},
            "raises",
        )
    if not 1 <= (worth := int(minutes.replace("min", ""))) <= MOST_MINUTES:
        raise Invalid(
            _("'%(line)s': a signal is worth 1 to %(most_minutes)s minutes.")
            % {"line": line, "most_minutes": MOST_MINUTES},
            "raises",
        )
    for pattern, made in _FORMS:
        if match := fullmatch(pattern, what.strip(), IGNORECASE):
            return made(line, worth, match)
    raise Invalid(
        _("'%(line)s': '%(signal)s' is no signal. There are: %(examples)s.")
        % {"line": line, "signal": what.strip(), "examples": "; ".join(EXAMPLES)},
        "raises",
    )


def write(raise_: Raise) -> str:
    """The line that `parse` reads as this signal."""
    return f"{raise_}: {raise_.minutes}"


def stored(raise_: Raise) -> dict[str, Any]:
    """The signal as a queue stores it."""
    match raise_:
        case Tier(minutes, tier):
            return {"signal": "tier", "is": tier, "minutes": minutes}
        case Words(minutes, contains):
            return {"signal": "words", "contains": list(contains), "minutes": minutes}
    return {"signal": raise_.signal, **asdict(raise_)}


def read(raises: Iterable[Stored]) -> tuple[Raise, ...]:
    """The signals that a queue stores."""
    return tuple(_read(one) for one in raises)


def on_arrival(raises: Iterable[Stored], followers: int | None, tier: str, text: str) -> tuple[int, tuple[str, ...]]:
    """Minutes that a queue's stored signals raise an arriving item by, in all, and the names of those that hold."""
    said, customer = _folded(text), tier.strip().casefold()

    def holds(one: Raise) -> bool:
        match one:
            case Followers(at_least=least):
                return (followers or 0) >= least
            case Tier(tier=wanted):
                return customer == wanted.casefold()
            case Words(contains=words):
                return any(_folded(word) in said for word in words)
        return False

    return _sum([one for one in read(raises) if holds(one)])


def second_post(raises: Iterable[Stored]) -> tuple[int, tuple[str, ...]]:
    """Minutes that a further post of the customer raises a waiting item by, and the signal's name; (0, ()) for none."""
    return _sum([one for one in read(raises) if isinstance(one, SecondPost)])


def due_soon(raises: Iterable[Stored]) -> tuple[DueSoon, ...]:
    """The signals for items that are soon due, the earliest first: each holds from `within` seconds before the time."""
    return tuple(sorted((one for one in read(raises) if isinstance(one, DueSoon)), key=lambda one: -one.within))


def most(raises: Iterable[Stored]) -> int:
    """The most minutes that an item of the queue can be raised by: all of its signals at once."""
    return sum(one.minutes for one in read(raises))


def _sum(held: Sequence[Raise]) -> tuple[int, tuple[str, ...]]:
    return sum(one.minutes for one in held), tuple(one.name for one in held)


def _folded(text: str) -> str:
    return matchable(text).casefold()


def _read(one: Stored) -> Raise:
    minutes = int(one["minutes"])
    match one["signal"]:
        case "followers":
            return Followers(minutes, int(one["at_least"]))
        case "tier":
            return Tier(minutes, str(one["is"]))
        case "second_post":
            return SecondPost(minutes)
        case "due_soon":
            return DueSoon(minutes, int(one["within"]))
        case "words":
            return Words(minutes, tuple(map(str, one["contains"])))
    raise Invalid(
        _("A queue stores the signal '%(one)s', which this version does not know.") % {"one": one["signal"]}, "raises"
    )


def _followers(line: str, minutes: int, match: Match[str]) -> Raise:
    least = int(match[1])
    if not 1 <= least <= MOST_FOLLOWERS:
        raise Invalid(
            _("'%(line)s': followers are counted from 1 to %(most_followers)s.")
            % {"line": line, "most_followers": MOST_FOLLOWERS},
            "raises",
        )
    return Followers(minutes, least)


def _tier(line: str, minutes: int, match: Match[str]) -> Raise:
    tier = " ".join(match[1].split())
    if len(tier) > MOST_TEXT:
        raise Invalid(
            _("'%(line)s': a tier has %(most_text)s characters at most.") % {"line": line, "most_text": MOST_TEXT},
            "raises",
        )
    return Tier(minutes, tier)


def _second(_line: str, minutes: int, _match: Match[str]) -> Raise:
    return SecondPost(minutes)


def _due(line: str, minutes: int, match: Match[str]) -> Raise:
    try:
        within = read_span(match[1])
    except Invalid as error:
        raise Invalid(_("'%(line)s': %(message)s") % {"line": line, "message": error.message}, "raises") from None
    if not 1 <= within <= MOST_WITHIN:
        raise Invalid(
            _("'%(line)s': due within 1 s to %(most_within)s.")
            % {"line": line, "most_within": write_span(MOST_WITHIN)},
            "raises",
        )
    return DueSoon(minutes, within)


def _words(line: str, minutes: int, match: Match[str]) -> Raise:
    words = tuple(dict.fromkeys(" ".join(word.split()) for word in match[1].split(",") if word.strip()))
    if not any(map(_folded, words)) or not all(map(_folded, words)) or max(map(len, words)) > MOST_TEXT:
        raise Invalid(
            _("'%(line)s': name words of 1 to %(most_text)s characters, with commas between.")
            % {"line": line, "most_text": MOST_TEXT},
            "raises",
        )
    return Words(minutes, words)


_FORMS: tuple[tuple[str, Callable[[str, int, Match[str]], Raise]], ...] = (
    (r"followers\s+(\d{1,12})", _followers),
    (r"tier\s+(.*\S.*)", _tier),
    (r"second post", _second),
    (r"due within\s+(.*)", _due),
    (r"says\s+(.*)", _words),
)
