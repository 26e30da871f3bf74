"""What the benchmarks share: a Postgres of their own with fsync on, a small company, figures and the last line.

A machine is never quiet, so nothing is compared with a number from another day: each round runs ours and a twin in
plain SQL by turns in the same seconds, and the ratio that counts is the median over the rounds.
"""

import json
import math
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import libpq_url
from app.embedded import Embedded
from app.migrate import migrate
from app.models.agent import Agent, Presence, PresenceState, Skill, Team, TeamMember
from app.models.feed import Feed
from app.models.queue import Queue, QueueMember
from app.models.rule import Rule

SAID = {
    "en": "my tent arrived torn and nobody answers please refund it or send another before friday thanks",
    "de": "mein Zelt kam zerrissen an und niemand antwortet bitte erstattet es oder schickt ein anderes für Frühjahr",
    "fr": "ma tente est arrivée déchirée et personne ne répond merci de me rembourser ou même envoyer une autre 😡",
    "ja": "テント が 破れて 届きました 返金 または 交換 を お願いします 注文 番号 は 箱 に あります",
}


@dataclass(frozen=True, slots=True)
class Result:
    """How a benchmark ended. `ratio` is compared with `goal`: at least, or at most."""

    name: str
    ratio: float
    goal: float
    at_least: bool

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.ratio >= self.goal if self.at_least else self.ratio <= self.goal

    def line(self) -> str:
        """The one line of JSON that a benchmark ends with."""
        return json.dumps({"name": self.name, "ratio": float(f"{self.ratio:.3g}"), "goal": self.goal, "met": self.met})


@dataclass(frozen=True, slots=True)
class Company:
    """Ids of what `make_company` made."""

    queue_ids: tuple[int, ...]
    feed_id: int
    agent_ids: tuple[int, ...]


@contextmanager
def server() -> Iterator[str]:
    """A migrated database on an embedded Postgres that really writes to disk; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="careline-bench-") as folder:
        Path(folder).chmod(0o755)  # as root the server runs as another account, which must get through
        embedded = Embedded(Path(folder) / "server", fsync=True)
        url = embedded.start()
        try:
            migrate(url)
            yield url
        finally:
            embedded.stop()


async def make_company(session: AsyncSession, agents: int = 1) -> Company:
    """A team with two queues, ready agents, a synced feed, and twenty rules of every kind; the last takes all."""
    team, skill = Team(name="Care"), Skill(name="Billing")
    session.add_all([team, skill])
    await session.flush()
    queues = [Queue(name=name, team_id=team.id) for name in ("General", "Billing")]
    feed = Feed(name="Box", channel="webhook", synced_at=func.now())
    people = [Agent(email=f"agent{n}@northwind.example", name=f"Agent {n}", password_hash="-") for n in range(agents)]
    session.add_all([*queues, feed, *people])
    await session.flush()
    session.add_all(Presence(agent_id=agent.id, state=PresenceState.READY) for agent in people)
    session.add_all(TeamMember(team_id=team.id, agent_id=agent.id) for agent in people)
    session.add_all(QueueMember(queue_id=queue.id, agent_id=agent.id) for queue in queues for agent in people)
    session.add_all(_rules(queues, skill.id))
    await session.commit()
    return Company(tuple(q.id for q in queues), feed.id, tuple(a.id for a in people))


def _rules(queues: Sequence[Queue], skill_id: int) -> Iterator[Rule]:
    general, billing = queues
    yield Rule(position=1, name="Spam", conditions={"contains": ["cheap watches", "casino"]}, discard=True)
    for n in range(9):
        conditions = {"matches": rf"\binvoice\s+{n}\d+\b"}
        yield Rule(position=10 + n, name=f"Invoice {n}", conditions=conditions, queue_id=billing.id, priority=1)
    for n in range(8):
        speaks: dict[str, Any] = {"languages": [f"x{n}"], "followers_min": 1000 * n}
        yield Rule(position=20 + n, name=f"Language {n}", conditions=speaks, queue_id=general.id, priority=2)
    twice: dict[str, Any] = {
        "conditions": {"contains": ["charged twice"]},
        "requirements": {str(skill_id): 3},
        "tags": ["money"],
    }
    yield Rule(position=30, name="Money", queue_id=billing.id, priority=2, **twice)
    yield Rule(position=1000, name="Everything else", conditions={}, queue_id=general.id, priority=3)


async def connect(url: str) -> psycopg.AsyncConnection[Any]:
    """A plain psycopg connection, for the twins."""
    return await psycopg.AsyncConnection.connect(libpq_url(url), autocommit=True)


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: `percentile(times, 0.99)`."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(round(share * len(ordered), 6)) - 1)]


def spread(values: Sequence[float], digits: int = 2) -> str:
    """`0.31 (0.27 to 0.35 over 7 rounds)`: median, least and greatest."""
    middle, least, greatest = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({least:.{digits}f} to {greatest:.{digits}f} over {len(values)} rounds)"


async def settle(url: str) -> None:
    """Leave no work of the seeding behind: statistics and visibility are up to date and dirty pages written."""
    async with await connect(url) as connection:
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
