"""How pleased or upset a post sounds: words and phrases of several languages, negation, emoji, capitals, sarcasm.

A lexicon of our own (`words/mood.txt`), weighed by rules: a negation before a word turns it round, a strengthener lets
it count more, praise beside a grievance is meant otherwise ("love how you cancelled my flight"). `docs/listening.md`
says how good that is beside VADER and a trained baseline.
"""

import math
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import regex

from app.listening.phrases import Lexicon, Phrase, read
from app.listening.plain import Plain, fold

CALM, DISPLEASED, UPSET, FURIOUS = range(4)  # how upset somebody is
_GOOD_SIGNS = "😀😃😄😁😊🙂😍🥰😘😎🤗👍👏🙌🙏❤💕💖💙💚💛💜🧡😻🎉🥳✨💯🌟⭐☺😇💪🏆"
_BAD_SIGNS = "😡🤬😠👿💩😤😒🙄😞😔😟😕🙁☹😣😖😫😩😢😭👎💔🤦😑🤮🤢😾😱"
_FURIOUS_SIGNS = frozenset("😡🤬😠👿🤮💩")
_IRONY_SIGNS = frozenset("🙄🙃")
_SIGNS = regex.compile(f"[{_GOOD_SIGNS}{_BAD_SIGNS}{''.join(_IRONY_SIGNS)}]")
_FACES = (
    (re.compile(r"(?<!\w)(?:[:;=8][-']?[)\]D}pP]|<3|\^\^)(?!\w)"), 1.5),
    (re.compile(r"(?<!\w)(?:[:=8][-']?[(\[{/\\|]|:'\(|D:|>:\()(?!\w)(?!/)"), -1.5),
)
_IRONY = re.compile(
    r"(?:^|\s)(?:/s|#sarcasm|#irony|#not|#fail|#epicfail|#sarkasmus|#ironie)\b|\bslow clap\b|\byeah right\b",
    re.IGNORECASE,
)
_LOUD = regex.compile(r"\b\p{Lu}{3,}\b")
_MARKS = re.compile(r"[!\uff01]{2,}|\?!|!\?")
_AGAIN = 4  # words back that a negation reaches
_SPREAD = 12.0  # how fast the sum nears its ends
_TURNED = -0.7  # what a negation makes of a word
_STRONGER = 1.4
_IRONIC = 2.5  # what a mark of sarcasm weighs
_LETTERS_OF_LATIN = regex.compile(r"[\p{Latin}\p{Cyrillic}\p{Greek}']+\*?")
_SHORTEST_STEM = 3
_ANGRY, _CROSS = -60, -25  # moods from which one is upset, displeased
_LOUD_WORDS = 3


@dataclass(frozen=True, slots=True)
class Mood:
    """From -100 (as bad as can be) to 100, how upset (CALM to FURIOUS), and the words that told, the strongest first."""

    mood: int = 0
    upset: int = CALM
    because: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Words:
    """The single words of a language: worth of each, and of each stem."""

    worth: Mapping[str, float]
    stems: Mapping[str, float]
    negations: frozenset[str]
    strengtheners: frozenset[str]


def mood(said: Plain, languages: Collection[str] = (), grievances: int = 0) -> Mood:
    """The mood of a post that may be in these languages. `grievances`: how many phrases say that something went wrong."""
    told = _words_told(said.words, languages) + _phrases_told(said.line, languages)
    signs = _SIGNS.findall(said.text) if not said.text.isascii() else []
    told += [(sign, 1.5 if sign in _GOOD_SIGNS else -1.5) for sign in signs[:6]]
    told += [(face.strip(), worth) for pattern, worth in _FACES for face in pattern.findall(said.bare)[:2]]
    good, bad = sum(w for _, w in told if w > 0), -sum(w for _, w in told if w < 0)
    ironic = bool(_IRONY.search(said.text)) or any(sign in _IRONY_SIGNS for sign in signs)
    if ironic:
        good, bad = good * 0.3, bad + _IRONIC
    elif good and grievances and "?" not in said.text:
        good *= 0.6  # praise beside a grievance is rarely meant
    loud = _loud(said)
    total = (good - bad - 0.6 * grievances) * (1.2 if loud else 1.0)
    scaled = round(100 * total / math.sqrt(total * total + _SPREAD)) if total else 0
    because = tuple(dict.fromkeys(word for word, worth in sorted(told, key=lambda one: -abs(one[1])) if worth))[:5]
    return Mood(scaled, _upset(scaled, said, loud=loud, signs=signs), because)


def _upset(scaled: int, said: Plain, *, loud: bool, signs: Sequence[str]) -> int:
    furious = any(sign in _FURIOUS_SIGNS for sign in signs)
    shouting = bool(_MARKS.search(said.text)) or loud
    if scaled > _CROSS:
        return DISPLEASED if furious else CALM
    level = UPSET if scaled <= _ANGRY else DISPLEASED
    return min(FURIOUS, level + (1 if furious or shouting else 0))


def _loud(said: Plain) -> bool:
    """Whether capitals shout: several words of them, and not the whole text in a script or habit of capitals."""
    return len(_LOUD.findall(said.bare)) >= _LOUD_WORDS


def _words_told(words: Sequence[str], languages: Collection[str]) -> list[tuple[str, float]]:
    found = []
    lexicons = [_lexicons()[code] for code in languages if code in _lexicons()] or list(_lexicons().values())
    for lexicon in lexicons:
        for at, word in enumerate(words):
            worth = _worth(lexicon, word)
            if worth:
                found.append((word, worth * _around(lexicon, words, at, worth)))
    return found


def _worth(lexicon: _Words, word: str) -> float:
    known = lexicon.worth.get(word)
    if known is not None:
        return known
    stems = (lexicon.stems.get(word[:length]) for length in range(len(word), _SHORTEST_STEM - 1, -1))
    return next((worth for worth in stems if worth is not None), 0.0)


def _around(lexicon: _Words, words: Sequence[str], at: int, worth: float) -> float:
    """What the words before one make of its worth. A complaint is not turned to praise by a `not` far away."""
    factor = 1.0
    reach = _AGAIN if worth > 0 else 2
    before = words[max(0, at - reach) : at]
    if any(word in lexicon.negations for word in before):
        factor *= _TURNED if worth > 0 else 0.3
    if any(word in lexicon.strengtheners for word in before[-2:]):
        factor *= _STRONGER
    return factor


def _phrases_told(line: str, languages: Collection[str]) -> list[tuple[str, float]]:
    found = [(phrase.said(line), _sign(phrase) * phrase.weight) for phrase in _phrases().find(line, languages)]
    return [(text, float(worth)) for text, worth in found]


def _sign(phrase: Phrase) -> int:
    return {"good": 1, "bad": -1, "phrase": 1}[phrase.kind]


@lru_cache(maxsize=1)
def _lexicons() -> dict[str, _Words]:
    worth: dict[str, dict[str, float]] = defaultdict(dict)
    stems: dict[str, dict[str, float]] = defaultdict(dict)
    others: dict[tuple[str, str], set[str]] = defaultdict(set)
    for phrase in read("mood"):
        word = fold(phrase.text)
        if phrase.kind in {"not", "very"}:
            others[phrase.kind, phrase.language].add(word)
        elif _single(phrase):
            value = phrase.weight * (1.0 if phrase.kind == "good" else -1.0)
            (stems if word.endswith("*") else worth)[phrase.language][word.rstrip("*")] = value
    return {
        code: _Words(worth[code], stems[code], frozenset(others["not", code]), frozenset(others["very", code]))
        for code in worth
    }


@lru_cache(maxsize=1)
def _phrases() -> Lexicon:
    return Lexicon([one for one in read("mood") if one.kind not in {"not", "very"} and not _single(one)])


def _single(phrase: Phrase) -> bool:
    return phrase.kind in {"good", "bad"} and _LETTERS_OF_LATIN.fullmatch(phrase.text) is not None
