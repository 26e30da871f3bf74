"""The words for what the database calls by a code: states, dispositions, reasons, events."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from app.connectors import registry
from app.connectors.base import Visibility
from app.errors import NotFound
from app.i18n import _, ago, moment, month, ngettext, retold
from app.models.agent import NotReadyReason, PresenceState
from app.models.event import Event
from app.models.item import Disposition, ParkReason, State, Verb
from app.routing.inputs import Policy

RISK = 0.75  # of the reply time used: from here on an item is at risk


def dispositions() -> dict[str, str]:
    """How an item can be closed by hand, in the order of the menu."""
    return {
        Disposition.ANSWERED: _("Answered"),
        Disposition.ELSEWHERE: _("Resolved elsewhere"),
        Disposition.NO_REPLY: _("No reply needed"),
        Disposition.NOT_FOR_US: _("Not for us"),
        Disposition.SPAM: _("Spam"),
    }


def disposition(code: str | None) -> str:
    """How an item ended."""
    ended: dict[str, str] = {
        **dispositions(),
        Disposition.NO_ANSWER: _("The customer did not answer"),
        Disposition.WITHDRAWN: _("The customer deleted it"),
        Disposition.BACKLOG: _("Imported with the backlog"),
    }
    return ended.get(code or "", code or "")


def decline_reasons() -> dict[str, str]:
    """Why an offer is declined."""
    return {
        "skill": _("It needs another skill"),
        "limit": _("I am at my limit"),
        "conflict": _("I know this person"),
        "other": _("Something else"),
    }


def park_reasons() -> dict[str, str]:
    """What an item can be parked for, in the order of the menu."""
    return {
        ParkReason.SNOOZE: _("Just later"),
        ParkReason.CUSTOMER: _("Customer"),
        ParkReason.EXPERT: _("Expert"),
    }


def park_reason(code: str | None) -> str:
    """What a parked item waits for."""
    words = {
        ParkReason.SNOOZE: _("Parked"),
        ParkReason.CUSTOMER: _("Waits for the customer"),
        ParkReason.EXPERT: _("Waits for an expert"),
    }
    return words.get(ParkReason(code), "") if code else ""


def visibility(code: str) -> str:
    """Who can read it."""
    return Visibility(code).words if code else ""


def media(kind: str) -> str:
    """What hangs on a post."""
    kinds = {
        "image": _("Picture"),
        "video": _("Video"),
        "audio": _("Sound"),
        "link": _("Link"),
    }
    return kinds.get(kind, _("File"))


def undescribed(kind: str) -> str:
    """What stands where its author described nothing."""
    return _("Picture without a description") if kind == "image" else _("%s without a description") % media(kind)


def state(code: str) -> str:
    """Where an item is."""
    return State(code).words


def presence(code: str) -> str:
    """What somebody is doing."""
    words = {
        PresenceState.READY: _("ready"),
        PresenceState.NOT_READY: _("not ready"),
        PresenceState.WRAP_UP: _("wrap-up"),
        PresenceState.OFFLINE: _("offline"),
    }
    return words[PresenceState(code)]


def reason_code(name: str) -> str:
    """Why somebody is not ready: in the reader's language where Careline knows it, else as the admin wrote it."""
    words: dict[str, str] = {
        NotReadyReason.BREAK: _("Break"),
        NotReadyReason.LUNCH: _("Lunch"),
        NotReadyReason.TRAINING: _("Training"),
        NotReadyReason.TECHNICAL: _("Technical problem"),
        NotReadyReason.MISSED: _("Missed offers"),
    }
    return words.get(name, name)


def channel_title(name: str) -> str:
    """A channel's name for people."""
    try:
        return _(registry.get(name).title)
    except NotFound:
        return name.capitalize()


def due_state(ready: datetime, due: datetime, now: datetime) -> tuple[str, int]:
    """ok, risk or over, and the share of the time used in per cent, at most 100."""
    whole = max((due - ready).total_seconds(), 1)
    used = (now - ready).total_seconds() / whole
    name = "over" if used >= 1 else "risk" if used >= RISK else "ok"
    return name, max(0, min(100, round(used * 100)))


SHOWN = "shown"  # an edit that changed nothing but who can read the post


def event(one: Event, names: Mapping[int, str], reader_id: int, now: datetime) -> str:
    """What happened, as a sentence."""
    actor = _who(one.agent_id, names, reader_id)
    target_id = one.changes.get("agent_id")
    target = _who(target_id, names, reader_id)
    why: Mapping[str, Any] = one.why
    because = str(why.get("because") or why.get("reason") or "")
    because = decline_reasons().get(because) or retold(because)
    if one.verb == Verb.OPEN:
        rule = why.get("rule")
        return _("Rule “%s” sent it to its queue") % rule if rule else _("It came in")
    if one.verb in {Verb.TAG, Verb.UNTAG, Verb.PRIORITISE}:
        return _labelled(one.verb, actor, why)
    if one.verb == Verb.PARK and one.changes.get("parked_until"):
        until = moment(datetime.fromisoformat(one.changes["parked_until"]), now)
        return _("%(who)s parked it until %(until)s") % {"who": actor, "until": until}
    if one.verb in {Verb.TRANSFER, Verb.ASSIGN}:
        return _sent(why, actor, target if target_id else "", _who(why.get("from"), names, reader_id))
    if one.verb == Verb.CLOSE:
        return _("%(who)s closed it: %(how)s") % {"who": actor, "how": disposition(one.changes.get("disposition"))}
    verb = SHOWN if one.verb == Verb.EDIT and why.get("visibility") else one.verb
    told = _plain(actor, target, by_router=one.agent_id is None).get(verb) or verb
    return f"{told} ({because})" if because and one.verb in {Verb.DECLINE, Verb.REVOKE, Verb.RELEASE} else told


def _labelled(verb: str, actor: str, why: Mapping[str, Any]) -> str:
    if verb == Verb.PRIORITISE:
        return _("%(who)s made it P%(to)s, it was P%(was)s") % {
            "who": actor,
            "to": why.get("to"),
            "was": why.get("from"),
        }
    told = _("%(who)s added the tag %(tag)s") if verb == Verb.TAG else _("%(who)s took the tag %(tag)s away")
    return told % {"who": actor, "tag": why.get("tag", "")}


def _plain(actor: str, target: str, *, by_router: bool) -> dict[str, str]:
    return {
        Verb.JOIN: _("A new post came"),
        Verb.EDIT: _("A post was edited on the channel"),
        SHOWN: _("Who can read a post changed on the channel"),
        Verb.WITHDRAW: _("A post was deleted on the channel"),
        Verb.RETRACT: _("%s deleted our reply on the channel") % actor,
        Verb.HIDE: _("%s hid a post on the channel") % actor,
        Verb.SHOW: _("%s showed a hidden post again on the channel") % actor,
        Verb.AMEND: _("%s edited our reply on the channel") % actor,
        Verb.OFFER: _("Offered to %s") % target
        if by_router
        else _("%(who)s offered it to %(whom)s") % {"who": actor, "whom": target},
        Verb.EXTEND: _("%s took 30 seconds more") % actor,
        Verb.ACCEPT: _("%s accepted the offer") % actor,
        Verb.DECLINE: _("%s declined the offer") % actor,
        Verb.EXPIRE: _("The offer ran out unanswered"),
        Verb.REVOKE: _("The offer was taken back"),
        Verb.CLAIM: _("%s claimed it") % actor,
        Verb.OVERFLOW: _("It waited too long there, and went to another queue"),
        Verb.RAISE: _("A signal moved it forward"),
        Verb.RELEASE: _("%s gave it back to the queue") % actor,
        Verb.WAKE: _("It came back from parking"),
        Verb.DISCARD: _("%s discarded it") % actor,
        Verb.REOPEN: _("It was reopened"),
        Verb.ANSWER: _("Our answer reached the channel"),
    }


def _sent(why: Mapping[str, Any], actor: str, target: str, former: str) -> str:
    """How an item went on: to the line of a queue, from hands to hands, or taken over."""
    if why.get("taken"):
        return _("%(who)s took it over from %(whom)s") % {"who": actor, "whom": former}
    if not why.get("queue"):
        to = _("%(who)s gave it to %(whom)s") if target else _("%(who)s gave it back to the queue")
        return to % {"who": actor, "whom": target}
    told = {"who": actor, "queue": why["queue"], "needs": why.get("needs", "")}
    if told["needs"]:
        return _("%(who)s sent it to %(queue)s for %(needs)s") % told
    return _("%(who)s sent it to %(queue)s") % told


def watched(what: str) -> str:
    """What became of a watched item; to be filled with who, customer and id."""
    told = {
        Verb.JOIN: _("%(customer)s wrote again, #%(id)s"),
        Verb.CLAIM: _("%(who)s claimed %(customer)s, #%(id)s"),
        Verb.ACCEPT: _("%(who)s accepted %(customer)s, #%(id)s"),
        Verb.CLOSE: _("%(who)s closed %(customer)s, #%(id)s"),
        Verb.DISCARD: _("%(who)s discarded %(customer)s, #%(id)s"),
        Verb.PARK: _("%(who)s parked %(customer)s, #%(id)s"),
        Verb.WAKE: _("%(customer)s came back from parking, #%(id)s"),
        Verb.REOPEN: _("%(customer)s is open again, #%(id)s"),
        "note": _("%(who)s wrote a note: %(customer)s, #%(id)s"),
        "reply": _("%(who)s answered %(customer)s, #%(id)s"),
    }
    return told.get(what, _("%(customer)s went on to somebody else, #%(id)s"))


def _who(agent_id: int | None, names: Mapping[int, str], reader_id: int) -> str:
    if agent_id is None:
        return _("Careline")
    return _("You") if agent_id == reader_id else names.get(agent_id, _("A colleague"))


def parking_times(now: datetime) -> list[tuple[str, str]]:
    """Times to park until: a code for the form and its words; `now` is in the reader's zone."""
    tomorrow = (now + timedelta(days=1)).replace(hour=9, minute=0)
    monday = (now + timedelta(days=7 - now.weekday())).replace(hour=9, minute=0)
    return [
        ("1h", _("In one hour")),
        ("3h", _("In three hours")),
        (tomorrow.isoformat(timespec="minutes"), _("Tomorrow morning")),
        (monday.isoformat(timespec="minutes"), _("Next Monday")),
    ]


@dataclass(frozen=True, slots=True)
class Why:
    """One line of why an item went to somebody; `soft` lines are not in favour."""

    text: str
    soft: bool = False
    right: str = ""


def why_lines(why: Mapping[str, Any], knew: datetime | None = None) -> list[Why]:
    """A router's or a supervisor's decision in plain words; unknown keys are left out.

    `knew` is when the reader last answered this customer.
    """
    if why.get("by"):
        note = [Why(_("“%s”") % why["note"], soft=True)] if why.get("note") else []
        return [Why(_("%s offers it to you") % why.get("by_name", _("A supervisor"))), *note]
    lines = []
    if why.get("preferred"):
        lines.append(Why(_known(knew, datetime.now(UTC))))
    else:
        lines += _chosen(why)
    counts = Counter(str(reason) for reason in (why.get("rejected") or {}).values())
    told = {
        "skill": ngettext("%d colleague lacks a skill for it", "%d colleagues lack a skill for it", counts["skill"]),
        "no_room": ngettext("%d colleague has no room", "%d colleagues have no room", counts["no_room"]),
        "refused": ngettext("%d colleague passed on it", "%d colleagues passed on it", counts["refused"]),
    }
    return lines + [Why(text % counts[reason], soft=True) for reason, text in told.items() if counts[reason]]


def _chosen(why: Mapping[str, Any]) -> list[Why]:
    """How the queue's policy came to this agent."""
    able = int(why.get("candidates_total") or 0)
    if able == 1:
        return [Why(_("You were the only one ready who could take it"))]
    if able < 1:
        return []
    if why.get("policy") == Policy.MOST_SPARE:
        return [Why(_("You had the most room of %d who could take it") % able, right=_room(why))]
    if why.get("policy") == Policy.BEST_SKILLED:
        return [Why(_("You have the most skill of %d who could take it") % able)]
    return [Why(_("You were free the longest of %d who could take it") % able)]


def _room(why: Mapping[str, Any]) -> str:
    part: Mapping[str, Any] = next(iter(why.get("parts") or ()), {})
    return _("%d free") % int(part["spare"]) if "spare" in part else ""


def _known(knew: datetime | None, now: datetime) -> str:
    if knew is None:
        return _("You know this customer")
    if now - knew < timedelta(days=2):
        return _("You answered this customer %s") % ago(knew, now)
    return _("You answered this customer in %s") % month(knew, now)
