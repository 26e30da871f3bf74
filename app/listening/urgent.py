"""What somebody should look at now: an outage, a breach, danger, a disaster, a threat of law, self-harm, press."""

from collections.abc import Collection
from dataclasses import dataclass

from app.listening.phrases import lexicon, quotes
from app.listening.plain import Plain

CLASSES = ("self_harm", "danger", "disaster", "security", "outage", "legal", "press")  # the gravest first


@dataclass(frozen=True, slots=True)
class Urgent:
    """The classes, gravest first, and for each the phrases that told."""

    classes: tuple[str, ...] = ()
    because: tuple[str, ...] = ()


def urgent(said: Plain, languages: Collection[str] = ()) -> Urgent:
    """What is urgent in a post that may be in these languages."""
    found = lexicon("urgent").find(said.line, languages)
    kinds = {phrase.kind for phrase in found}
    return Urgent(tuple(one for one in CLASSES if one in kinds), quotes(found, said.line, 5))
