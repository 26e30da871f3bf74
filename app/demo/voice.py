"""What the demo's customers say, by language and occasion: read from `voices/<language>.txt`."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "voices"

TOPICS = (
    "late_delivery",
    "double_charge",
    "wrong_size",
    "broken_zip",
    "app_crash",
    "praise",
    "question",
    "wish_to_buy",
    "spam",
)
TURNS = ("nudge", "nudge_again", "last_straw", "thanks", "not_solved", "detail", "echo", "aside")


@dataclass(frozen=True, slots=True)
class Line:
    """One thing to say, perhaps with a picture and what it shows."""

    text: str
    picture: str = ""
    alt: str = ""


@cache
def languages() -> tuple[str, ...]:
    """The languages that have a voice."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.txt")))


@cache
def lines(language: str, occasion: str) -> tuple[Line, ...]:
    """What can be said in that language on that occasion: a topic to begin with, or a turn to go on with."""
    return _book(language).get(occasion, ())


@cache
def _book(language: str) -> dict[str, tuple[Line, ...]]:
    book: dict[str, list[Line]] = {}
    section: list[Line] = []
    for raw in (FOLDER / f"{language}.txt").read_text(encoding="utf-8").splitlines():
        text = raw.strip()
        if text.startswith("[") and text.endswith("]"):
            section = book.setdefault(text[1:-1], [])
        elif text and not text.startswith("#"):
            said, *picture = (part.strip() for part in text.split("||"))
            section.append(Line(said, *picture))
    return {occasion: tuple(said) for occasion, said in book.items()}
