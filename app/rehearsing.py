"""`careline rehearse`: a file against a stretch of the past, before and after as a table on the terminal."""

import sys
from collections.abc import Callable
from datetime import datetime, timedelta

from app.db import create_engine, sessionmaker
from app.errors import Invalid
from app.flow.rehearse import Roster, Stretch, compare, prepare
from app.flow.rehearse_report import Change, QueueRow, Trend, report
from app.settings import Settings

BAR = 30  # characters
ARROWS = {Trend.BETTER: "better", Trend.WORSE: "worse", Trend.SAME: "", Trend.OTHER: ""}


async def rehearsed(
    settings: Settings, document: str, stretch: Stretch, progress: Callable[[float], None]
) -> dict[str, object]:
    """Read in a transaction that is rolled back, then compute."""
    engine = create_engine(settings.database_url, 1, "careline rehearse")
    try:
        async with sessionmaker(engine)() as session:
            prepared = await prepare(session, document, stretch)
            await session.rollback()
    finally:
        await engine.dispose()
    return compare(prepared, progress)


def stretch_of(since: datetime, until: datetime | None, items: int | None, roster: Roster, seed: int) -> Stretch:
    """The stretch as typed; times without a zone are those of this machine, no end is a day later. Raises Invalid."""
    try:
        end = until or since + timedelta(days=1)
        return Stretch(since=since.astimezone(), until=end.astimezone(), items=items, roster=roster, seed=seed)
    except ValueError as error:
        raise Invalid(f"This stretch cannot be rehearsed: {error}") from None


def progress_bar(share: float) -> None:
    """Draw the bar on a terminal; nothing where there is none."""
    if sys.stderr.isatty():
        filled = int(share * BAR)
        ended = "\n" if share >= 1 else ""
        sys.stderr.write(f"\r[{'#' * filled}{'.' * (BAR - filled)}] {share:4.0%}{ended}")
        sys.stderr.flush()


def table(result: dict[str, object]) -> str:
    """Before and after, a block for each queue, then the agents, then what the file would change."""
    found = report(result)
    rows: list[tuple[str, str, str, str]] = [("", "before", "after", "")]
    rows.append(("discarded by a rule", *_cells(found.discarded, _count)))
    for queue in found.queues:
        rows += _of_queue(queue)
    rows.append(("Agents: occupancy, items", "", "", ""))
    for agent in found.agents:
        before = f"{_share(agent.occupancy.before)}, {_count(agent.got.before)}"
        rows.append((f"  {agent.name}", before, f"{_share(agent.occupancy.after)}, {_count(agent.got.after)}", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    drawn = [f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {d}".rstrip() for a, b, c, d in rows]
    changes = [f"  {line}" for line in found.lines] or ["  Nothing would change."]
    return "\n".join([f"{found.came} posts asked for an item.", *drawn, "", "What the file would change:", *changes])


def _of_queue(queue: QueueRow) -> list[tuple[str, str, str, str]]:
    figures = (
        (f"service level (goal {queue.goal} %)", queue.level, _share),
        ("wait, median", queue.median, _time),
        ("wait, 90th percentile", queue.p90, _time),
        ("wait, longest", queue.longest, _time),
        ("arrived", queue.arrived, _count),
        ("went on to another queue", queue.overflowed, _count),
        ("served by nobody", queue.unserved, _count),
    )
    told = [(f"  {words}", *_cells(change, say)) for words, change, say in figures]
    reasons = sorted({*queue.unserved_before, *queue.unserved_after})
    for why in reasons:
        before, after = (str(side.get(why, 0)) for side in (queue.unserved_before, queue.unserved_after))
        told.append((f"    {REASONS[why]}", before, after, ""))
    return [(queue.name, "", "", ""), *told]


REASONS = {
    "no_member": "nobody is a member of its queue",
    "no_skill": "no member has the skills",
    "no_room": "nobody may carry its weight or channel",
    "nobody_in": "nobody who could was in afterwards",
    "no_time": "those who could had others to serve",
}


def _cells(change: Change, say: Callable[[float | None], str]) -> tuple[str, str, str]:
    return say(change.before), say(change.after), ARROWS[change.trend]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} %"


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _time(value: float | None) -> str:
    if value is None:
        return "-"
    minutes, seconds = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
