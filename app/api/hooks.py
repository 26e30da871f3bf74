"""POST /hooks/{feed_id}: what channels push to us. Signed by the sender; no cookie, no token, no page.

GET is the handshake of channels that want a proof that the address is ours.

200 taken (or a repeat) · 401 the signature does not fit · 404 no such feed · 413 too large · 422 nothing could be
read · 429 too many at once · 503 the feed is off. Per-entry rejections stand in the answer.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import httpx
import structlog
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from app.connectors import registry
from app.connectors.base import Batch
from app.errors import ConnectorError, Malformed, NotFound, RateLimited, Unauthorized
from app.flow.deliver import Delivered, deliver
from app.flow.link import Wire, wire
from app.models.feed import Feed
from app.telemetry import posts_ingested
from app.transport import guarded_client
from app.vault import Vault

router = APIRouter()
log = structlog.get_logger(__name__)
AT_ONCE = 8  # deliveries that one process works on; the rest is asked to come again
OFF_FOR = 300  # seconds after which a sender may try again at a feed that is off
COMPLETE_AGAIN = 30  # seconds after which a delivery is to come again when the channel does not tell the rest
MOST_TOLD = 100  # rejections in one answer
UNKEPT = {"Cache-Control": "no-store"}


@router.post("/hooks/{feed_id}")
async def receive(request: Request, feed_id: int) -> Response:
    """Verify, read and store one delivery."""
    with _place(request) as free:
        if not free:
            return _problem(HTTPStatus.TOO_MANY_REQUESTS, "Too many deliveries at once. Send this one again soon.", 1)
        body = await request.body()
        feed, line = await _load(request, feed_id)
        if not feed.enabled:
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE, "This feed is switched off.", OFF_FOR)
        try:
            batch = await asyncio.to_thread(line.connector.receive, line.link, request.headers, body)
        except ConnectorError as error:
            log.warning("delivery_refused", feed=feed_id, cause=error.message)
            return _refusal(error)
        try:
            batch = await line.connector.complete(line.link, batch)
        except ConnectorError as error:
            log.warning("delivery_incomplete", feed=feed_id, cause=error.message)
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE, error.message, COMPLETE_AGAIN)
        return await _keep(request, feed, batch)


@router.get("/hooks/{feed_id}")
async def prove(request: Request, feed_id: int) -> Response:
    """Answer a channel that asks whether the address is ours."""
    _feed, line = await _load(request, feed_id)
    try:
        said = line.connector.challenge(line.link, dict(request.query_params))
    except ConnectorError as error:
        log.warning("handshake_refused", feed=feed_id, cause=error.message)
        return _problem(HTTPStatus.FORBIDDEN, error.message)
    if said.startswith("{"):
        return Response(said, media_type="application/json", headers=UNKEPT)
    return PlainTextResponse(said, headers=UNKEPT)


async def _load(request: Request, feed_id: int) -> tuple[Feed, Wire]:
    """The feed and its opened credentials. Raises NotFound: no such feed, or nothing is pushed to it."""
    state = request.app.state
    async with state.sessions.begin() as session:
        feed = await session.get(Feed, feed_id)
        can = registry.get(feed.channel).capabilities if feed else None
        if feed is None or can is None or not (can.push or can.hooks):
            raise NotFound("No feed takes deliveries at this address. Its page in Careline shows the right one.")
        return feed, await wire(session, feed, Vault.load(state.settings), _client(request), state.sessions)


async def _keep(request: Request, feed: Feed, batch: Batch) -> Response:
    async with request.app.state.sessions.begin() as session:
        done = await deliver(session, feed, batch)
    posts_ingested.labels(channel=feed.channel).inc(done.new)
    nothing = not done.taken and not done.repeated and done.rejected
    return JSONResponse(_told(done), HTTPStatus.UNPROCESSABLE_ENTITY if nothing else HTTPStatus.OK)


def _told(done: Delivered) -> dict[str, Any]:
    return {
        "accepted": done.taken,
        "new": done.new,
        "repeated": done.repeated,
        "rejected": [{"id": one.external_id, "reason": one.reason} for one in done.rejected[:MOST_TOLD]],
    }


def _refusal(error: ConnectorError) -> Response:
    if isinstance(error, Unauthorized):
        return _problem(HTTPStatus.UNAUTHORIZED, error.message)
    if isinstance(error, RateLimited):
        return _problem(HTTPStatus.TOO_MANY_REQUESTS, error.message, max(1, int(error.retry_after.total_seconds())))
    status = HTTPStatus.UNPROCESSABLE_ENTITY if isinstance(error, Malformed) else HTTPStatus.BAD_REQUEST
    return _problem(status, error.message)


def _problem(status: HTTPStatus, message: str, retry_after: int | None = None) -> Response:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return JSONResponse({"error": {"status": status, "message": message}}, status, headers)


@contextmanager
def _place(request: Request) -> Iterator[bool]:
    """One of the places for deliveries under way in this process; False when all are taken."""
    state = request.app.state
    taken = getattr(state, "deliveries", 0)
    if taken >= AT_ONCE:
        yield False
        return
    state.deliveries = taken + 1
    try:
        yield True
    finally:
        state.deliveries -= 1


def _client(request: Request) -> httpx.AsyncClient:
    """The guarded client that a connector's link carries; receiving does not use it, so it opens no connection."""
    state = request.app.state
    if not hasattr(state, "hook_client"):
        state.hook_client = guarded_client(state.settings)
    client: httpx.AsyncClient = state.hook_client
    return client
