"""What somebody wants: one of INTENTS, or NONE. Phrases of several languages vote, mood and punctuation with them."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from app.listening.phrases import Phrase, lexicon, quotes
from app.listening.plain import Plain

LEAVE, COMPLAINT, REQUEST, BUY = "leave", "complaint", "request", "buy"
QUESTION, FEEDBACK, PRAISE, NONE = "question", "feedback", "praise", ""
INTENTS = (LEAVE, BUY, COMPLAINT, REQUEST, QUESTION, FEEDBACK, PRAISE)  # the first of equals wins
_ASKS = ("?", "\uff1f", "؟", "¿")
_BAD, _VERY_BAD, _GOOD = -25, -60, 30  # moods
_LEAST = 1.0  # votes that an intent needs


@dataclass(frozen=True, slots=True)
class Intent:
    """What somebody wants, and the phrases that told."""

    intent: str = NONE
    because: tuple[str, ...] = ()


def phrases(said: Plain, languages: Collection[str] = ()) -> list[Phrase]:
    """The phrases that tell what somebody wants."""
    return lexicon("intent").find(said.line, languages)


def intent(said: Plain, found: Collection[Phrase], mood: int) -> Intent:
    """What somebody wants who says this in this mood."""
    votes: Counter[str] = Counter()
    for phrase in found:
        votes[phrase.kind] += phrase.weight
    votes[QUESTION] = min(votes[QUESTION], 1)
    asks = said.bare.rstrip().endswith(_ASKS) or any(mark in said.bare for mark in _ASKS)
    votes[QUESTION] += (1 if votes[REQUEST] else 2) if asks else -1  # a question word alone asks nothing: "this is why"
    votes[COMPLAINT] += 3 if mood <= _VERY_BAD else 2 if mood <= _BAD else 0
    votes[PRAISE] += 2 if mood >= _GOOD else -4 if mood <= _BAD else 0
    if asks:
        votes[PRAISE] -= 1
    if votes[COMPLAINT] > 0 and mood <= _BAD:
        votes[QUESTION] -= 1  # "where is my bag???" complains more than it asks
        votes[BUY] -= 2
    best = max(INTENTS, key=lambda one: votes[one])
    if votes[best] < _LEAST:
        return Intent()
    return Intent(best, quotes((phrase for phrase in found if phrase.kind == best), said.line, 3))
