"""A real router process: `python -m tests.crash.router URL`. It says on its output when it leads; SIGTERM ends it."""

import asyncio
import signal
import sys

from app.db import create_engine
from app.settings import Settings
from app.workers import router


async def run(url: str) -> None:
    """Route as `careline route` does."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await router.route(Settings(DATABASE_URL=url), stop)


async def hold(url: str) -> None:
    """Lead, stop in the middle of a round, and go on with it when asked: what a frozen process does."""
    engine = create_engine(url, 2)
    one = router.Router(engine)
    sys.stdout.write(f"told {await one.tick()}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    one.renewed = float("inf")  # it believes that its lease is young, as one whose clock stood still does
    sys.stdout.write(f"told {await one.tick()} {one.epoch}\n")
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run((hold if "--hold" in sys.argv else run)(sys.argv[1]))
