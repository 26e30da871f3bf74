"""'Test connection' of a feed: what the server does otherwise than Mastodon, and its newest post."""

from typing import Any

from pydantic import ValidationError

from app.connectors.base import Check, IncomingAuthor, IncomingPost, Link
from app.connectors.mastodon_api import Server
from app.connectors.mastodon_instance import described, dropped, notices
from app.connectors.mastodon_posts import read_post
from app.connectors.mastodon_stream import unstreamed
from app.connectors.mastodon_threads import Threads
from app.connectors.mastodon_walk import NOWHERE, read_source, status_of
from app.i18n import N_


async def checked(link: Link, server: Server, me: IncomingAuthor) -> Check:
    """Who we are there, one real post, and what is missing. Raises ConnectorError."""
    settings = link.settings
    instance = await described(server)
    sample = await _sample(server, settings, me)
    found = [*notices(instance), await unstreamed(link, server, instance)]
    if settings.source.value == "mentions":
        found.append(await dropped(server))
    if settings.source.value == "search" and sample is None:
        found.append(N_("The search found nothing; a server without full-text search never finds anything."))
    return Check(
        message=N_("Signed in to %(host)s as @%(handle)s.") % {"host": server.host, "handle": me.handle},
        account=me,
        sample=sample,
        notices=tuple(notice for notice in found if notice),
    )


async def _sample(server: Server, settings: Any, me: IncomingAuthor) -> IncomingPost | None:
    page, _ = await read_source(server, settings, None, {})
    threads = Threads(server)
    for entry in page.entries:
        raw = status_of(entry)
        try:
            read_post(raw, NOWHERE, me, server.host)
            return read_post(raw, await threads.place(raw), me, server.host)
        except ValidationError:
            continue
    return None
