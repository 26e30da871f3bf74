"""POST /hooks/{key}: what channels push to us. Signed by the sender; no cookie, no token, no page.

The key is unguessable and stands for one feed, or for an app: its deliveries are given to every feed of its accounts,
and each takes what concerns it. GET is the handshake of channels that want a proof that the address is ours.

200 taken (or a repeat) · 401 the signature does not fit · 404 no such feed · 413 too large · 422 nothing could be
read · 429 too many at once · 503 the feed is off. Per-entry rejections stand in the answer.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import httpx
import structlog
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import registry
from app.connectors.base import Batch, Connector, Link
from app.errors import ConnectorError, Malformed, NotFound, RateLimited, Refused, SealError, Unauthorized
from app.flow.deliver import Delivered, deliver
from app.flow.hook import accounts_at, feeds_at
from app.flow.link import HOOKS, Wire, account_link, wire
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


@router.post(HOOKS + "/{key}")
async def receive(request: Request, key: str) -> Response:
    """Verify, read and store one delivery, for every feed that it concerns."""
    with _place(request) as free:
        if not free:
            return _problem(HTTPStatus.TOO_MANY_REQUESTS, "Too many deliveries at once. Send this one again soon.", 1)
        body = await request.body()
        lines = await _load(request, key)
        if not lines:
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE, "This feed is switched off.", OFF_FOR)
        return await _taken(request, lines, body)


async def _taken(request: Request, lines: Sequence[tuple[Feed, Wire]], body: bytes) -> Response:
    """What each feed reads of the delivery, stored. One that needs more than its channel tells now asks for it again."""
    batches: list[tuple[Feed, Batch]] = []
    refused: ConnectorError | None = None
    incomplete: ConnectorError | None = None
    for feed, line in lines:
        try:
            batch = await asyncio.to_thread(line.connector.receive, line.link, request.headers, body)
        except ConnectorError as error:
            log.warning("delivery_refused", feed=feed.id, cause=error.message)
            refused = refused or error
            continue
        try:
            batches.append((feed, await line.connector.complete(line.link, batch)))
        except ConnectorError as error:
            log.warning("delivery_incomplete", feed=feed.id, cause=error.message)
            incomplete = incomplete or error
    if refused is not None and not batches and incomplete is None:
        dropped = isinstance(refused, Unauthorized) and lines[0][1].connector.drops_forged
        return JSONResponse(_told(Delivered())) if dropped else _refusal(refused)
    answer = await _keep(request, batches)
    return _problem(HTTPStatus.SERVICE_UNAVAILABLE, incomplete.message, COMPLETE_AGAIN) if incomplete else answer


@router.get(HOOKS + "/{key}")
async def prove(request: Request, key: str) -> Response:
    """Answer a channel that asks whether the address is ours: the first feed, or account, there that can does."""
    refused: ConnectorError | None = None
    query = dict(request.query_params)
    for connector, link in await _provers(request, key):
        try:
            said = connector.challenge(link, query)
            await connector.proved(link, query)
            return _answer(said)
        except ConnectorError as error:
            log.warning("handshake_refused", channel=connector.name, cause=error.message)
            refused = refused or error
    status = HTTPStatus.NOT_FOUND if isinstance(refused, Refused) else HTTPStatus.FORBIDDEN
    return _problem(status, refused.message if refused else "This feed is switched off.")


async def _provers(request: Request, key: str) -> list[tuple[Connector, Link]]:
    """Who may answer for an address. An app's is proved before it has feeds."""
    state = request.app.state
    async with state.sessions.begin() as session:
        accounts, vault, http = await accounts_at(session, key), Vault.load(state.settings), _client(request)
        links = [
            (registry.get(account.channel), await account_link(session, account, vault, http, state.sessions))
            for account in accounts
            if account.sealed is not None
        ]
    return links or [(line.connector, line.link) for _feed, line in await _load(request, key)]


def _answer(said: str) -> Response:
    kind = "application/json" if said.startswith("{") else "text/plain"
    return Response(said, media_type=kind, headers={"Cache-Control": "no-store"})


async def _load(request: Request, key: str) -> list[tuple[Feed, Wire]]:
    """The feeds behind an address that are on, with their opened credentials.

    Raises:
        NotFound: nothing is delivered there.
        ConnectorError, SealError: not one of them has credentials that can be used.
    """
    state = request.app.state
    lines: list[tuple[Feed, Wire]] = []
    trouble: ConnectorError | SealError | None = None
    async with state.sessions.begin() as session:
        feeds = await feeds_at(session, key)
        if not feeds:
            raise NotFound("No feed takes deliveries at this address. Its page in Careline shows the right one.")
        for feed in feeds:
            try:
                lines += [(feed, await _wired(request, session, feed))] if feed.enabled else []
            except (ConnectorError, SealError) as error:
                log.warning("delivery_not_read", feed=feed.id, cause=error.message)
                trouble = trouble or error
    if trouble is not None and not lines:
        raise trouble
    return lines


async def _wired(request: Request, session: AsyncSession, feed: Feed) -> Wire:
    state = request.app.state
    vault, base = Vault.load(state.settings), state.settings.base_url
    return await wire(session, feed, vault, _client(request), state.sessions, base=base)


async def _keep(request: Request, batches: Sequence[tuple[Feed, Batch]]) -> Response:
    """Each feed in a transaction of its own: when one fails the sender repeats, and the others know what they have."""
    done: list[Delivered] = []
    for feed, batch in batches:
        async with request.app.state.sessions.begin() as session:
            done.append(await deliver(session, feed, batch))
        posts_ingested.labels(channel=feed.channel).inc(done[-1].new)
    whole = Delivered(
        taken=sum(one.taken for one in done),
        new=sum(one.new for one in done),
        rejected=tuple(entry for one in done for entry in one.rejected),
        repeated=all(one.repeated for one in done),
    )
    # Whoever only pushes may correct it; a network would send the same again, and one day stop sending.
    corrects = any(registry.get(feed.channel).capabilities.push for feed, _batch in batches)
    nothing = corrects and not whole.taken and not whole.repeated and whole.rejected
    return JSONResponse(_told(whole), HTTPStatus.UNPROCESSABLE_ENTITY if nothing else HTTPStatus.OK)


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
