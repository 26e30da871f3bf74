"""/live: what changed, told to a browser as server-sent events (app/web/hub.py); it then asks for the parts of its page.

A stream holds no session and no connection of the pool; who may see what is read again every few seconds.
"""

import asyncio
import contextlib
import json
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from types import FrameType
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from app.web.edge import signed_in
from app.web.hub import Hub, Stream

router = APIRouter()
HEARTBEAT = 10.0  # seconds; the browser calls the stream stale after 20


@router.get("/live")
async def live(request: Request) -> StreamingResponse:
    """The stream of one browser. A reconnection (`Last-Event-ID`) is told to look at everything once."""
    hub: Hub = request.app.state.hub
    async with request.app.state.sessions.begin() as session:
        agent = await signed_in(request, session)
    stream = Stream(request.state.visitor.sign_in_id, agent.id)
    again = request.headers.get("last-event-id") is not None
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_messages(hub, stream, again), media_type="text/event-stream", headers=headers)


async def _messages(hub: Hub, stream: Stream, again: bool) -> AsyncIterator[str]:
    if hub.stopping:
        return
    with hub.listening(stream):
        hello = json.dumps({"all": again, "pace": hub.pace})
        yield f"retry: 2000\nid: {hub.boot}-{hub.number}\nevent: hello\ndata: {hello}\n\n"
        while not hub.stopping:
            try:
                async with asyncio.timeout(HEARTBEAT):
                    message = await stream.waiting.get()
            except TimeoutError:
                yield f'event: beat\ndata: {{"pace":{hub.pace}}}\n\n'
                continue
            if message is None:
                return
            yield f"id: {hub.boot}-{hub.number}\nevent: change\ndata: {message}\n\n"


@contextlib.contextmanager
def ends_with_the_server(hub: Hub) -> Iterator[None]:
    """End the streams when the process is asked to stop: a server waits for its open answers, and these never end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before: dict[int, Any] = {}

    def chained(number: int, then: Any) -> Callable[[int, FrameType | None], None]:
        def handle(given: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(hub.stop)
            if callable(then):
                then(given, frame)

        before[number] = then
        return handle

    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, chained(stop, signal.getsignal(stop)))
    try:
        yield
    finally:
        for number, then in before.items():
            signal.signal(number, then)
