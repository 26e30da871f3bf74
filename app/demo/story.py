"""What a customer does next: pure decisions from a story, a chance and the time."""

import random
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from app.demo.voice import Line, lines


class Stage(StrEnum):
    """Where a story stands."""

    WAITING = "waiting"  # the customer wants an answer
    ANSWERED = "answered"  # we answered, the customer reads
    DONE = "done"  # thanked, gave up, or never wanted anything


@dataclass(frozen=True, slots=True)
class Story:
    """One customer's matter: what it is about and when they act next (`due`)."""

    thread: int
    handle: str
    topic: str
    language: str
    order: str
    stage: Stage
    direct: bool = False
    due: datetime | None = None
    nudges: int = 0
    rounds: int = 0  # how often we answered
    asked: bool = False  # our last answer was a question
    echo: datetime | None = None  # when somebody else chimes in
    regret: datetime | None = None  # when the customer changes the first post, or takes it back


@dataclass(frozen=True, slots=True)
class Patience:
    """How long customers take, in seconds: from, to."""

    nudge: tuple[float, float] = (150, 420)
    reply: tuple[float, float] = (15, 70)
    echo: tuple[float, float] = (20, 90)
    regret: tuple[float, float] = (25, 120)


_QUESTION_MARKS = ("?", "\N{FULLWIDTH QUESTION MARK}", "\N{ARABIC QUESTION MARK}")
_MOST_ROUNDS = 3
_TIMES = ("due", "echo", "regret")
_GIVES_DETAIL = 0.8  # chances
_NOT_HELPED = 0.25
_TURN_OF_NUDGE = ("nudge", "nudge_again", "last_straw")


def after(chance: random.Random, now: datetime, span: tuple[float, float], times: float = 1) -> datetime:
    """A moment within that span from now."""
    return now + timedelta(seconds=chance.uniform(*span) * times)


def impatient(story: Story, now: datetime, chance: random.Random, patience: Patience) -> tuple[str, Story]:
    """Still no answer: the customer writes again, each time later and less kindly, and leaves with the last straw."""
    turn = _TURN_OF_NUDGE[min(story.nudges, len(_TURN_OF_NUDGE) - 1)]
    if turn == "last_straw":
        return turn, replace(story, stage=Stage.DONE, due=None)
    due = after(chance, now, patience.nudge, times=story.nudges + 2)
    return turn, replace(story, nudges=story.nudges + 1, due=due)


def reacting(story: Story, now: datetime, chance: random.Random, patience: Patience) -> tuple[str, Story]:
    """We answered: the customer gives what we asked for, says that it did not help, or thanks and is content."""
    more_to_come = story.rounds < _MOST_ROUNDS
    if story.asked and more_to_come and chance.random() < _GIVES_DETAIL:
        turn = "detail"
    elif more_to_come and story.topic not in {"praise", "question", "wish_to_buy"} and chance.random() < _NOT_HELPED:
        turn = "not_solved"
    else:
        return "thanks", replace(story, stage=Stage.DONE, due=None)
    waiting = replace(story, stage=Stage.WAITING, nudges=0, asked=False)
    return turn, replace(waiting, due=after(chance, now, patience.nudge))


def answered(story: Story, text: str, now: datetime, chance: random.Random, patience: Patience) -> Story:
    """What our answer does to the story. Nobody thanks for an answer to spam, or twice."""
    if story.topic == "spam" or (story.stage is Stage.DONE and story.rounds > 0):
        return replace(story, stage=Stage.DONE, due=None)
    asked = text.rstrip().endswith(_QUESTION_MARKS)
    due = after(chance, now, patience.reply)
    return replace(story, stage=Stage.ANSWERED, rounds=story.rounds + 1, asked=asked, due=due)


def line_for(language: str, occasion: str, chance: random.Random) -> Line:
    """Something to say, in English when that language has no words for it."""
    return chance.choice(lines(language, occasion) or lines("en", occasion))


def as_row(story: Story) -> dict[str, Any]:
    """The story as JSON."""
    row = asdict(story)
    times = {name: _text(getattr(story, name)) for name in _TIMES}
    return row | times | {"stage": story.stage.value}


def from_row(row: dict[str, Any]) -> Story:
    """The story that was written down."""
    times = {name: _time(row.get(name)) for name in _TIMES}
    return Story(**(row | times | {"stage": Stage(row["stage"])}))


def _text(when: datetime | None) -> str | None:
    return when.isoformat() if when else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
