"""What was heard in posts, in words."""

from dataclasses import dataclass

from app import i18n
from app.i18n import _, ngettext
from app.queries.said import Said
from app.queries.shield import OPEN
from app.queries.signals import Signals

SURE = 60  # per cent; below, a language is told as a guess


def intents() -> dict[str, str]:
    """What somebody wants."""
    return {
        "complaint": _("Complaint"),
        "question": _("Question"),
        "request": _("Request"),
        "praise": _("Praise"),
        "buy": _("Wants to buy"),
        "leave": _("Wants to leave"),
        "feedback": _("Feedback"),
    }


def upsets() -> dict[str, str]:
    """How upset somebody is, by the level; calm is not told."""
    return {"1": _("Displeased"), "2": _("Upset"), "3": _("Furious")}


def urgents() -> dict[str, str]:
    """What somebody should look at now."""
    return {
        "self_harm": _("Self-harm"),
        "danger": _("Danger to people"),
        "disaster": _("Disaster"),
        "security": _("Security or data breach"),
        "outage": _("Outage"),
        "legal": _("Legal threat"),
        "press": _("Press or regulator"),
    }


def noises() -> dict[str, str]:
    """What asks us for nothing."""
    return {
        "spam": _("Spam"),
        "job": _("Job post"),
        "giveaway": _("Giveaway"),
        "syndicated": _("News passed on"),
        "namesake": _("Somebody else of this name"),
    }


def personals() -> dict[str, str]:
    """Personal data."""
    return {
        "card": _("a card number"),
        "iban": _("a bank account"),
        "phone": _("a phone number"),
        "mail": _("a mail address"),
        "order": _("an order number"),
    }


def warning(one: Said) -> str:
    """That a post holds personal data that it should not."""
    kinds = i18n.listed([personals()[kind] for kind in one.personal])
    if one.visibility in OPEN:
        return _("Everybody can read %s in this post.") % kinds
    return _("It holds %s, which nobody needs to help.") % kinds


@dataclass(frozen=True, slots=True)
class Line:
    """One signal: an icon, what was heard, and the words that told. `soft`: a guess, or nothing to act on."""

    icon: str
    text: str
    because: str = ""
    soft: bool = False


def lines(found: Signals) -> list[Line]:
    """What was heard of an item, the gravest first."""
    told = [Line("i-warn", urgents()[kind], _quoted(found, "urgent")) for kind in found.urgent]
    if found.upset:
        told.append(Line("i-chat", upsets()[str(found.upset)], _quoted(found, "mood"), soft=found.upset == 1))
    if found.intent:
        told.append(Line("i-info", intents()[found.intent], _quoted(found, "intent"), soft=True))
    if found.noise:
        told.append(Line("i-filter", noises()[found.noise], _quoted(found, "noise"), soft=True))
    if found.copies:
        told.append(Line("i-merge", _copied(found.copies.count, found.copies.reach), soft=True))
    if found.personal:
        kinds = i18n.listed([personals()[kind] for kind in found.personal])
        told.append(Line("i-lock", _("Holds %s") % kinds))
    if found.language:
        told.append(Line("i-globe", _language(found), soft=True))
    return told


def _copied(count: int, reach: int) -> str:
    posts = ngettext("%s post says the same", "%s posts say the same", count) % i18n.number(count)
    if not reach:
        return posts
    return _("%(posts)s, to %(reach)s followers") % {"posts": posts, "reach": i18n.number(reach)}


def _language(found: Signals) -> str:
    named = i18n.language_name(found.language or "")
    if found.also:
        named = i18n.listed([named, i18n.language_name(found.also)])
    return named if found.confidence >= SURE else _("%s, by the look of it") % named


def _quoted(found: Signals, name: str) -> str:
    return ", ".join(f"“{word}”" for word in found.because.get(name, ())[:2])
