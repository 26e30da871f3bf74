"""Real worker processes, cheap to start: this one loads everything once and forks a worker whenever it is asked to.

It reads one JSON object a line: {"fork": {...}} answers {"pid": n}; {"wait": pid, "seconds": s} answers {"signal": n},
the signal that ended it (0: it left by itself), or null while it lives. The named points of a crash are made here, by
wrapping the connectors and SQLAlchemy's events: the application knows nothing of them.
"""

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import structlog
from sqlalchemy import event
from sqlalchemy.engine import Engine

from app.connectors import registry
from app.connectors.base import Link, OutgoingReply, Sent
from app.flow import outbox
from app.settings import Settings
from app.workers import send, work
from tests import parcels

LEASE = 2.0  # seconds, and so on: everything that is minutes in the world
CALL_SECONDS = 0.8
LOOK_AFTER = 0.3
SWEEP_EVERY = 0.05


def die() -> None:
    """As kill -9 does it: nothing is finished, nothing is closed."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_soon(random: Random) -> None:
    """Somewhere within the next half millisecond, whatever happens then."""
    delay = random.random() * 0.0005
    threading.Timer(delay, die).start()


def hurry() -> None:
    """Shorten the waits, so that a run takes seconds."""
    outbox.LEASE = timedelta(seconds=LEASE)
    outbox.LOOK_AFTER = timedelta(seconds=LOOK_AFTER)
    vars(send)["CALL_SECONDS"] = CALL_SECONDS  # a fraction of a second, where the constant is a whole number
    work.SWEEP_EVERY = SWEEP_EVERY


def crash_at(point: str, nth: int, random: Random) -> None:
    """Arrange the death of this process at the nth passage of a point."""
    left = [nth]

    def passes() -> bool:
        left[0] -= 1
        return left[0] == 0

    if point == "before_call":
        wrap_send(before=lambda: die() if passes() else None)
    elif point == "before_commit":
        wrap_send(after=lambda: die() if passes() else None)
    elif point == "during_commit":
        wrap_send(after=lambda: event.listen(Engine, "commit", lambda _: die_soon(random)) if passes() else None)
    elif point == "any_commit":
        event.listen(Engine, "commit", lambda _: die_soon(random) if passes() else None)


def wrap_send(before: Callable[[], object] = bool, after: Callable[[], object] = bool) -> None:
    """Put something before and behind every send of the test connectors."""
    original = parcels.Keyed.send

    async def wrapped(self: parcels.Keyed, link: Link, reply: OutgoingReply) -> Sent:
        before()
        sent = await original(self, link, reply)
        after()
        return sent

    parcels.Keyed.send = wrapped  # type: ignore[method-assign]


async def run(settings: Settings) -> None:
    """A worker as `careline work` runs it, until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await work.work(settings, stop)


def child(spec: dict[str, Any]) -> None:
    """What a forked process does."""
    log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if spec.get("hurry", True):
        hurry()
    crash_at(spec.get("point", ""), spec.get("nth", 1), Random(spec.get("seed", 0)))
    asyncio.run(run(Settings(**spec["settings"])))


def ended(pid: int, seconds: float) -> int | None:
    """The signal that ended a child, once it has ended."""
    deadline = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.002)


def serve() -> None:
    """Answer until the one who asks is gone."""
    registry.BUILT_IN.update(parcels.CONNECTORS)
    for line in sys.stdin:
        asked = json.loads(line)
        if "fork" in asked:
            pid = os.fork()
            if pid == 0:
                try:
                    child(asked["fork"])
                except BaseException:  # noqa: BLE001 - a forked process must never go on with its parent's work
                    structlog.get_logger().exception("worker_broke")
                    os._exit(1)
                os._exit(0)
            answer: dict[str, Any] = {"pid": pid}
        else:
            answer = {"signal": ended(asked["wait"], asked["seconds"])}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    Path(sys.argv[1]).touch()
    serve()
