"""A reply quotes the post that it links to, as Mastodon does since 4.5 (version 7 of its API).

Rules: docs.joinmastodon.org/client/quotes, /methods/statuses/#create, /methods/search, /entities/QuoteApproval.

A server that can quote says of each status whether we may (`quote_approval`), so it is not asked for its version.
A quote goes without pictures there, and one in a direct message would show it to who is quoted.
"""

from contextlib import suppress
from typing import Any

import regex

from app.connectors.base import Json
from app.connectors.mastodon_api import Server
from app.errors import ConnectorError, Refused

_STATUSES = "/api/v1/statuses"
_SEEN_BY_ALL = {"public", "unlisted"}  # quoting a narrower one would make the reply narrower, too
_POST_LINK = regex.compile(
    r"https?://[^\s/]+/"
    r"(?:@[^\s/]+/(?:statuses/)?|users/[^\s/]+/statuses/|p/[^\s/]+/|notice/|notes/|objects/)"
    r"[A-Za-z0-9_-]++(?!/)"
)


async def posted(server: Server, body: Json, key: str) -> Json:
    """Post this status, quoting what it links to where that may be. Raises ConnectorError, MaybeSent among them.

    A quote that is refused after all stays a link. Whatever another try finds changed about the quoted post, the
    same key gives the status that stands already.
    """
    quoted = await _linked(server, body)
    if quoted is not None:
        with suppress(Refused):
            return await server.post(_STATUSES, {**body, "quoted_status_id": quoted}, key)
    return await server.post(_STATUSES, body, key)


async def _linked(server: Server, body: Json) -> str | None:
    """The server's id of the status that the text links to first; None where it cannot or may not be quoted."""
    link = _POST_LINK.search(body["status"])
    if link is None or body["visibility"] == "direct" or "media_ids" in body:
        return None
    try:
        found = await server.get_object("/api/v2/search", q=link[0], type="statuses", resolve="true", limit=1)
    except ConnectorError:
        return None  # the link says it as well, and whatever is wrong with the server shows when the reply goes
    statuses = found.get("statuses")
    first = statuses[0] if isinstance(statuses, list) and statuses else {}
    return str(first["id"]) if _quotable(first) else None


def _quotable(status: Any) -> bool:
    """Whether we may quote this at once: until an author who must agree first did so, readers would see an empty frame."""
    if not isinstance(status, dict) or "id" not in status or status.get("visibility") not in _SEEN_BY_ALL:
        return False
    approval = status.get("quote_approval")
    return isinstance(approval, dict) and approval.get("current_user") == "automatic"
