"""Run the benchmarks: `python -m bench` (all) or `python -m bench ingest claim`. Each ends with one line of JSON."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeAlias

from bench import (
    backlog,
    browser,
    claim,
    desk,
    faults,
    ingest,
    offer,
    rehearsal,
    routing,
    routing_kernel,
    search,
    signals,
    takeover,
)
from bench.harness import Result, server

Measure: TypeAlias = Callable[[str], Coroutine[Any, Any, Result]]
BENCHMARKS: dict[str, Measure] = {
    "backlog": backlog.measure,
    "ingest": ingest.measure,
    "claim": claim.measure,
    "browser": browser.measure,
    "desk": desk.measure,
    "faults": faults.measure,
    "offer": offer.measure,
    "rehearsal": rehearsal.measure,
    "routing": routing.measure,
    "routing_kernel": routing_kernel.measure,
    "search": search.measure,
    "signals": signals.measure,
    "takeover": takeover.measure,
}


def main(words: Sequence[str]) -> int:
    """Run the named benchmarks, or all; 0 when every goal is met, 1 when not, 2 for an unknown name."""
    reader = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    reader.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    reader.add_argument("--minutes", type=float, default=faults.MINUTES, help="how long `faults` has sick feeds")
    asked = reader.parse_args(words)
    names: list[str] = asked.names
    run: dict[str, Measure] = {**BENCHMARKS, "faults": partial(faults.measure, minutes=asked.minutes)}
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"There is no benchmark '{unknown[0]}'. There are: {', '.join(BENCHMARKS)}.", file=sys.stderr)
        return 2
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.default_int_handler)  # either way the database is stopped and removed
    met = True
    for name in names or BENCHMARKS:
        print(f"{name}: filling a database of its own", flush=True)
        with server() as url:
            result = asyncio.run(run[name](url))
        print(result.line(), flush=True)
        met = met and result.met
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
