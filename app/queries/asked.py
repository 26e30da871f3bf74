"""What is looked for, as people write it: words, "exact words", operators (`from:ada`, `before:2026-11-01`), `-` for not.

Pure. Reading never raises anything but Invalid, whose words say what to change; a word with a colon that is no
operator (an address, a time of day) is a word.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo

from app.connectors import registry
from app.errors import Invalid
from app.i18n import _
from app.listening import tokens
from app.listening.intent import INTENTS
from app.listening.noise import KINDS as NOISE
from app.listening.personal import KINDS as PERSONAL
from app.listening.urgent import CLASSES as URGENT
from app.models.item import OPEN_STATES, State

LONGEST = 500  # characters
MOST_TERMS = 20
ANY = "any"
WORDS, EXACT, FROM = "words", "exact", "from"
HEARD = {  # what is heard in posts, and what may follow
    "intent": INTENTS,
    "upset": (ANY, "1", "2", "3"),
    "urgent": (ANY, *URGENT),
    "noise": (ANY, *NOISE),
    "personal": (ANY, *PERSONAL),
    "copy": (ANY,),
}
OPERATORS = (FROM, "queue", "state", "before", "after", "has", "channel", "lang", "tag", *HEARD)
NOT_TWICE = frozenset({"before", "after"})  # times: saying not is saying the other
OPEN = "open"
_DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?", re.ASCII)
_OPERATOR = re.compile(rf"({'|'.join(OPERATORS)}):", re.IGNORECASE)
_SPACE = re.compile(r"[\s\x00]+")
_END = re.compile(r'[\s\x00"]')
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that is asked for, or (`negated`) must not be so. `op` is WORDS, EXACT or one of OPERATORS."""

    op: str
    value: str
    negated: bool = False

    def __str__(self) -> str:
        """As people write it."""
        value = f'"{self.value}"' if self.op == EXACT or _SPACE.search(self.value) or self.value == "" else self.value
        return f"{'-' if self.negated else ''}{'' if self.op in {WORDS, EXACT} else self.op + ':'}{value}"


@dataclass(frozen=True, slots=True)
class Asked:
    """All that is asked for at once."""

    terms: tuple[Term, ...] = ()

    def __bool__(self) -> bool:
        """Whether it asks for anything."""
        return bool(self.terms)

    def __str__(self) -> str:
        """As people write it; reading that gives the same again."""
        return " ".join(map(str, self.terms))

    def of(self, *ops: str) -> Iterator[Term]:
        """The terms of these kinds."""
        return (term for term in self.terms if term.op in ops)

    @property
    def said(self) -> tuple[Term, ...]:
        """The words that must be there."""
        return tuple(term for term in self.of(WORDS, EXACT) if not term.negated)

    @property
    def name(self) -> str:
        """All the words together, if nothing else is asked for: they may be somebody's name."""
        return " ".join(term.value for term in self.said) if len(self.said) == len(self.terms) else ""


def parse(text: str) -> Asked:
    """What the text asks for. Raises Invalid, with words for who wrote it."""
    if len(text) > LONGEST:
        raise Invalid(_("That is too long to look for: shorten it to %d characters.") % LONGEST, "q")
    terms = tuple(_terms(text))
    if len(terms) > MOST_TERMS:
        raise Invalid(
            _("That is too much to look for at once: take %d words and conditions at most.") % MOST_TERMS, "q"
        )
    return Asked(terms)


def moment(value: str, zone: tzinfo) -> datetime:
    """The beginning of a year, a month or a day in a time zone. Raises Invalid."""
    found = _DATE.fullmatch(value)
    try:
        year, month, day = (int(part) if part else 1 for part in found.groups()) if found else (0, 0, 0)
        first = date(year, month, day)
    except ValueError:
        first = None
    if first is None or first.year in {date.min.year, date.max.year}:
        raise Invalid(_("“%s” is no date. Write it as 2026-11-22, 2026-11 or 2026.") % value, "q")
    return datetime.combine(first, time.min, zone)


def states(value: str) -> frozenset[State]:
    """The states that `state:` names. Raises Invalid."""
    if value == OPEN:
        return OPEN_STATES
    if value not in set(State):
        known = ", ".join([OPEN, *State])
        raise Invalid(
            _("Items have no state “%(value)s”. There are: %(known)s.") % {"value": value, "known": known}, "q"
        )
    return frozenset({State(value)})


def _terms(text: str) -> Iterator[Term]:
    at, end = 0, len(text)
    while at < end:
        gap = _SPACE.match(text, at)
        if gap:
            at = gap.end()
            continue
        negated = text[at] == "-" and at + 1 < end and not _SPACE.match(text, at + 1)
        at += negated
        operator = _OPERATOR.match(text, at)
        at = operator.end() if operator else at
        value, quoted, at = _value(text, at)
        term = _operated(operator.group(1).lower(), value, negated) if operator else _plain(value, negated, quoted)
        if term is not None:
            yield term


def _value(text: str, at: int) -> tuple[str, bool, int]:
    """What stands from here to the next space, or between quotation marks; and where it ends."""
    if at < len(text) and text[at] == '"':
        ending = text.find('"', at + 1)
        if ending < 0:
            raise Invalid(_("A quotation mark is open. Close it, or take it away."), "q")
        return _SPACE.sub(" ", text[at + 1 : ending]).strip(), True, ending + 1
    stop = _END.search(text, at)
    end = stop.start() if stop else len(text)
    return text[at:end], False, end


def _plain(value: str, negated: bool, quoted: bool) -> Term | None:
    """Words; what holds none (a dash, a bracket) asks for nothing."""
    if not tokens.asked(value, prefix=False):
        return None
    return Term(EXACT if quoted else WORDS, value, negated)


def _operated(op: str, value: str, negated: bool) -> Term:
    if not value:
        raise Invalid(_("Nothing follows “%s:”. Write what you look for right after it.") % op, "q")
    if op in NOT_TWICE:
        if negated:
            raise Invalid(_("Write before: and after: without a minus."), "q")
        moment(value, UTC)
    plain = value.casefold() if op in {"state", "has", "channel", "lang", *HEARD} else value
    if op == "state":
        states(plain)
    if op == "has" and plain != "media":
        raise Invalid(_("A post cannot be looked for by having “%s”, only by having media.") % value, "q")
    if op == "lang" and not _LANGUAGE.fullmatch(plain):
        raise Invalid(_("“%s” is no language. Write it as a code: de, ja, pt-br.") % value, "q")
    if op == "channel" and plain not in registry.all():
        known = ", ".join(sorted(registry.all()))
        raise Invalid(
            _("There is no channel “%(value)s”. There are: %(known)s.") % {"value": value, "known": known}, "q"
        )
    if op in HEARD and plain not in HEARD[op]:
        known = ", ".join(HEARD[op])
        raise Invalid(
            _("“%(op)s:” is not followed by “%(value)s”. There are: %(known)s.")
            % {"op": op, "value": value, "known": known},
            "q",
        )
    return Term(op, plain, negated)
