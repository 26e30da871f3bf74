"""What a list is narrowed by, and its order, as an address names them: `channel=mastodon&language=de&age=4h&sort=wait`.

Pure: text in, a value out. A filter and its text are the same thing: reading what it writes gives it again.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import StrEnum
from urllib.parse import parse_qsl, urlencode

from app.errors import Invalid
from app.i18n import _
from app.models.item import OPEN_STATES, State
from app.queries.asked import ANY, EXACT, FROM, HEARD, WORDS, parse

MOST_CHOICES = 50  # of one kind in one filter
LONGEST_TEXT = 200  # characters of any value
LARGEST_ID = 2**63 - 1
AGES = {"15m": 15, "1h": 60, "4h": 240, "1d": 1440, "3d": 4320, "7d": 10080, "30d": 43200}  # minutes of waiting
ME, NOBODY = "me", "nobody"


class Sort(StrEnum):
    """In which order a list stands."""

    DUE = "due"  # what is due first
    RANK = "rank"  # priority with ageing: the order in which queues are served
    WAIT = "wait"  # the longest wait
    REACH = "reach"  # the author with the most followers
    NEW = "new"  # the newest item


@dataclass(frozen=True, slots=True)
class Filter:
    """What an item must be to stand in a list. Values of one kind are alternatives, kinds are all required."""

    queue: tuple[int, ...] = ()
    channel: tuple[str, ...] = ()
    language: tuple[str, ...] = ()
    state: tuple[State, ...] = ()
    tag: tuple[str, ...] = ()
    priority: tuple[int, ...] = ()
    holder: tuple[str, ...] = ()  # an agent's id, ME or NOBODY
    tier: tuple[str, ...] = ()
    age: str = ""  # a key of AGES: waiting at least so long
    has: tuple[str, ...] = ()  # "media"
    intent: tuple[str, ...] = ()  # of app.listening.intent
    urgent: tuple[str, ...] = ()  # of app.listening.urgent
    upset: str = ""  # at least so upset: "1" to "3"
    text: str = ""  # words, "exact words" and from:, as the search takes them: said in its conversation

    def __bool__(self) -> bool:
        """Whether it asks for anything."""
        return any(self.pairs())

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Every value with its kind, in one order: equal filters write the same text."""
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, str):
                if value:
                    yield one.name, value
            else:
                yield from ((one.name, str(choice)) for choice in value)

    def encoded(self) -> str:
        """As an address carries it."""
        return urlencode(list(self.pairs()))

    def without(self, kind: str, value: str) -> "Filter":
        """The filter that asks for one thing less."""
        return read((k, v) for k, v in self.pairs() if (k, v) != (kind, value))

    @property
    def open_states(self) -> frozenset[State]:
        """The states of open items that it lets through; all, when it names no state."""
        return frozenset(self.state) & OPEN_STATES if self.state else OPEN_STATES

    @property
    def ended_states(self) -> frozenset[State]:
        """The final states that it names."""
        return frozenset(self.state) - OPEN_STATES

    @property
    def waiting_for(self) -> timedelta | None:
        """How long an item must have waited."""
        return timedelta(minutes=AGES[self.age]) if self.age else None


KINDS = tuple(one.name for one in fields(Filter))


def read(given: Iterable[tuple[str, str]]) -> Filter:
    """The filter that an address's pairs stand for; pairs of other names are left alone, empty values mean nothing.

    Raises:
        Invalid: a value makes no sense; says which.
    """
    found: dict[str, list[str]] = {}
    for kind, raw in given:
        value = raw.strip()
        if kind in KINDS and value and value not in found.setdefault(kind, []):
            found[kind].append(_checked(kind, value))
    for kind, values in found.items():
        if len(values) > MOST_CHOICES:
            raise Invalid(_("A list can be narrowed by %d values of one kind at most.") % MOST_CHOICES, kind)
    return Filter(
        queue=tuple(sorted(_id(one, "queue") for one in found.get("queue", ()))),
        channel=tuple(sorted(found.get("channel", ()))),
        language=tuple(sorted({one.lower() for one in found.get("language", ())})),
        state=tuple(state for state in State if state in {_state(one) for one in found.get("state", ())}),
        tag=tuple(sorted(found.get("tag", ()))),
        priority=tuple(sorted({_priority(one) for one in found.get("priority", ())})),
        holder=tuple(sorted({_holder(one) for one in found.get("holder", ())})),
        tier=tuple(sorted(found.get("tier", ()))),
        age=_age(found.get("age", [""])[-1]),
        has=tuple(sorted({_has(one) for one in found.get("has", ())})),
        intent=_heard("intent", found.get("intent", ())),
        urgent=_heard("urgent", found.get("urgent", ())),
        upset=next(iter(_heard("upset", found.get("upset", [])[-1:])), ""),
        text=_text(found.get("text", [""])[-1]),
    )


def decoded(text: str) -> Filter:
    """The filter that `Filter.encoded` wrote. Raises Invalid."""
    return read(pairs_of(text))


def pairs_of(text: str) -> list[tuple[str, str]]:
    """The pairs in the query of an address; nothing for what is none."""
    try:
        return parse_qsl(text, max_num_fields=MOST_CHOICES * len(KINDS))
    except ValueError:
        return []


def sort_of(given: Mapping[str, str], usual: Sort) -> Sort:
    """The order that an address names, `usual` when it names none. Raises Invalid."""
    named = given.get("sort", "")
    if not named:
        return usual
    if named not in set(Sort):
        raise Invalid(_("A list has no order “%s”. Choose one from the menu.") % named[:LONGEST_TEXT], "sort")
    return Sort(named)


def _checked(kind: str, value: str) -> str:
    if len(value) > LONGEST_TEXT or "\x00" in value:
        raise Invalid(_("What is looked for is too long. Shorten it."), kind)
    return value


def _id(value: str, kind: str) -> int:
    if not (value.isascii() and value.isdigit()) or int(value) > LARGEST_ID:
        raise Invalid(_("“%s” is no id.") % value, kind)
    return int(value)


def _state(value: str) -> State:
    if value not in set(State):
        raise Invalid(_("Items have no state “%s”.") % value, "state")
    return State(value)


def _priority(value: str) -> int:
    if value not in {"1", "2", "3", "4", "5"}:
        raise Invalid(_("A priority is a number from 1 to 5."), "priority")
    return int(value)


def _holder(value: str) -> str:
    return value if value in {ME, NOBODY} else str(_id(value, "holder"))


def _age(value: str) -> str:
    if value and value not in AGES:
        raise Invalid(_("“%s” is no time to have waited. Choose one from the menu.") % value, "age")
    return value


def _has(value: str) -> str:
    if value != "media":
        raise Invalid(_("A post cannot be looked for by having “%s”, only by having media.") % value, "has")
    return value


def _heard(kind: str, values: Collection[str]) -> tuple[str, ...]:
    known = [one for one in HEARD[kind] if one != ANY]
    if unknown := [one for one in values if one not in known]:
        raise Invalid(
            _("There is no “%(kind)s”. There are: %(known)s.") % {"kind": unknown[0], "known": ", ".join(known)}, kind
        )
    return tuple(one for one in known if one in values)


def _text(value: str) -> str:
    try:
        terms = parse(value).terms
    except Invalid as error:
        raise Invalid(error.message, "text") from None
    if any(term.op not in {WORDS, EXACT, FROM} for term in terms):
        raise Invalid(
            _('A list is narrowed by words, "exact words" and from:. For the rest there are other fields.'), "text"
        )
    return value if terms else ""
