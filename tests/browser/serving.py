"""An app behind a real socket on a free loopback port, in the test's own event loop."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from app.run import Server


@asynccontextmanager
async def served(app: Any, listening: socket.socket | None = None, **config: Any) -> AsyncIterator[str]:
    """Serve an ASGI app until the block ends; its address."""
    listening = listening or socket.create_server(("127.0.0.1", 0))
    options = {"log_config": None, "access_log": False, "ws": "none", "timeout_graceful_shutdown": 5, **config}
    server = Server(uvicorn.Config(app, **options))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
