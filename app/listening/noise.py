"""What asks the company for nothing: spam, job posts, giveaways, news passed on, and others who are called the same."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from app.listening.phrases import lexicon, quotes
from app.listening.plain import Plain, fold

KINDS = ("namesake", "spam", "job", "giveaway", "syndicated")
FROM = 3  # points that make noise
_MANY_TAGS, _MANY_NAMES = 5, 5
_SHORT = 6  # words: hardly more than an address
_OURS = -2  # points for speaking of oneself to somebody: news and adverts do not
_PERSONS = (
    "i my me im ive your you we our ich mein meine mir mich ihr euch euer wir unser yo mi me tu su ustedes vosotros je mon "
    "ma mes vous votre nous eu meu minha voces vos"
)
_I = frozenset(_PERSONS.split())


@dataclass(frozen=True, slots=True)
class Noise:
    """A kind, or "" for none, with its points and the phrases that told."""

    kind: str = ""
    points: int = 0
    because: tuple[str, ...] = ()


def noise(said: Plain, languages: Collection[str] = (), *, namesakes: Collection[str] = ()) -> Noise:
    """Whether a post is noise. `namesakes` are the admin's words that tell of others with our name (a band, a storm)."""
    other = [word for word in namesakes if f" {' '.join(fold(word).split())} " in said.line]
    if other:
        return Noise("namesake", FROM, tuple(other))
    found = lexicon("noise").find(said.line, languages)
    if not found:
        return Noise()
    points: Counter[str] = Counter()
    for phrase in found:
        points[phrase.kind] += phrase.weight
    shape = _shape(said)
    kind = max(points, key=lambda one: (points[one], -KINDS.index(one)))
    total = points[kind] + shape
    because = quotes((phrase for phrase in found if phrase.kind == kind), said.line, 3)
    return Noise(kind if total >= FROM else "", total, because)


def _shape(said: Plain) -> int:
    """Points for looking like an advert, and against it for speaking as a customer does."""
    points = 1 if said.addresses else 0
    points += 1 if said.tags >= _MANY_TAGS or said.names >= _MANY_NAMES else 0
    points += 1 if said.addresses and len(said.words) <= _SHORT else 0
    if not _I.isdisjoint(said.words) and "?" in said.bare:
        points += _OURS
    return points
