"""Posts as they are written: what the streaming API of a server tells of them.

Rules: docs.joinmastodon.org/methods/streaming (events and their payloads). What reaches which stream: Mastodon's
RemoveStatusService and FanOutOnWriteService. Mentions are read from the whole `user` stream: `user/notification` tells of
no edit and no deletion; what it tells of the home timeline is passed over. The cursor stays as it is, so the next poll
looks whether something was missed.
"""

import json
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from pydantic import ValidationError

from app.connectors.base import Batch, IncomingAuthor, Json, KnownPost, Link, PostChange
from app.connectors.mastodon_api import Server
from app.connectors.mastodon_events import Events, streaming
from app.connectors.mastodon_instance import described
from app.connectors.mastodon_posts import read_change, rejected
from app.connectors.mastodon_threads import Threads
from app.connectors.mastodon_walk import brought, read_source, status_of, unasked
from app.connectors.text import storable_json
from app.errors import ConnectorError, Malformed
from app.i18n import N_

_REMEMBERED = 5_000  # statuses whose deletion can be told; the others' is found by looking
_STREAMED = {"mentions": "user", "hashtag": "hashtag"}  # an account's posts and a search have no stream
_POSTS = {"notification", "update", "status.update"}


async def listen(link: Link, server: Server, me: IncomingAuthor, cursor: Json) -> AsyncGenerator[Batch, None]:
    """What the feed's stream tells, a batch an event, until the server ends it; nothing where there is none.

    Raises ConnectorError.
    """
    if link.settings.source.value not in _STREAMED:
        return
    async with _opened(link, server, await described(server)) as events:
        if events is None:
            return
        told = _Told(link, server, me, cursor)
        await told.learn()
        yield Batch(cursor=cursor)
        async for event, data in events:
            batch = await told.batch(event, data)
            if batch is not None:
                yield batch


async def unstreamed(link: Link, server: Server, instance: Json) -> str:
    """Why a feed that could have a stream has none; empty where it has one."""
    if link.settings.source.value not in _STREAMED:
        return ""
    try:
        async with _opened(link, server, instance) as events:
            missing = N_("%(host)s has no stream that Careline can read: posts come by polls.")
            return missing % {"host": server.host} if events is None else ""
    except ConnectorError as error:
        return error.message


def _opened(link: Link, server: Server, instance: Json) -> AbstractAsyncContextManager[Events | None]:
    name = _STREAMED[link.settings.source.value]
    params = {"tag": link.settings.value.strip("# ")} if name == "hashtag" else {}
    return streaming(link, server, name, params, instance)


class _Told:
    """One stream's events as batches."""

    def __init__(self, link: Link, server: Server, me: IncomingAuthor, cursor: Json) -> None:
        self.link, self.server, self.me, self.cursor = link, server, me, cursor
        self.settings = link.settings
        self.mentions = link.settings.source.value == "mentions"
        self._names: dict[str, str] = {}  # a status's id on this server -> its URI, for a deletion tells only the id
        self._opened = monotonic()

    async def learn(self) -> None:
        """Learn the newest statuses' names."""
        page, _ = await read_source(self.server, self.settings, None, {})
        for entry in reversed(page.entries):
            self._remember(status_of(entry))

    async def batch(self, event: str, data: str) -> Batch | None:
        """What an event brings; None for what is no news to this feed. Raises ConnectorError."""
        if event == "delete":
            return self._deleted(data.strip())
        if event not in _POSTS or (event == "update" and self.mentions):
            return None
        entry = _parsed(data, self.server.host)
        if event == "notification" and (not self.mentions or unasked(entry)):
            return None
        try:
            return await (self._edited(entry) if event == "status.update" else self._written(entry))
        except ValidationError as error:
            return Batch(cursor=self.cursor, rejected=(rejected(entry, error),), budget=self.server.budget)

    def _deleted(self, name: str) -> Batch | None:
        uri = self._names.pop(name, None)
        if uri is None:
            return None
        return Batch(cursor=self.cursor, changes=(PostChange(uri, self._now, deleted=True),))

    async def _written(self, entry: Any) -> Batch | None:
        post = await brought(entry, Threads(self.server), self.settings, self.me, self.server.host)
        if post is None:
            return None
        self._remember(status_of(entry))
        return Batch((post,), cursor=self.cursor, budget=self.server.budget)

    async def _edited(self, entry: Any) -> Batch | None:
        """A hashtag may have come with the edit, so there the post is brought as well."""
        raw = entry if isinstance(entry, dict) else {}
        if self.mentions and not (raw.get("id") in self._names or self._names_us(raw)):
            return None
        written = None if self.mentions else await self._written(entry)
        change = read_change(raw, KnownPost(str(raw.get("uri")), {}), self._now)
        return Batch(
            posts=written.posts if written else (),
            cursor=self.cursor,
            changes=() if change is None else (change,),
            budget=self.server.budget,
        )

    def _names_us(self, raw: Json) -> bool:
        named = raw.get("mentions")
        given = named if isinstance(named, list) else []
        return any(isinstance(one, dict) and one.get("url") == self.me.external_id for one in given)

    def _remember(self, raw: Any) -> None:
        if isinstance(raw, dict) and isinstance(raw.get("uri"), str):
            self._names[str(raw.get("id"))] = raw["uri"]
        while len(self._names) > _REMEMBERED:
            del self._names[next(iter(self._names))]

    @property
    def _now(self) -> datetime:
        """The link's clock stood still when the stream was opened."""
        return self.link.now + timedelta(seconds=monotonic() - self._opened)


def _parsed(data: str, host: str) -> Any:
    try:
        return storable_json(json.loads(data))
    except (ValueError, RecursionError) as error:
        raise Malformed(N_("%(host)s streamed something that is not JSON.") % {"host": host}) from error
