"""Pictures of posts and authors, through us: the browser never talks to a stranger's server.

The address carries a signature made with the sign-in's own token, so it is worth nothing to anybody else; and the
reader's right to see the post is checked again. Only what really is an image comes through, sandboxed.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from secrets import compare_digest
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors.sniff import sniffed
from app.errors import ConnectorError, NotFound
from app.i18n import _
from app.models.agent import Agent
from app.models.sight import visible_queues
from app.queries.context import context_media
from app.queries.pieces import avatar_of, file_of, media_of
from app.transport import guarded_client
from app.web.edge import signed_in
from app.web.templating import JINJA

router = APIRouter()
MOST = 8_000_000  # bytes of one picture
SECONDS = 10.0
SANDBOX = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; sandbox"


def signature(token: str, path: str) -> str:
    """What makes an address good for one sign-in only."""
    return hmac.new(token.encode(), path.encode(), hashlib.sha256).hexdigest()[:32]


def media_url(token: str, post_id: int, index: int) -> str:
    """The address of a post's picture for this sign-in."""
    return f"/media/{signature(token, f'{post_id}/{index}')}/{post_id}/{index}"


def context_media_url(token: str, context_id: int, index: int) -> str:
    """The address of a picture of a post above, for this sign-in."""
    return f"/media/context/{signature(token, f'context/{context_id}/{index}')}/{context_id}/{index}"


def avatar_url(token: str, author_id: int) -> str:
    """The address of an author's picture for this sign-in."""
    return f"/avatar/{signature(token, f'author/{author_id}')}/{author_id}"


def _gone() -> NotFound:
    return NotFound(_("There is no such picture, or the link to it is from an earlier sign-in. Reload the page."))


async def _visitor(request: Request, session: AsyncSession, path: str, given: str) -> Agent:
    agent = await signed_in(request, session)
    if not compare_digest(signature(request.state.visitor.csrf, path), given):
        raise _gone()
    return agent


@router.get("/media/{given}/{post_id}/{index}")
async def media(request: Request, given: str, post_id: int, index: int) -> Response:
    """A picture of a post. The transaction ends before the stranger's server is asked."""
    async with request.app.state.sessions.begin() as session:
        agent = await _visitor(request, session, f"{post_id}/{index}", given)
        found = await media_of(session, post_id, visible_queues(agent), agent.id)
        if not 0 <= index < len(found):
            raise _gone()
        kept = await file_of(session, post_id, index) if "kept" in found[index] else None
    return _kept(*kept) if kept is not None else await _hanging(request, found, index)


@router.get("/media/context/{given}/{context_id}/{index}")
async def context_picture(request: Request, given: str, context_id: int, index: int) -> Response:
    """A picture of a post above those that came to us."""
    async with request.app.state.sessions.begin() as session:
        agent = await _visitor(request, session, f"context/{context_id}/{index}", given)
        found = await context_media(session, context_id, visible_queues(agent), agent.id)
    return await _hanging(request, found, index)


async def _hanging(request: Request, found: Sequence[Mapping[str, Any]], index: int) -> Response:
    if not 0 <= index < len(found):
        raise _gone()
    return await _fetched(request, found[index].get("preview_url") or found[index].get("url") or "")


@router.get("/avatar/{given}/{author_id}")
async def avatar(request: Request, given: str, author_id: int) -> Response:
    """An author's picture."""
    async with request.app.state.sessions.begin() as session:
        agent = await _visitor(request, session, f"author/{author_id}", given)
        url = await avatar_of(session, author_id, visible_queues(agent), agent.id)
    if url is None:
        raise _gone()
    return await _fetched(request, url)


def _kept(name: str, content: bytes) -> Response:
    """What came with the post: an image is shown, anything else is only handed out to be saved."""
    kind = sniffed(content[:16])
    disposition = "inline" if kind else f"attachment; filename*=UTF-8''{quote(name or 'file', safe='')}"
    headers = {
        "Content-Security-Policy": SANDBOX,
        "Content-Disposition": disposition,
        "Cache-Control": "private, max-age=86400, immutable",
    }
    return Response(content, media_type=kind or "application/octet-stream", headers=headers)


async def _fetched(request: Request, url: str) -> Response:
    try:
        async with guarded_client(request.app.state.settings, timeout=SECONDS, max_bytes=MOST) as client:
            answer = await client.get(url, headers={"Accept": "image/*"})
    except (ConnectorError, httpx.HTTPError, httpx.InvalidURL):
        return Response(status_code=HTTPStatus.BAD_GATEWAY, headers={"Cache-Control": "no-store"})
    kind = sniffed(answer.content[:16]) if answer.is_success else None
    if kind is None:
        return Response(status_code=HTTPStatus.UNSUPPORTED_MEDIA_TYPE, headers={"Cache-Control": "no-store"})
    headers = {
        "Content-Security-Policy": SANDBOX,
        "Content-Disposition": "inline",
        "Cache-Control": "private, max-age=86400, immutable",
    }
    return Response(answer.content, media_type=kind, headers=headers)


JINJA.filters.update(host=lambda url: urlsplit(url).hostname or "", instant=datetime.fromisoformat)
JINJA.globals.update(media_url=media_url, context_media_url=context_media_url, avatar_url=avatar_url)
