"""All signals of a post together: pure, batch by batch, with a version, so that a better one can go over history."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.listening.alike import keys
from app.listening.intent import intent, phrases
from app.listening.language import UNTOLD, Language, language, spoken
from app.listening.mood import mood
from app.listening.noise import noise
from app.listening.personal import kinds
from app.listening.plain import plain
from app.listening.urgent import urgent

VERSION = 1  # raised with every change of what is heard; the posts of before are then gone over again


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a company tells of itself, so that its posts are heard rightly."""

    namesakes: tuple[str, ...] = ()  # words that tell of others who are called the same
    order: Any = None  # compiled pattern (RE2) of its order numbers


@dataclass(frozen=True, slots=True)
class Said:
    """What is listened to."""

    text: str  # with its title
    claimed: str | None = None  # the language that the channel names


@dataclass(frozen=True, slots=True)
class Heard:
    """The signals of one post. `because` holds the phrases that told, by signal."""

    language: Language = UNTOLD
    spoken: str | None = None  # the language to go by, with what the channel says
    intent: str = ""
    mood: int = 0
    upset: int = 0
    urgent: tuple[str, ...] = ()
    noise: str = ""
    personal: tuple[str, ...] = ()
    keys: tuple[int, ...] = ()
    copy_of: int | None = None  # the first post that says nearly the same, if there is one
    because: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


UNHEARD = Heard()


def hear(posts: Iterable[Said], tuning: Tuning | None = None) -> list[Heard]:
    """Listen to posts."""
    told = tuning or Tuning()
    return [_hear(post, told) for post in posts]


def _hear(post: Said, tuning: Tuning) -> Heard:
    tongue = language(post.text)
    said = plain(post.text)
    maybe = tongue.maybe
    wants = phrases(said, maybe)
    feels = mood(said, maybe, sum(1 for one in wants if one.kind in {"complaint", "leave"}))
    wish = intent(said, wants, feels.mood)
    alarm = urgent(said, maybe)
    noisy = noise(said, maybe, namesakes=tuning.namesakes)
    because = {"intent": wish.because, "mood": feels.because, "urgent": alarm.because, "noise": noisy.because}
    return Heard(
        language=tongue,
        spoken=spoken(post.claimed, tongue),
        intent=wish.intent,
        mood=feels.mood,
        upset=feels.upset,
        urgent=alarm.classes,
        noise=noisy.kind,
        personal=kinds(said.text, tuning.order),
        keys=keys(said),
        because={name: words for name, words in because.items() if words},
    )
