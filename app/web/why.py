"""Why nobody has a waiting item yet, why not the reader, and what happens next: sentences a person understands."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup, escape

from app import i18n
from app.flow.explain import Coming, Explained, Unable
from app.i18n import _, ngettext
from app.models.agent import NotReadyReason, PresenceState
from app.routing.decisions import Rejection, What

FEW = 3  # names that are told; of more it is only told how many
SOON = timedelta(hours=1)  # what comes sooner is counted down


@dataclass(frozen=True, slots=True)
class Next:
    """What happens, and when: `at` is counted down while it is `soon`."""

    at: datetime
    soon: bool
    text: str

    def line(self, now: datetime) -> Markup:
        """`In 1:58: German 2 is enough`, with a clock that goes on by itself, or `At 14:05: it goes to Overflow`."""
        words = escape(_("In %(time)s: %(what)s") if self.soon else _("At %(time)s: %(what)s"))
        time = i18n.clock(self.at - now) if self.soon else i18n.moment(self.at, now)
        attributes = Markup(' data-clock="down"') if self.soon else ""
        shown = Markup('<time datetime="{}"{}>{}</time>').format(self.at.isoformat(), attributes, time)
        return words % {"time": shown, "what": self.text}


@dataclass(frozen=True, slots=True)
class Account:
    """An explanation in words."""

    head: str  # the cause in a sentence or two
    rest: tuple[str, ...]  # others who cannot take it, by reason
    me: str  # why not the reader; empty when they may or it does not matter
    coming: tuple[Next, ...]


def account(found: Explained, now: datetime) -> Account:
    """Put an explanation in words."""
    named = tuple(one for one in found.rejected if one.reason not in {Rejection.SKILL, Rejection.KEPT})
    return Account(
        head=_head(found, named),
        rest=tuple(_counted(found.rejected, told=named if _names_all(found, named) else ())),
        me=why_not(found.reader) if found.reader else "",
        coming=tuple(coming(one, now) for one in found.upcoming),
    )


def _names_all(found: Explained, able: Sequence[Unable]) -> bool:
    return not found.paused and not found.candidates and found.kept_for is None and 0 < len(able) <= FEW


def _head(found: Explained, able: Sequence[Unable]) -> str:
    if found.paused:
        return _("The queue %s is switched off, so the router leaves its items alone.") % found.queue
    if found.candidates:
        return _("%s can take it, and is asked next.") % found.candidates[0].name
    if found.kept_for is not None:
        return _("It waits for %s, who knows this customer.") % found.kept_for
    if not found.rejected:
        return _("%s has no members yet, so nobody can be asked.") % found.queue
    return _nobody(found, able)


def _nobody(found: Explained, able: Sequence[Unable]) -> str:
    """Nobody can take it; `able` are those who have the skills."""
    needs = i18n.listed([f"{one.skill} {one.level}" for one in found.needs])
    if not able:
        return _("Nobody in %(queue)s has %(needs)s.") % {"queue": found.queue, "needs": needs}
    if all(one.reason in _AWAY for one in able):
        first = _("Nobody ready has %s.") % needs if needs else _("Nobody is ready.")
    else:
        first = _("Nobody with %s is free.") % needs if needs else _("Nobody is free.")
    if len(able) > FEW:
        return first
    return " ".join([first, *(_named(one, has=bool(needs)) for one in able)])


_AWAY = frozenset({Rejection.ABSENT, Rejection.NOT_READY})


def _named(one: Unable, *, has: bool) -> str:
    told = _("%(name)s has it and %(what)s.") if has else _("%(name)s %(what)s.")
    return told % {"name": one.name, "what": _doing(one)}


def _doing(one: Unable) -> str:
    """What keeps somebody from taking it, as the end of a sentence that begins with their name."""
    if one.reason == Rejection.NOT_READY:
        return _not_ready(one)
    words = {
        Rejection.REFUSED: _("passed on it a moment ago"),
        Rejection.ABSENT: _("is not signed in"),
        Rejection.NO_ROOM: _("has no room (%(load)d of %(capacity)d)") % {"load": one.load, "capacity": one.capacity},
        Rejection.CHANNEL_FULL: _("has as many items of this channel as they may"),
        Rejection.ASKED: _("is being asked about another item"),
    }
    return words.get(one.reason, _("cannot take it now"))


def _not_ready(one: Unable) -> str:
    if one.state == PresenceState.WRAP_UP:
        return _("is in wrap-up")
    words: dict[str, str] = {
        NotReadyReason.BREAK: _("is on a break"),
        NotReadyReason.LUNCH: _("is at lunch"),
        NotReadyReason.TRAINING: _("is in training"),
        NotReadyReason.TECHNICAL: _("has technical trouble"),
        NotReadyReason.MISSED: _("is away: they missed offers"),
    }
    if one.state_reason and one.state_reason not in words:
        return _("is not ready (%s)") % one.state_reason
    return words.get(one.state_reason or "", _("is not ready"))


def _counted(rejected: Iterable[Unable], told: Sequence[Unable]) -> Iterable[str]:
    """How many cannot take it for each reason, with names for the few; those who are `told` already are left out."""
    groups: defaultdict[Rejection, list[str]] = defaultdict(list)
    for one in rejected:
        if one not in told:
            groups[one.reason].append(one.name)
    for reason in Rejection:
        names = groups.get(reason, [])
        if names:
            counted = _how_many(reason, len(names)) % len(names)
            yield f"{counted}: {i18n.listed(names)}" if len(names) <= FEW else counted


def _how_many(reason: Rejection, n: int) -> str:
    return {
        Rejection.NOT_MEMBER: ngettext("%d is not in this queue", "%d are not in this queue", n),
        Rejection.SKILL: ngettext("%d lacks a skill for it", "%d lack a skill for it", n),
        Rejection.REFUSED: ngettext("%d passed on it", "%d passed on it", n),
        Rejection.ABSENT: ngettext("%d is not signed in", "%d are not signed in", n),
        Rejection.NOT_READY: ngettext("%d is not ready", "%d are not ready", n),
        Rejection.NO_ROOM: ngettext("%d has no room", "%d have no room", n),
        Rejection.CHANNEL_FULL: ngettext("%d is full for this channel", "%d are full for this channel", n),
        Rejection.ASKED: ngettext("%d is being asked", "%d are being asked", n),
        Rejection.KEPT: ngettext(
            "%d could take it if it did not wait for somebody", "%d could take it if it did not wait for somebody", n
        ),
    }[reason]


def why_not(me: Unable) -> str:
    """Why the reader does not get it."""
    if me.reason == Rejection.SKILL:
        return " ".join(_lacking(*one) for one in me.lacks)
    words = {
        Rejection.NOT_MEMBER: _("You are not a member of this queue, so it is not offered to you."),
        Rejection.REFUSED: _("You passed on it a moment ago."),
        Rejection.ABSENT: _("You are offline, so nothing is offered to you."),
        Rejection.NOT_READY: _("You are not ready, so nothing is offered to you."),
        Rejection.NO_ROOM: _("You carry %(load)d of %(capacity)d, so you have no room for it.")
        % {"load": me.load, "capacity": me.capacity},
        Rejection.CHANNEL_FULL: _("You have as many items of this channel as you may."),
        Rejection.ASKED: _("You are being asked about another item."),
        Rejection.KEPT: _("You could take it; it waits for a colleague who knows this customer."),
    }
    return words[me.reason]


def _lacking(skill: str, needed: int, mine: int) -> str:
    if not mine:
        return _("You do not have %(skill)s; it needs %(needed)d.") % {"skill": skill, "needed": needed}
    words = {"skill": skill, "mine": mine, "needed": needed}
    return _("You have %(skill)s %(mine)d; it needs %(needed)d.") % words


def coming(one: Coming, now: datetime) -> Next:
    """One change to come, in words."""
    if one.what == What.RELAX and one.level is None:
        text = _("%s is not needed any more") % one.skill
    elif one.what == What.RELAX:
        text = _("%(skill)s %(level)d is enough") % {"skill": one.skill, "level": one.level}
    elif one.what == What.PREFERENCE_ENDS:
        text = _("others than %s are asked, too") % one.agent
    elif one.what == What.REFUSAL_ENDS:
        text = _("%s can be asked again") % one.agent
    else:
        text = _("it goes to %s") % one.queue
    return Next(one.at, one.at - now < SOON, text)


def raised(signals: Iterable[str]) -> list[str]:
    """What raised an item's rank, in words; a signal is named as `app.routing.raises` does."""
    return [_signal(one) for one in signals]


def _signal(name: str) -> str:
    kind, _sign, value = name.replace(">=", "=").replace("<=", "=").partition("=")
    if kind == "followers":
        return _("at least %s followers") % i18n.number(int(value))
    if kind == "due_soon":
        return _("due in less than %s") % i18n.clock(int(value))
    words = {"tier": _("tier %s"), "words": _("says “%s”")}
    if kind in words:
        return words[kind] % value
    return _("the customer wrote again") if kind == "second_post" else name
