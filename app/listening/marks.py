"""The marks under which the search finds posts by what was heard in them."""

from collections.abc import Sequence
from typing import Protocol

ANY = "any"
_PREFIX = {"intent": "i", "upset": "s", "urgent": "u", "noise": "n", "personal": "p", "copy": "d"}


class Told(Protocol):
    """What was heard in a post."""

    intent: str
    upset: int
    urgent: Sequence[str]
    noise: str
    personal: Sequence[str]
    copy_of: int | None


def heard_mark(signal: str, value: str) -> str:
    """The mark of a signal with a value, or with any."""
    if signal == "upset":
        value = "2" if value == ANY else value
    return f"{_PREFIX[signal]}:{value}"


def heard_marks(told: Told) -> list[str]:
    """All marks of a post. Who is furious is also upset and displeased."""
    found = [("intent", told.intent)] if told.intent else []
    found += [("upset", str(level)) for level in range(1, told.upset + 1)]
    for signal, values in (
        ("urgent", told.urgent),
        ("noise", [told.noise] if told.noise else []),
        ("personal", told.personal),
    ):
        found += [(signal, value) for value in (*values, *([ANY] if values else []))]
    found += [("copy", ANY)] if told.copy_of is not None else []
    return [heard_mark(signal, value) for signal, value in found]
