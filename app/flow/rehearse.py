"""Rehearse: a stretch of the past, or a day made of it, under the rules as they are and as a file would make them.

Nothing is written: the file is applied in a savepoint, by the same verbs as `careline config apply`, read, and rolled
back. Triage is `Rules.decide`, routing is the kernel; `app.routing.rehearsal` says what is taken for granted.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from random import Random
from typing import Any

from pydantic import AwareDatetime, Field, model_validator
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.base import SettingsModel
from app.errors import Invalid
from app.flow.config_file import apply, plan
from app.flow.rehearse_past import Came, came, stood
from app.flow.rehearse_scene import Scene
from app.flow.triage import Decision
from app.i18n import _
from app.models.history import Habits, habits, handling_times, presences
from app.routing.hours import read_zone
from app.routing.rehearsal import Arrival, Span, Worker, merged, rehearse
from app.routing.tally import AgentTally, QueueTally, tally

MOST_ITEMS = 200_000
LONGEST = timedelta(days=31)
HANDLING = 300.0  # seconds, where no item was ever closed
JITTER = 900.0  # seconds: how far an item of a simulated day is moved from the time it was drawn at
OFFICE = (time(9), time(17))
MOST_REFUSED = 5  # offers of one item
TELL_EVERY = 1_000  # posts triaged between two calls of the progress callback

Progress = Callable[[float], None]  # told the share that is done; what it raises ends the rehearsal


class Roster(StrEnum):
    """Who is in, and when."""

    RECORDED = "recorded"  # as far as what they did in the stretch tells
    OFFICE = "office"  # everybody, 09:00 to 17:00 in their own time zone, every day


class Stretch(SettingsModel):
    """What is rehearsed."""

    since: AwareDatetime
    until: AwareDatetime
    items: int | None = Field(None, ge=1, le=MOST_ITEMS)  # a simulated stretch of so many; None: as it was
    roster: Roster = Roster.RECORDED
    seed: int = Field(1, ge=0, le=2**31)
    accept_seconds: float = Field(5, ge=0, le=600)  # from offer to acceptance

    @model_validator(mode="after")
    def _has_a_length(self) -> "Stretch":
        if not timedelta() < self.until - self.since <= LONGEST:
            raise ValueError(
                _("The stretch must end after it begins, at most %(days)s days later.") % {"days": LONGEST.days}
            )
        return self


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a rehearsal needs: no database from here on."""

    stretch: Stretch
    lines: tuple[str, ...]  # what the file would change
    before: Scene
    after: Scene
    came: Sequence[Came]
    times: Mapping[int, Sequence[float]]  # handling times by queue, in order
    recorded: Mapping[int, tuple[Span, ...]]
    habits: Mapping[int, Habits] = field(default_factory=dict)  # by queue


async def prepare(session: AsyncSession, text: str, stretch: Stretch) -> Prepared:
    """Read what is to be rehearsed; `text` is the YAML of the changed configuration.

    Raises:
        Invalid: the file cannot be applied, nothing came in the stretch, or too much did.
        Conflict: see `app.flow.config_file`.
    """
    before = await Scene.load(session)
    posts = await came(session, stretch.since, stretch.until, MOST_ITEMS + 1)
    if not posts:
        raise Invalid(_("Nothing came in during that stretch. Choose one in which customers wrote."), "since")
    if len(posts) > MOST_ITEMS:
        raise Invalid(
            _("More than %(most_items)s items came in during that stretch. Choose a shorter one.")
            % {"most_items": MOST_ITEMS},
            "until",
        )
    times = await handling_times(session, stretch.since, stretch.until)
    recorded = await presences(session, stretch.since, stretch.until)
    told = await habits(session, stretch.since, stretch.until)
    before_it = await stood(session, stretch.since, MOST_ITEMS)
    trial = await session.begin_nested()
    try:
        planned = await plan(session, text)
        await apply(session, planned)
        after = await Scene.load(session)
    finally:
        await trial.rollback()
    return Prepared(stretch, planned.lines, before, after, [*before_it, *_drawn(stretch, posts)], times, recorded, told)


def _drawn(stretch: Stretch, posts: Sequence[Came]) -> Sequence[Came]:
    """The posts as they came, or as many as were asked for, drawn from them at about the times they came."""
    if stretch.items is None:
        return posts
    random = Random(stretch.seed)  # noqa: S311 - a simulation, which must be repeatable
    last = stretch.until - timedelta(microseconds=1)
    made = []
    for _turn in range(stretch.items):
        post = random.choice(posts)
        at = post.at + timedelta(seconds=random.uniform(-JITTER, JITTER))
        moved = min(max(at, stretch.since), last)
        made.append(replace(post, at=moved, again=None if post.again is None else moved + (post.again - post.at)))
    return sorted(made, key=lambda one: one.at)


def compare(prepared: Prepared, progress: Progress = lambda _share: None) -> dict[str, Any]:
    """Rehearse before and after: plain JSON. Takes seconds for 10,000 items; the same input gives the same numbers."""
    before = _side(prepared, prepared.before, lambda share: progress(share / 2))
    after = _side(prepared, prepared.after, lambda share: progress((1 + share) / 2))
    progress(1.0)
    return {
        "lines": list(prepared.lines),
        "came": len(prepared.came),
        "modelled": _modelled(prepared),
        "before": before,
        "after": after,
    }


def _modelled(prepared: Prepared) -> dict[str, Any]:
    """What of the past the rehearsal repeats, besides the posts themselves."""
    each = prepared.habits.values()
    offers, handled = sum(one.offers for one in each), sum(one.items for one in each)
    refused, parked = sum(len(one.refused) for one in each), sum(len(one.parked) for one in each)
    return {
        "stood": sum(one.enters is not None for one in prepared.came),
        "refused": 100 * refused / offers if offers else 0.0,
        "parked": 100 * parked / handled if handled else 0.0,
        "handled": sum(len(times) for times in prepared.times.values()),
    }


def _side(prepared: Prepared, scene: Scene, progress: Progress) -> dict[str, Any]:
    arrivals, discarded = _triage(prepared, scene, lambda share: progress(share * 0.2))
    workers = _workers(prepared, scene)
    outcome = rehearse(
        [line.station for line in scene.lines.values()],
        workers,
        arrivals,
        accept_seconds=prepared.stretch.accept_seconds,
        progress=lambda let_in: progress(0.2 + 0.8 * let_in / max(1, len(arrivals))),
    )
    found = tally(scene.lines, workers, outcome)
    return {
        "discarded": discarded,
        "queues": {line.row.name: _queue(found.queues[i], line.row.target_share) for i, line in scene.lines.items()},
        "agents": {str(i): _agent(scene, i, one) for i, one in found.agents.items()},
    }


def _triage(prepared: Prepared, scene: Scene, progress: Progress) -> tuple[list[Arrival], int]:
    """What the scene's rules make of the posts. The same draw decides how long an item takes before and after."""
    random = Random(prepared.stretch.seed)  # noqa: S311 - a simulation, which must be repeatable
    nature = Random(prepared.stretch.seed + 1)  # noqa: S311 - the same
    known: dict[tuple[str, str], Decision] = {}
    pooled = sorted(seconds for times in prepared.times.values() for seconds in times)
    arrivals: list[Arrival] = []
    for number, one in enumerate(prepared.came, 1):
        draw = random.random()
        luck = [nature.random() for _ in range(2 * MOST_REFUSED + 2)]
        key = one.channel, one.post.external_id
        if key not in known:
            known[key] = scene.rules.decide(one.post, one.channel, one.feed_id, one.heard)
        decision = known[key]
        if not decision.discard:
            times = prepared.times.get(decision.queue_id or 0) or pooled or [HANDLING]
            arrival = scene.arrival(number, one, decision, times[int(draw * len(times))])
            arrivals.append(_lived(arrival, prepared.habits.get(decision.queue_id or 0), luck))
        if number % TELL_EVERY == 0:
            progress(number / len(prepared.came))
    return arrivals, len(prepared.came) - len(arrivals)


def _lived(arrival: Arrival, habits: Habits | None, luck: Sequence[float]) -> Arrival:
    """As agents would deal with it: refused and put aside as often, and for as long, as items of its queue were."""
    if habits is None:
        return arrival
    refusals: list[float] = []
    for whether, how_long in zip(luck[2::2], luck[3::2], strict=True):
        if whether >= habits.refused_share:
            break
        refusals.append(habits.refused[int(how_long * len(habits.refused))])
    parked = habits.parked[int(luck[1] * len(habits.parked))] if luck[0] < habits.parked_share else 0.0
    return replace(arrival, refusals=tuple(refusals), parked=parked)


def _workers(prepared: Prepared, scene: Scene) -> list[Worker]:
    """Everybody in the scene with their shifts. Who is new there is in whenever anybody was."""
    anybody = tuple(merged(span for spans in prepared.recorded.values() for span in spans))
    workers = []
    for agent_id, person in scene.people.items():
        if prepared.stretch.roster == Roster.OFFICE:
            shifts = tuple(_office(prepared.stretch, person.zone))
        elif agent_id in prepared.before.people:
            shifts = prepared.recorded.get(agent_id, ())
        else:
            shifts = anybody
        workers.append(Worker(person.agent, shifts))
    return workers


def _office(stretch: Stretch, zone_name: str) -> Iterable[Span]:
    zone = read_zone(zone_name)
    day = stretch.since.astimezone(zone).date()
    while day <= stretch.until.astimezone(zone).date():
        start, end = (datetime.combine(day, at, zone) for at in OFFICE)
        span = max(start, stretch.since), min(end, stretch.until)
        if span[0] < span[1]:
            yield span
        day += timedelta(days=1)


def _queue(found: QueueTally, share: int) -> dict[str, Any]:
    unserved = {str(why): count for why, count in found.unserved.items()}
    return asdict(found) | {"unserved": unserved, "service_level": found.service_level, "goal": share}


def _agent(scene: Scene, agent_id: int, found: AgentTally) -> dict[str, Any]:
    got = {scene.lines[queue_id].row.name: count for queue_id, count in found.got.items()}
    return {"name": scene.people[agent_id].name, "occupancy": found.occupancy, "got": got}
