"""Every request under an id that its logs carry, and measured by the route that it took."""

import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import telemetry

ENDLESS = "/live"  # a stream's length says nothing about our speed


class Measured:
    """Binds the request's id, answers it as `X-Request-ID`, and observes how long the answer took to begin."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the app."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        with telemetry.request(Headers(scope=scope).get("x-request-id"), method=scope["method"]) as request_id:

            async def observed(message: Message) -> None:
                if message["type"] == "http.response.start":
                    message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode("latin-1"))]
                    if scope["path"] != ENDLESS:
                        _observe(scope, message["status"], time.perf_counter() - began)
                await send(message)

            await self.app(scope, receive, observed)


def _observe(scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", "none")  # never the path itself: labels must stay few
    labels = {"route": route, "method": scope["method"], "status": telemetry.status_class(status)}
    telemetry.http_seconds.labels(**labels).observe(seconds)
