"""What a rehearsal comes to: service level and waits of each queue, occupancy of each agent, who got what."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app.routing.rehearsal import Fate, Outcome, Span, Unserved, Worker, merged

MEDIAN, P90 = 0.5, 0.9


@dataclass(frozen=True, slots=True)
class QueueTally:
    """The items that triage sent to one queue, wherever they were served. Times are in seconds."""

    arrived: int
    served: int
    in_time: int  # answered by the time they were due
    overdue: int  # not served, and their time ran out before the rehearsal ended
    overflowed: int  # went on to another queue
    refused: int = 0  # offers of them that were declined or not answered
    unserved: Mapping[Unserved, int] = field(default_factory=dict)
    median: float | None = None  # from becoming ready until an agent took it, of those served
    p90: float | None = None
    longest: float | None = None

    @property
    def service_level(self) -> float | None:
        """Answered in time / (answered + overdue without an answer), as on the board, in per cent; None for none."""
        asked = self.served + self.overdue
        return 100 * self.in_time / asked if asked else None


@dataclass(frozen=True, slots=True)
class AgentTally:
    """One agent. `carried` is the weight of what was in their hands times how long, inside their shifts."""

    carried: float
    possible: float  # their capacity times how long they were in
    got: Mapping[int, int] = field(default_factory=dict)  # queue -> items that they were given

    @property
    def occupancy(self) -> float | None:
        """Weight carried x time / (capacity x time in), in per cent; None for who was never in."""
        return 100 * self.carried / self.possible if self.possible else None


@dataclass(frozen=True, slots=True)
class Tally:
    """All queues and agents, by id."""

    queues: Mapping[int, QueueTally]
    agents: Mapping[int, AgentTally]


def tally(queue_ids: Iterable[int], workers: Iterable[Worker], outcome: Outcome) -> Tally:
    """Add an outcome up."""
    of_queue: defaultdict[int, list[Fate]] = defaultdict(list)
    of_agent: defaultdict[int, list[Fate]] = defaultdict(list)
    for fate in outcome.fates:
        of_queue[fate.item.queue_id].append(fate)
        if fate.agent_id is not None:
            of_agent[fate.agent_id].append(fate)
    return Tally(
        {queue_id: _queue(of_queue[queue_id], outcome.ended_at) for queue_id in queue_ids},
        {worker.agent.id: _agent(worker, of_agent[worker.agent.id]) for worker in workers},
    )


def _queue(fates: Sequence[Fate], ended_at: datetime | None) -> QueueTally:
    waits = sorted((one.taken_at - one.item.ready_at).total_seconds() for one in fates if one.taken_at is not None)
    return QueueTally(
        arrived=len(fates),
        served=len(waits),
        in_time=sum(one.answered_at is not None and one.answered_at <= one.due_at for one in fates),
        overdue=sum(one.why is not None and ended_at is not None and one.due_at < ended_at for one in fates),
        overflowed=sum(one.overflowed for one in fates),
        refused=sum(one.refused for one in fates),
        unserved=dict(sorted(Counter(one.why for one in fates if one.why is not None).items())),
        median=percentile(waits, MEDIAN),
        p90=percentile(waits, P90),
        longest=waits[-1] if waits else None,
    )


def _agent(worker: Worker, fates: Sequence[Fate]) -> AgentTally:
    shifts = merged(worker.shifts)
    carried = 0.0
    for one in fates:
        if one.offered_at is not None and one.done_at is not None:
            carried += one.item.weight * _shared((one.offered_at, one.done_at), shifts)
            carried -= one.item.weight * _shared(one.parked, shifts) if one.parked else 0.0
    present = sum((end - start).total_seconds() for start, end in shifts)
    got = dict(sorted(Counter(one.item.queue_id for one in fates).items()))
    return AgentTally(carried, worker.agent.capacity * present, got)


def _shared(span: Span, shifts: Iterable[Span]) -> float:
    return sum(max(0.0, (min(span[1], end) - max(span[0], start)).total_seconds()) for start, end in shifts)


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile of sorted values: one of them; None when there are none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None
