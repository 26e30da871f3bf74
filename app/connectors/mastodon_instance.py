"""What a server says of itself: docs.joinmastodon.org/methods/instance (v2; v1 on servers that lack it)."""

from typing import Any

import httpx

from app.connectors.base import Json
from app.connectors.mastodon_api import Server
from app.errors import ConnectorError, Refused
from app.i18n import N_

USUAL_LIMIT = 500  # characters of a status


async def described(server: Server) -> Json:
    """The instance as it describes itself; empty where it does not."""
    for path in ("/api/v2/instance", "/api/v1/instance"):
        try:
            return await server.get_object(path)
        except Refused:
            continue
    return {}


def streaming_base(instance: Json, base: str) -> str:
    """Where the streaming API is: another host of the server's, where it names one."""
    told = _deep(instance, "configuration", "urls", "streaming") or _deep(instance, "urls", "streaming_api")
    try:
        url = httpx.URL(told if isinstance(told, str) else base)
    except httpx.InvalidURL:
        return base
    scheme = {"wss": "https", "ws": "http"}.get(url.scheme, url.scheme)
    safe = scheme == "https" or base.startswith("http:")  # what the server names never gets our token in the clear
    return str(url.copy_with(scheme=scheme, raw_path=b"/")).rstrip("/") if url.host and safe else base


async def dropped(server: Server) -> str:
    """What to know of the account's policy for notifications (since Mastodon 4.3); empty where all of them come."""
    try:
        policy = await server.get_object("/api/v2/notifications/policy")
    except ConnectorError:
        return ""  # other makes have none, and a narrow token may not ask: mentions come all the same
    said = {word for name, word in policy.items() if name.startswith("for_")}
    if "drop" in said:
        return N_(
            "The account drops some notifications, so they never come here. On the server, under notifications, accept "
            "people you do not follow and private mentions."
        )
    if "filter" in said:
        return N_("The account holds some notifications back: those come by polls, never by the stream.")
    return ""


def notices(instance: Json) -> list[str]:
    """What this server does otherwise than Mastodon, as far as it says so."""
    if not instance:
        return [
            N_("The server does not describe itself, so its limits are unknown; replies are kept to 500 characters.")
        ]
    found = []
    version = str(instance.get("version", ""))
    if "compatible" in version.lower():
        found.append(
            N_("This is not Mastodon itself (%(version)s); a reply sent twice is found by looking.")
            % {"version": version[:100]}
        )
    limit = _deep(instance, "configuration", "statuses", "max_characters") or instance.get("max_toot_chars")
    if isinstance(limit, int) and limit != USUAL_LIMIT:
        found.append(
            N_("The server takes %(limit)s characters; replies are kept to %(usual)s everywhere.")
            % {"limit": limit, "usual": USUAL_LIMIT}
        )
    link_length = _deep(instance, "configuration", "statuses", "characters_reserved_per_url")
    if isinstance(link_length, int) and link_length != 23:  # noqa: PLR2004 - what Mastodon counts for a link
        found.append(N_("The server counts %(n)s characters for a link, not 23 as shown here.") % {"n": link_length})
    return found


def _deep(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
