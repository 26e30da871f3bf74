"""Signals: how fast posts are listened to, beside the bare insert of the same posts; and, given data, how well.

`python -m bench signals` measures speed: language, intent, mood, urgency, noise, personal data and the keys of alike
posts of 10,000 posts of four languages, on one core, in a process of its own that also tells its memory and its start.
`python -m bench.signals --data airline.csv` measures quality on labelled posts (columns `text`, `airline_sentiment`):
our mood beside VADER and TF-IDF with a logistic regression, where these packages are installed; they are no part of
Careline. Nothing that ships was trained on them: the lexicons are our own.
"""

import argparse
import asyncio
import csv
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.harness import SAID, Result, spread

GOAL = 1_000  # posts a second on one core
MOST_MEMORY = 600  # MB
MOST_START = 3.0  # seconds
LABELS = ("negative", "neutral", "positive")
BAD, GOOD = -15, 15  # moods from which a post is negative, positive


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    posts: int = 10_000
    rounds: int = 5


TINY = Size(posts=50, rounds=2)


async def measure(_url: str, size: Size | None = None) -> Result:
    """Measure the speed in a fresh process, so that memory and start are those of listening alone."""
    size = size or Size()
    command = [sys.executable, "-m", "bench.signals", "--alone", str(size.posts), str(size.rounds)]
    done = await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, text=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(
        f"signals: {spread(told['rates'], 0)} posts a second on one core; start {told['start']:.2f} s, "
        f"{told['memory']:.0f} MB"
    )
    reached = (statistics.median(told["rates"]) / GOAL, MOST_MEMORY / told["memory"], MOST_START / told["start"])
    return Result("signals", min(reached), 1.0, at_least=True)  # the least of what is reached of each


def alone(count: int, rounds: int) -> None:
    """Listen, and print rates (posts a second of CPU time), the start (s) and the memory (MB) as JSON."""
    begin = time.perf_counter()
    from app.listening.heard import Said, hear  # noqa: PLC0415 - the start is measured

    hear([Said("Where is my tent?")])
    start = time.perf_counter() - begin
    posts = [Said(text) for text in _posts(count)]
    rates = []
    for _ in range(rounds):
        begin = time.process_time()
        hear(posts)
        rates.append(len(posts) / (time.process_time() - begin))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rates": rates, "start": start, "memory": memory}))


def _posts(count: int) -> Iterable[str]:
    """Posts of about 90 characters, as in FACTS' figures of other libraries: words of four languages in any order."""
    for number in range(count):
        words = SAID[random.choice(list(SAID))].split()
        yield f"@northwind {' '.join(random.choices(words, k=14))} {number}{random.choice(('', '?', '!!', ' 😡'))}"


def quality(path: Path) -> None:
    """Print a table: macro-F1 and accuracy of each way to tell the mood, judged on the half that nothing has seen."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["airline_sentiment"]) for row in csv.DictReader(file)]
    seen, unseen = rows[::2], rows[1::2]
    ways: dict[str, Callable[[Sequence[str]], list[str]]] = {"ours": _ours}
    if find_spec("vaderSentiment"):
        ways["VADER"] = _vader
    if find_spec("sklearn"):
        ways["TF-IDF trained on the other half"] = lambda texts: _trained(seen, texts)
    gold = [label for _, label in unseen]
    print(f"{len(unseen)} posts\n\n| mood by | macro-F1 | negative | neutral | positive | accuracy |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, way in ways.items():
        told = way([text for text, _ in unseen])
        scores = [_f1(gold, told, label) for label in LABELS]
        right = statistics.mean(one == other for one, other in zip(gold, told, strict=True))
        cells = [sum(scores) / len(scores), *scores, right]
        print(f"| {name} | {' | '.join(f'{cell:.2f}' for cell in cells)} |")


def _f1(gold: Sequence[str], told: Sequence[str], label: str) -> float:
    pairs = list(zip(gold, told, strict=True))
    both = sum(one == other == label for one, other in pairs)
    either = sum((one == label) + (other == label) for one, other in pairs)
    return 2 * both / either if either else 0.0


def _named(score: float, bad: float, good: float) -> str:
    return LABELS[0] if score <= bad else LABELS[2] if score >= good else LABELS[1]


def _ours(texts: Sequence[str]) -> list[str]:
    from app.listening.heard import Said, hear  # noqa: PLC0415 - not for the speed's own process

    return [_named(one.mood, BAD, GOOD) for one in hear([Said(text) for text in texts])]


def _vader(texts: Sequence[str]) -> list[str]:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer  # noqa: PLC0415 - only where it is

    analyser = SentimentIntensityAnalyzer()
    return [_named(analyser.polarity_scores(text)["compound"], -0.05, 0.05) for text in texts]


def _trained(seen: Sequence[tuple[str, str]], texts: Sequence[str]) -> list[str]:
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - only where it is
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - the same
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415 - the same

    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1000))
    model.fit([text for text, _ in seen], [label for _, label in seen])
    return [str(label) for label in model.predict(list(texts))]


def main(given: Sequence[str]) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.signals")
    parser.add_argument("--data", type=Path, help="a CSV file of labelled posts")
    parser.add_argument("--alone", nargs=2, type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args(given)
    if asked.alone:
        alone(*asked.alone)
    elif asked.data:
        quality(asked.data)
    else:
        parser.error("say --data PATH; for the speed: python -m bench signals")


if __name__ == "__main__":
    main(sys.argv[1:])
