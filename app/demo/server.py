"""Run the simulated network beside Careline, in the same process, on a loopback port that stays the same."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import uvicorn

from app.demo.ledger import Ledger
from app.demo.network import Network
from app.demo.world import Pace

HOST = "127.0.0.1"
_TICK = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Running:
    """Where the network answers, and the token of our account there."""

    url: str
    token: str


class _Server(uvicorn.Server):
    """Without signal handlers: they belong to Careline, which stops us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@contextlib.asynccontextmanager
async def running(folder: Path, pace: Pace | None = None) -> AsyncIterator[Running]:
    """The network, alive until the block ends. It remembers everything in `folder`. Raises OSError when it cannot."""
    ledger = Ledger(folder / "ledger.jsonl")
    network = Network(ledger, lambda: datetime.now(UTC), pace)
    listening = _listen(folder / "port")
    config = uvicorn.Config(network.app, lifespan="off", access_log=False, log_level="warning", ws="none")
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    living = asyncio.create_task(_live(network))
    try:
        yield Running(f"http://{HOST}:{listening.getsockname()[1]}", ledger.identity.token)
    finally:
        living.cancel()
        server.should_exit = True
        try:
            await serving
            with contextlib.suppress(asyncio.CancelledError):
                await living  # raises what stopped the customers, if anything did
        finally:
            listening.close()
            ledger.close()


async def _live(network: Network) -> None:
    while True:
        network.tick()
        await asyncio.sleep(_TICK)


def _listen(kept: Path) -> socket.socket:
    """A socket on the port of the last time when that is free, else on any free one, which is kept."""
    last = kept.read_text().strip() if kept.exists() else ""
    try:
        listening = _bind(int(last)) if last.isdigit() else _bind(0)
    except (OSError, OverflowError):
        listening = _bind(0)
    kept.write_text(str(listening.getsockname()[1]))
    return listening


def _bind(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except (OSError, OverflowError):
        listening.close()
        raise
    return listening
