"""How many agents a load needs: Erlang C, where everybody waits, and Erlang A, where some give up.

Both take Poisson arrivals, exponential handling and identical agents who each handle one item at a time; who carries
several at once counts as several. Erlang C: Gross, Harris, *Fundamentals of Queueing Theory*, M/M/c. Erlang A: Garnett,
Mandelbaum, Reiman, *Designing a Call Center with Impatient Customers* (2002), with the waiting time as Zeltyn and
Mandelbaum write it for M/M/n+G (2005). Everything starts from the recursion of Erlang B, whose terms stay between 0 and
1, so that no load is too large for it. Times are in seconds, loads in erlangs, shares from 0 to 1.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

HOUR = 3600
MOST_SHARE = 0.999  # no number of agents reaches 1; who asks for all gets this
FAR = 45.0  # e-folds below its peak at which an integrand is nothing
PANELS = 600  # of Simpson's rule, an even number: a tenth of an e-fold each, or so


def erlang_b(agents: int, load: float) -> float:
    """The share of arrivals that find every agent busy when nobody may wait: B(n) = a B(n-1) / (n + a B(n-1))."""
    blocked = 1.0
    for n in range(1, agents + 1):
        blocked = load * blocked / (n + load * blocked)
    return blocked


def erlang_c(agents: int, load: float) -> float:
    """The share of arrivals that have to wait; 1 when there are no more agents than load, as the line then only grows."""
    return 1.0 if agents <= load else _waiting(agents, load, erlang_b(agents, load))


def _waiting(agents: int, load: float, blocked: float) -> float:
    return agents * blocked / (agents - load * (1 - blocked))


@dataclass(frozen=True, slots=True)
class Load:
    """What arrives and how long it takes. `patience` is the mean time after which people give up; None: they never do."""

    arrivals_per_hour: float
    aht_seconds: float
    patience: float | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for what is no load."""
        if self.arrivals_per_hour < 0 or self.aht_seconds <= 0 or (self.patience is not None and self.patience <= 0):
            raise ValueError("Arrivals cannot be negative; handling and patience take some time.")

    @property
    def erlangs(self) -> float:
        """Arrivals during one handling: how many agents would be busy if there were enough."""
        return self.arrivals_per_hour * self.aht_seconds / HOUR


@dataclass(frozen=True, slots=True)
class Outlook:
    """What so many agents make of a load."""

    service_level: float  # share answered within the target, of all that arrive
    asa: float  # mean wait in seconds, of all that arrive; infinite when the line only grows
    occupancy: float  # share of the agents' time that is handling
    abandoned: float = 0.0  # share that gives up


def outlook(load: Load, agents: int, target_seconds: float) -> Outlook:
    """What `agents` make of the load, for a target in seconds."""
    if load.erlangs == 0:
        return Outlook(1.0, 0.0, 0.0)
    if agents == 0:
        return Outlook(0.0, math.inf, 1.0) if load.patience is None else Outlook(0.0, load.patience, 1.0, 1.0)
    if load.patience is not None:
        return _erlang_a(load, load.patience, agents, target_seconds)
    return Outlook(service_level(load, agents, target_seconds), asa(load, agents), occupancy(load, agents))


def service_level(load: Load, agents: int, target_seconds: float) -> float:
    """Share answered within the target. Erlang C: 1 - C exp(-(n - a) T / AHT); with patience, Erlang A."""
    if load.patience is not None or load.erlangs == 0 or agents == 0:
        return outlook(load, agents, target_seconds).service_level
    return _level(load, agents, target_seconds, erlang_b(agents, load.erlangs))


def _level(load: Load, agents: int, target_seconds: float, blocked: float) -> float:
    spare = agents - load.erlangs
    if spare <= 0:
        return 0.0
    return 1 - _waiting(agents, load.erlangs, blocked) * math.exp(-spare * target_seconds / load.aht_seconds)


def asa(load: Load, agents: int) -> float:
    """Mean wait in seconds, of all that arrive. Erlang C: C AHT / (n - a); with patience, Erlang A."""
    if load.patience is not None or load.erlangs == 0 or agents == 0:
        return outlook(load, agents, 0).asa
    spare = agents - load.erlangs
    return math.inf if spare <= 0 else erlang_c(agents, load.erlangs) * load.aht_seconds / spare


def occupancy(load: Load, agents: int) -> float:
    """Share of the agents' time that is handling: a / n, of what is not abandoned."""
    if load.patience is not None or load.erlangs == 0 or agents == 0:
        return outlook(load, agents, 0).occupancy
    return min(1.0, load.erlangs / agents)


def agents_needed(load: Load, target_seconds: float, share: float) -> int:
    """The fewest agents who answer `share` of all arrivals within the target."""
    share = min(share, MOST_SHARE)
    if load.erlangs == 0:
        return 0
    enough = _needed_by_erlang_c(load, target_seconds, share)
    if load.patience is None:
        return enough
    least = 0  # those who give up leave room, but were not answered either: it can be fewer than without, or more
    while service_level(load, enough, target_seconds) < share:
        least, enough = enough + 1, 2 * enough
    while least < enough:
        middle = (least + enough) // 2
        if service_level(load, middle, target_seconds) >= share:
            enough = middle
        else:
            least = middle + 1
    return enough


def _needed_by_erlang_c(load: Load, target_seconds: float, share: float) -> int:
    agents, blocked = 0, 1.0
    while agents == 0 or _level(load, agents, target_seconds, blocked) < share:
        agents += 1
        blocked = load.erlangs * blocked / (agents + load.erlangs * blocked)
    return agents


def _erlang_a(load: Load, patience: float, agents: int, target: float) -> Outlook:
    """By the density of the wait that an endlessly patient person would have: see Zeltyn and Mandelbaum, section 9.

    Its exponent is `grown`; E, J and the integral up to the target are scaled by its peak, so that nothing overflows.
    """
    arrive, serve, leave = load.arrivals_per_hour / HOUR, agents / load.aht_seconds, 1 / patience
    peak_at = max(0.0, math.log(arrive / serve) / leave)

    def grown(x: float) -> float:
        return arrive * -math.expm1(-leave * x) / leave - serve * x

    peak = grown(peak_at)
    start, end = _reach(grown, peak_at, peak)
    blocked = erlang_b(agents - 1, load.erlangs)
    below = math.exp(-peak)  # E, and above is lambda J: both times blocked, which may be too small to divide by
    above = arrive * blocked * _simpson(lambda x: math.exp(grown(x) - peak), start, end)
    within = min(max(target, start), end)
    in_time = arrive * blocked * _simpson(lambda x: math.exp(grown(x) - peak - leave * x), start, within)
    # (1 + (lambda - n mu) J) / (E + lambda J); the 1 stands for exp(0)
    abandoned = min(1.0, max(0.0, (below * blocked + above - serve * above / arrive) / (below + above)))
    return Outlook(
        service_level=min(1.0, (below + in_time) / (below + above)),
        asa=abandoned * patience,
        occupancy=min(1.0, load.erlangs * (1 - abandoned) / agents),
        abandoned=abandoned,
    )


def _reach(grown: Callable[[float], float], peak_at: float, peak: float) -> tuple[float, float]:
    """Where the exponent, which rises to its peak and falls ever after, is less than FAR below it."""
    width = 1.0
    while grown(peak_at + width) > peak - FAR:
        width *= 2
    end = _edge(grown, peak_at + width, peak_at, peak - FAR)
    return (0.0 if grown(0.0) > peak - FAR else _edge(grown, 0.0, peak_at, peak - FAR)), end


def _edge(grown: Callable[[float], float], outside: float, inside: float, least: float) -> float:
    for _ in range(40):
        middle = (outside + inside) / 2
        if grown(middle) < least:
            outside = middle
        else:
            inside = middle
    return outside


def _simpson(f: Callable[[float], float], start: float, end: float) -> float:
    step = (end - start) / PANELS
    middle = sum((4 if k % 2 else 2) * f(start + k * step) for k in range(1, PANELS))
    return (f(start) + middle + f(end)) * step / 3
